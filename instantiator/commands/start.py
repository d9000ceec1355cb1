"""What the commands that run things share: the run bench, Ctrl-C as a cancel, the program's output as it comes."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

import click

from instantiator.commands.common import Bench
from instantiator.commands.steps import progress
from instantiator.image.files import keep_files
from instantiator.image.lock import Lock, LockedImage, lock_to_json
from instantiator.job.spec import ImageDigest
from instantiator.queue.bench import shelf_of as shelf_with
from instantiator.recipe.model import Recipe
from instantiator.thread.plan import Environment
from instantiator.thread.run import RunBench, recover_runs
from instantiator.thread.start import Shelf
from provenance.digest import canonical_json
from provenance.record import Record


def run_bench(bench: Bench) -> RunBench:
    """What runs are made with; runs that a killed Thaw left are recorded as interrupted first."""
    from instantiator.host import host_facts_for_record
    from instantiator.job.backends.docker import DockerBackend
    from instantiator.observe.hook import observe_on

    settings = bench.settings
    made = RunBench(
        vault=bench.vault,
        store=bench.store,
        backend=DockerBackend(bench.engine, home=settings.home, observe=observe_on(bench.engine.wire)),
        runs_dir=settings.runs_dir,
        host=lambda: host_facts_for_record(bench.engine),
    )
    for record in recover_runs(made):
        click.echo(
            f"  ! run {record.run} was left behind by a kill; it is recorded as {record.state}", err=True
        )
    return made


@contextmanager
def cancel_on_interrupt() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets: the run ends in order and is recorded as cancelled."""
    event = threading.Event()

    def set_event(_signal: int, _frame: FrameType | None) -> None:
        event.set()

    former = {number: signal.signal(number, set_event) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def echo_log(*, is_quiet: bool) -> Callable[[bytes], None]:
    """Pass the program's output to stderr as it comes, or to nobody."""
    if is_quiet:
        return lambda _content: None
    stream = sys.stderr.buffer
    is_listening = True

    def echo(content: bytes) -> None:
        nonlocal is_listening
        if not is_listening:
            return
        try:
            stream.write(content)
            stream.flush()
        except BrokenPipeError:  # nobody looks any more: no reason to end the run
            is_listening = False

    return echo


def lock_of(bench: Bench, recipe: Recipe) -> Lock:
    """The lock of a recipe, and its own files in the vault: nowhere else could they be had again."""
    lock = bench.lock(recipe)
    keep_files(recipe, lock, bench.vault)
    return lock


def pinned_environment(bench: Bench, lock: Lock) -> Environment:
    """Make the image of a lock ready, and keep the lock itself in the vault: a record names it by digest."""
    image = _present_image(bench, lock)
    pinned = replace(lock, image=image)
    digest = bench.vault.put_bytes(canonical_json(lock_to_json(pinned)))
    return Environment(lock=pinned, lock_digest=digest, image=ImageDigest(image.id))


def _present_image(bench: Bench, lock: Lock) -> LockedImage:
    """The image as the engine holds it; what builds images is imported only where one has to be built."""
    if lock.image is not None:
        image = ImageDigest(lock.image.id)
        if bench.engine.has_image(image, lock.image_name, (lock.image.layer,)):
            return lock.image
    from instantiator.image.ensure import ensure_image

    return ensure_image(lock, bench.workshop, bench.mirrors, progress())


def shelf_of(bench: Bench) -> Shelf:
    """Where datasets come from."""
    return shelf_with(bench, progress())


def outputs_to_json(record: Record) -> list[dict[str, object]]:
    """The outputs of a record: keys name, path, sha256, bytes, media_type."""
    return [
        {
            "name": output.name,
            "path": output.path,
            "sha256": output.digest.removeprefix("sha256:"),
            "bytes": output.size,
            "media_type": output.media_type,
        }
        for output in record.outputs
    ]


def parse_pairs(pairs: tuple[str, ...], option: str) -> Mapping[str, str]:
    """`k=v` options as a mapping; wrong usage where one has no `=` or comes twice."""
    parsed: dict[str, str] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise click.UsageError(f"{option} {pair!r}: expected name=value")
        if key in parsed:
            raise click.UsageError(f"{option} {key!r} is given twice")
        parsed[key] = value
    return parsed
