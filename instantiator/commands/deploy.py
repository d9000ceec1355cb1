"""`thaw deploy`: the files that start a service on this host."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from instantiator.commands.common import Bench, json_option, show

if TYPE_CHECKING:
    from instantiator.operate.units import Site


@click.command("deploy")
@click.argument("kind", type=click.Choice(["systemd", "compose"]))
@click.option(
    "-o", "--output", default=".", show_default=True, metavar="DIR", help="Where to write the files."
)
@click.option("--user", help="Who the service is; default: you.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address the gateway listens on.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(1, 65535), help="Its port.")
@click.option("--public-url", metavar="URL", help="The address browsers use, with nginx or Caddy in front.")
@json_option
def deploy_command(
    kind: str, output: str, user: str | None, host: str, port: int, public_url: str | None, *, as_json: bool
) -> None:
    """Write systemd units or a compose file for this host: its state folder, recipes, engine and user.

    Nothing is installed or started. Keys: files.
    """
    from dataclasses import replace

    from instantiator.operate.units import render_compose, render_units, write_files

    site = replace(_site_of(Bench(), user), host=host, port=port, public_url=public_url)
    files = render_units(site) if kind == "systemd" else render_compose(site)
    written = write_files(files, Path(output))
    show(
        {"files": [str(path) for path in written]},
        as_json=as_json,
        human="\n".join(f"written: {path}" for path in written),
    )


def _site_of(bench: Bench, user: str | None) -> Site:
    from instantiator.operate.units import DeployRefused, Site

    try:
        person = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise DeployRefused(f"this host has no user {user!r}", hint=f"adduser --system {user}") from error
    engine = bench.engine.wire.socket_path
    engine_gid = engine.stat().st_gid
    thaw = shutil.which("thaw", path=str(Path(sys.executable).parent)) or shutil.which("thaw") or "thaw"
    return Site(
        home=bench.settings.home,
        recipes=bench.settings.recipes_dir,
        engine=engine,
        thaw=Path(thaw).absolute(),
        source=Path(__file__).parents[2],
        user=person.pw_name,
        group=grp.getgrgid(person.pw_gid).gr_name,
        uid=person.pw_uid,
        gid=person.pw_gid,
        engine_group=grp.getgrgid(engine_gid).gr_name,
        engine_gid=engine_gid,
    )
