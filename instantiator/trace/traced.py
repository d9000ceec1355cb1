"""One traced run: a folder for its trace, the backend that traces it, the bundle delivered at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instantiator.image.fetch import Mirrors
from instantiator.image.scratch import scratch_folder
from instantiator.job.backend import Backend
from instantiator.progress import Progress
from instantiator.trace.backend import TracingBackend
from instantiator.trace.errors import BundleTaken, TraceFailed
from instantiator.trace.tree import prepare_tree
from provenance.vault import Vault

_LAST_LINES = 4


def refuse_taken_bundle(target: Path) -> None:
    """Raise `BundleTaken` before anything runs."""
    if target.exists():
        raise BundleTaken("there is a file already", where=str(target), hint="name a new file")
    if not target.parent.is_dir():
        raise BundleTaken(
            "the folder of the packed run is not there",
            where=str(target.parent),
            hint="make it, or name another",
        )


@contextmanager
def tracing(
    backend: Backend, *, vault: Vault, cache: Path, scratch: Path, mirrors: Mirrors, progress: Progress
) -> Iterator[TracingBackend]:
    """A backend that traces what it executes; its trace is gone after the block, so deliver the bundle before."""
    tree = prepare_tree(vault, cache, mirrors, progress)
    with scratch_folder(scratch, "trace-") as folder:
        room = folder / "trace"
        room.mkdir()
        yield TracingBackend(backend, tree=tree, folder=room)


def deliver_bundle(traced: TracingBackend, target: Path, *, run: str) -> None:
    """Put the packed run at `target`, whole or not at all."""
    if not traced.bundle.is_file() or traced.bundle.is_symlink():
        raise TraceFailed(
            f"run {run} is recorded, but was not packed{_last_words(traced.bundle.with_name('log'))}",
            where=run,
            hint="a run that was cut off has no trace; look at its log: thaw logs",
        )
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(traced.bundle, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
    except OSError:
        return ""
    return ": " + " | ".join(lines) if lines else ""
