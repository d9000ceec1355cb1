"""Put outputs into a folder: only below it, and only whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from instantiator.client.errors import OutputPathRefused


def target_of(folder: Path, path: str) -> Path:
    """Where an output goes; raises `OutputPathRefused` where that is not below the folder."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path or "\\" in path:
        raise OutputPathRefused(
            f"an output cannot be called {path!r}: expected a path below the folder",
            where=str(folder),
            hint="read it without saving it, and report this service",
        )
    return folder.joinpath(*parts)


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """A file to be written that is there once the body ends, and not at all where it raises."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            yield stream
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to be filled that is there once the body ends; one in its place must be empty."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
