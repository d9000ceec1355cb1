"""`thaw builder`: the image every other image is built in, frozen with a lock of its own."""

from __future__ import annotations

from dataclasses import replace

import click

from instantiator.commands.common import Bench, json_option, show
from instantiator.commands.steps import progress


@click.group("builder")
def builder_command() -> None:
    """The image every other image is built in, frozen with a lock of its own."""


@builder_command.command("show")
@json_option
def show_builder(*, as_json: bool) -> None:
    """Show the builder's lock. Keys: image, lock, packages, present."""
    from instantiator.image.builder import builder_lock
    from instantiator.image.ensure import find_built

    lock = builder_lock()
    present = find_built(lock, Bench().workshop) is not None
    image = lock.image.id if lock.image else None
    data = {"image": image, "lock": lock.digest, "packages": len(lock.packages), "present": present}
    where = "in the engine" if present else "made when first needed"
    human = f"builder {image}\n  {len(lock.packages)} packages, {where}"
    show(data, as_json=as_json, human=human)


@builder_command.command("lock")
@click.option(
    "--snapshot", required=True, metavar="YYYY-MM-DD", help="The newest time a file of the builder has."
)
@json_option
def lock_builder(snapshot: str, *, as_json: bool) -> None:
    """Resolve the builder anew and write its lock. Every image's ID may change with it: for maintainers.

    Keys: image, lock, packages.
    """
    from instantiator.atomic import replace_text
    from instantiator.image.builder import LOCK_FILE, PACKAGES, make_builder
    from instantiator.image.lock import lock_to_yaml
    from instantiator.image.resolve import Request, resolve_request
    from instantiator.image.scratch import scratch_folder

    bench = Bench()
    request = Request(
        name="thaw-builder/1", suite="bookworm", snapshot=snapshot, architecture="amd64", packages=PACKAGES
    )
    lock = resolve_request(request, bench.vault, bench.mirrors, progress())
    with scratch_folder(bench.settings.scratch_dir, "builder-") as folder:
        image, _ = make_builder(lock, bench.vault, folder)
    replace_text(LOCK_FILE, lock_to_yaml(replace(lock, image=image)))
    data = {"image": image.id, "lock": lock.digest, "packages": len(lock.packages)}
    show(data, as_json=as_json, human=f"builder {image.id}, {len(lock.packages)} packages")
