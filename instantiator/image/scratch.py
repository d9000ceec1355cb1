"""Folders for work under way: gone when the work ends, and when a killed process left one, swept by the next."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = ".owner"


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder below `parent`, removed at the end. Those that dead processes left are removed first.

    A living owner holds a lock on its folder (flock), which the kernel lets go however the process ends.
    """
    parent.mkdir(parents=True, exist_ok=True)
    sweep_scratch(parent)
    folder, lock = _make_held(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _make_held(parent: Path, prefix: str) -> tuple[Path, int]:
    """A folder and its held lock; made anew where a sweeper came between the file and the lock on it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / _LOCK).exists():
            return folder, lock
        os.close(lock)


def sweep_scratch(parent: Path) -> None:
    """Remove the folders below `parent` nobody holds any more; one that has no lock yet is somebody's."""
    for folder in parent.iterdir():
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)
