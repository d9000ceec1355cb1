"""What was read once need not be parsed again: values kept in the cache folder under a fingerprint of their files.

A cold `thaw run` is measured against a bare `docker run`; reading YAML is a tenth of it. The folder may be deleted
at any time, and a file in it that is not this user's own is never read: values are kept as pickles.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar, cast

from instantiator.atomic import replace_bytes

_Value = TypeVar("_Value")


def remember(folder: Path, name: str, fingerprint: str, make: Callable[[], _Value]) -> _Value:
    """The value `make` gave when the fingerprint was the same, else what it gives now. What it raises is not kept."""
    path = folder / f"{name}.pickle"
    with suppress(OSError, EOFError, ValueError, AttributeError, ImportError, pickle.UnpicklingError):
        found, value = _read(path)
        if found == fingerprint:
            return cast(_Value, value)  # what `make` gave: name and fingerprint are its own
    value = make()
    with suppress(OSError):
        _write(path, (fingerprint, value))
    return value


def _read(path: Path) -> tuple[str, object]:
    with path.open("rb") as stream:
        if os.fstat(stream.fileno()).st_uid != os.geteuid():
            raise OSError("not this user's own")
        found, value = pickle.load(stream)
    return found, value


def _write(path: Path, content: tuple[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_bytes(path, pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL))


def fingerprint_files(paths: Iterable[Path]) -> str:
    """What the file system says of files and of everything below folders: the same again means the same contents."""
    hasher = hashlib.sha256()
    for path in paths:
        for entry in sorted(_stats(path)):
            hasher.update(repr(entry).encode())
    return hasher.hexdigest()


def _stats(path: Path) -> Iterable[tuple[str, int, int, int, int]]:
    if path.is_dir():
        with os.scandir(path) as entries:
            for entry in entries:
                yield from _stats(Path(entry.path))
    with suppress(FileNotFoundError):
        status = path.lstat()
        yield (str(path), status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns)
