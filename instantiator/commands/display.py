"""`thaw display`: the image sessions draw on, frozen with a lock of its own."""

from __future__ import annotations

from dataclasses import replace

import click

from instantiator.commands.common import Bench, json_option, show
from instantiator.commands.steps import progress


@click.group("display")
def display_command() -> None:
    """The image sessions draw on, frozen with a lock of its own."""


@display_command.command("show")
@json_option
def show_display(*, as_json: bool) -> None:
    """Show the display's lock. Keys: image, lock, packages, present."""
    from instantiator.display.image import display_lock
    from instantiator.image.ensure import find_built

    lock = display_lock()
    present = find_built(lock, Bench().workshop) is not None
    image = lock.image.id if lock.image else None
    data = {"image": image, "lock": lock.digest, "packages": len(lock.packages), "present": present}
    where = "in the engine" if present else "made when first needed: thaw display build"
    show(data, as_json=as_json, human=f"display {image}\n  {len(lock.packages)} packages, {where}")


@display_command.command("build")
@click.option("--force", is_flag=True, help="Build even where the engine holds the image.")
@json_option
def build_display(*, force: bool, as_json: bool) -> None:
    """Have the display image ready: fetched, built offline, loaded. Keys: image, lock, packages."""
    from instantiator.display.image import display_lock
    from instantiator.image.ensure import ensure_image, fetch_and_build

    bench, lock = Bench(), display_lock()
    make = fetch_and_build if force else ensure_image
    image = make(lock, bench.workshop, bench.mirrors, progress())
    data = {"image": image.id, "lock": lock.digest, "packages": len(lock.packages)}
    show(data, as_json=as_json, human=f"display {image.id}, {len(lock.packages)} packages")


@display_command.command("lock")
@click.option(
    "--snapshot", required=True, metavar="YYYY-MM-DD", help="The newest time a file of the display has."
)
@json_option
def lock_display(snapshot: str, *, as_json: bool) -> None:
    """Resolve the display anew, build it, and write its lock: for maintainers.

    Keys: image, lock, packages.
    """
    from instantiator.atomic import replace_text
    from instantiator.display.image import LOCK_FILE, display_request
    from instantiator.image.ensure import fetch_and_build
    from instantiator.image.lock import lock_to_yaml
    from instantiator.image.resolve import resolve_request

    bench, steps = Bench(), progress()
    lock = resolve_request(display_request(snapshot), bench.vault, bench.mirrors, steps)
    image = fetch_and_build(lock, bench.workshop, bench.mirrors, steps)
    replace_text(LOCK_FILE, lock_to_yaml(replace(lock, image=image)))
    data = {"image": image.id, "lock": lock.digest, "packages": len(lock.packages)}
    show(data, as_json=as_json, human=f"display {image.id}, {len(lock.packages)} packages")
