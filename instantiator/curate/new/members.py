"""The files in a .deb, a wheel, a zip or a tar, one after the other: read in memory, never laid out on the disk."""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from instantiator.image.repository import open_control, open_data
from provenance.errors import ThawError

MOST_MEMBERS = 300_000
MOST_BYTES = 16 << 30
LOOKED_INTO = 64 << 20
"""A file with more bytes is named, not looked into."""


class ArchiveHostile(ThawError):
    """An archive holds what no software needs: names that lead out, or more than could be looked at."""

    code = "archive-hostile"


class ArchiveUnknown(ThawError):
    """A file is none of the kinds a recipe can be proposed from, or is damaged."""

    code = "archive-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file. `content` is empty where it is too big to be looked into, or no plain file; `link` is its target."""

    path: str
    size: int
    mode: int
    content: bytes = b""
    link: str = ""


def read_members(file: Path) -> Iterator[Member]:
    """Every file of an archive, its kind told by its first bytes. Maintainer scripts come as `DEBIAN/postinst`.

    Raises `ArchiveHostile` and `ArchiveUnknown`.
    """
    try:
        yield from _bounded(file, _open(file))
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        RuntimeError,
    ) as error:
        raise ArchiveUnknown(
            f"{file.name} cannot be read: {error}",
            where=str(file),
            hint="it is damaged or cut off: fetch it again, and compare its sha256",
        ) from error


def _open(file: Path) -> Iterator[Member]:
    with file.open("rb") as stream:
        start = stream.read(8)
    if start == b"!<arch>\n":
        with open_control(file) as control:
            yield from (_prefixed(member) for member in _of_tar(control))
        with open_data(file) as files:
            yield from _of_tar(files)
    elif zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            yield from _of_zip(archive)
    elif tarfile.is_tarfile(file):
        with tarfile.open(file) as files:
            yield from _of_tar(files)
    else:
        raise ArchiveUnknown(
            f"{file.name} is no Debian package, wheel, zip or tar",
            where=str(file),
            hint="unpack it yourself and pack its files as a tar",
        )


def _prefixed(member: Member) -> Member:
    return Member(
        path=f"DEBIAN/{member.path}",
        size=member.size,
        mode=member.mode,
        content=member.content,
        link=member.link,
    )


def _of_tar(archive: tarfile.TarFile) -> Iterator[Member]:
    for entry in archive:
        if entry.isdir():
            continue
        stream = archive.extractfile(entry) if entry.isreg() and entry.size <= LOOKED_INTO else None
        yield Member(
            path=entry.name.removeprefix("./"),
            size=entry.size,
            mode=entry.mode,
            content=_read(stream, entry.size),
            link=entry.linkname if entry.issym() or entry.islnk() else "",
        )


def _of_zip(archive: zipfile.ZipFile) -> Iterator[Member]:
    for entry in archive.infolist():
        if entry.is_dir():
            continue
        mode = entry.external_attr >> 16
        is_link = stat.S_ISLNK(mode)
        with archive.open(entry) as stream:
            content = _read(stream, entry.file_size) if entry.file_size <= LOOKED_INTO else b""
        link = content.decode("utf-8", "replace") if is_link else ""
        yield Member(
            path=entry.filename,
            size=entry.file_size,
            mode=stat.S_IMODE(mode),
            content=b"" if is_link else content,
            link=link,
        )


def _read(stream: IO[bytes] | None, size: int) -> bytes:
    """No more than the archive says there is: what unpacks to more is cut."""
    return stream.read(min(size, LOOKED_INTO)) if stream is not None else b""


def _bounded(file: Path, members: Iterator[Member]) -> Iterator[Member]:
    """The same members, refused where there are too many, too much, or one that leads out of its folder."""
    total = 0
    for count, member in enumerate(members, start=1):
        total += member.size
        if count > MOST_MEMBERS or total > MOST_BYTES:
            raise _hostile(file, f"it holds more than {MOST_MEMBERS:,} files or {MOST_BYTES >> 30} GiB")
        parts = PurePosixPath(member.path).parts
        if not parts or member.path.startswith("/") or ".." in parts or "\x00" in member.path:
            raise _hostile(file, f"it holds {member.path!r}, which leads out of its folder")
        yield member


def _hostile(file: Path, reason: str) -> ArchiveHostile:
    return ArchiveHostile(
        f"{file.name} is not looked into: {reason}",
        where=str(file),
        hint="get it from a place you trust; nothing of it was written to the disk",
    )
