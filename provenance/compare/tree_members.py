"""The members of a tar archive or a folder, without unpacking: what they are, and digests of the files."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from lzma import LZMAError
from pathlib import Path
from tempfile import TemporaryDirectory

from provenance.compare.files import Unreadable
from provenance.digest import Digest, digest_file, digest_stream

BROKEN_ARCHIVE = (tarfile.TarError, OSError, EOFError, zlib.error, LZMAError, ValueError, OverflowError)
FILE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member: `kind` in words; `digest` and `executable` of files, `target` of links, time in seconds."""

    path: str
    kind: str
    digest: Digest | None = None
    size: int = 0
    target: str = ""
    executable: bool = False
    time: int = 0
    owner: str = ""


def read_members(root: Path, which: str) -> dict[str, Member]:
    """The members of a folder or an archive by path, sorted. Raises `Unreadable` where it is neither.

    Of an archive that holds a path twice, the last one counts, as it does for whoever unpacks it.
    """
    if root.is_dir():
        members = [_describe_entry(root, path) for path in _walk(root)]
        return {member.path: member for member in members}
    try:
        with tarfile.open(root) as archive:
            named = dict(_read_archive(archive))
    except BROKEN_ARCHIVE as error:
        empty = " (it is empty)" if not root.stat().st_size else ""
        raise Unreadable(f"the {which} file is no tar archive that can be read{empty}: {error}") from error
    return {path: named[path] for path in sorted(named)}


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders.sort()
        yield from (Path(folder, name) for name in sorted([*folders, *files]))


def _describe_entry(root: Path, path: Path) -> Member:
    status = path.lstat()
    member = Member(
        path=path.relative_to(root).as_posix(),
        kind=_name_mode(status.st_mode),
        time=int(status.st_mtime),
        owner=f"{status.st_uid}:{status.st_gid}",
    )
    if member.kind == "link":
        return replace(member, target=str(path.readlink()))
    if member.kind != FILE:
        return member
    executable = bool(status.st_mode & stat.S_IXUSR)
    return replace(member, digest=digest_file(path), size=status.st_size, executable=executable)


def _name_mode(mode: int) -> str:
    names = ((stat.S_ISREG, FILE), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"), (stat.S_ISFIFO, "pipe"))
    return next((name for is_kind, name in names if is_kind(mode)), "device or socket")


def _read_archive(archive: tarfile.TarFile) -> Iterator[tuple[str, Member]]:
    for entry in archive:
        path = _clean(entry.name)
        if path:
            yield path, _describe_member(archive, entry, path)


def _clean(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _describe_member(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> Member:
    member = Member(
        path=path, kind=_name_entry(entry), time=int(entry.mtime), owner=f"{entry.uid}:{entry.gid}"
    )
    if member.kind == "link":
        return replace(member, target=entry.linkname)
    if member.kind != FILE:
        return member
    stream = archive.extractfile(entry)
    assert stream is not None  # a file or a hard link to one
    with stream:
        digest, size = digest_stream(stream)  # type: ignore[arg-type]  # typeshed: IO[bytes], which is read alike
    return replace(member, digest=digest, size=size, executable=bool(entry.mode & stat.S_IXUSR))


def _name_entry(entry: tarfile.TarInfo) -> str:
    if entry.isreg() or entry.islnk():
        return FILE
    if entry.issym():
        return "link"
    return "folder" if entry.isdir() else "pipe" if entry.isfifo() else "device or socket"


@contextmanager
def open_files(root: Path, paths: Collection[str]) -> Iterator[dict[str, Path]]:
    """Some files of a folder or an archive, by path, as files on disk for the time of a `with`.

    Files of an archive are written under names of ours: what a member is called never becomes a path.
    """
    if root.is_dir():
        yield {path: root / path for path in paths}
        return
    with TemporaryDirectory(prefix="thaw-compare-") as folder:
        yield _unpack(root, frozenset(paths), Path(folder))


def _unpack(root: Path, paths: frozenset[str], folder: Path) -> dict[str, Path]:
    unpacked: dict[str, Path] = {}
    if not paths:
        return unpacked
    with tarfile.open(root) as archive:
        for entry in archive:
            path = _clean(entry.name)
            if path in paths and _name_entry(entry) == FILE:
                stream = archive.extractfile(entry)
                assert stream is not None  # a file or a hard link to one
                unpacked[path] = unpacked.get(path, folder / str(len(unpacked)))
                with stream, unpacked[path].open("wb") as file:
                    shutil.copyfileobj(stream, file)
    return unpacked
