"""`thaw trace`: the tools a run is traced with, frozen with a lock of their own."""

from __future__ import annotations

import click

from instantiator.commands.common import Bench, json_option, show
from instantiator.commands.steps import progress


@click.group("trace")
def trace_command() -> None:
    """The tools `thaw run --trace` traces a run with, frozen with a lock of their own."""


@trace_command.command("show")
@json_option
def show_tracer(*, as_json: bool) -> None:
    """Show the tracer's lock. Keys: lock, packages, wheels."""
    from instantiator.trace.tree import tracer_lock

    lock = tracer_lock()
    data = {"lock": lock.digest, "packages": len(lock.packages), "wheels": [w.file for w in lock.python]}
    show(data, as_json=as_json, human=f"tracer {lock.digest}\n  " + "\n  ".join(w.file for w in lock.python))


@trace_command.command("lock")
@click.option("--snapshot", required=True, metavar="YYYY-MM-DD", help="The newest time a file of it has.")
@json_option
def lock_tracer(snapshot: str, *, as_json: bool) -> None:
    """Resolve the tracer anew and write its lock: for maintainers. No image changes with it.

    Keys: lock, packages, wheels.
    """
    from instantiator.atomic import replace_text
    from instantiator.image.lock import lock_to_yaml
    from instantiator.trace.lock import resolve_tracer
    from instantiator.trace.tree import LOCK_FILE

    bench = Bench()
    lock = resolve_tracer(snapshot, bench.vault, bench.mirrors, progress())
    replace_text(LOCK_FILE, lock_to_yaml(lock))
    data = {"lock": lock.digest, "packages": len(lock.packages), "wheels": [w.file for w in lock.python]}
    show(data, as_json=as_json, human=f"tracer {lock.digest}, {len(lock.packages)} packages")
