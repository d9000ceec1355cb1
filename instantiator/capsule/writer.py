"""Writes a capsule: one canonical tar, every file's sha256 noted on the way."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import BinaryIO

from instantiator.capsule.errors import CapsuleRefused
from instantiator.capsule.script import render_sums
from provenance.digest import digest_bytes, digest_file

_FILE, _PROGRAM, _FOLDER, _OPEN = 0o644, 0o755, 0o755, 0o777


class CapsuleWriter:
    """One tar with one folder on top. What is put in first comes first; times and owners are none."""

    def __init__(self, stream: BinaryIO, folder: str) -> None:
        self._tar = tarfile.TarFile(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT)
        self._folder = folder
        self._folders: set[str] = set()
        self._sums: dict[str, str] = {}

    def add_bytes(self, path: str, content: bytes, *, is_program: bool = False) -> None:
        """A file with this content."""
        self._add(path, io.BytesIO(content), len(content), mode=_PROGRAM if is_program else _FILE)
        self._sums[path] = digest_bytes(content)

    def add_file(
        self, path: str, file: Path, *, expected: str | None = None, is_program: bool = False
    ) -> None:
        """A file of this host; raises `CapsuleRefused` where it has another digest than `expected`."""
        found = digest_file(file)
        if expected is not None and found != expected:
            raise CapsuleRefused(
                f"{path}: expected {expected}, found {found}",
                where=str(file),
                hint="restore the file; thaw vault audit and thaw dataset check find what else changed",
            )
        with file.open("rb") as stream:
            self._add(path, stream, file.stat().st_size, mode=_PROGRAM if is_program else _FILE)
        self._sums[path] = found

    def add_folder(self, path: str, folder: Path) -> None:
        """Every file below a folder."""
        for file in sorted(item for item in folder.rglob("*") if item.is_file()):
            self.add_file(f"{path}/{file.relative_to(folder).as_posix()}", file)

    def close(self) -> None:
        """The sums of all that is in it, and the end."""
        content = render_sums(self._sums).encode()
        self._add("SHA256SUMS", io.BytesIO(content), len(content), mode=_FILE)
        self._tar.close()

    def add_empty_folder(self, path: str) -> None:
        """A folder and those it is in."""
        self._add_parents(f"{path}/x")

    def _add(self, path: str, stream: BinaryIO, size: int, *, mode: int) -> None:
        self._add_parents(path)
        entry = tarfile.TarInfo(f"{self._folder}/{path}")
        entry.size, entry.mode = size, mode
        self._tar.addfile(entry, stream)

    def _add_parents(self, path: str) -> None:
        parts = f"{self._folder}/{path}".split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in self._folders:
                self._folders.add(folder)
                self._tar.addfile(_folder_entry(folder, _FOLDER))


def make_frame(count: int = 99) -> bytes:
    """`frame.tar`: the empty folders of `count` repeats, open to whatever user the engine makes of the program."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(1, count + 1):
            tar.addfile(_folder_entry(f"again-{number}", _FOLDER))
            for name in ("out", "work", "x11", "display"):
                tar.addfile(_folder_entry(f"again-{number}/{name}", _OPEN))
    return packed.getvalue()


def _folder_entry(path: str, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    return entry
