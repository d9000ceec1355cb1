"""The files pane's door to a workspace: nothing outside the folder is reached, whatever the program in it does.

The program may swap a folder for a link at any moment, so every step of a path is opened from the folder before
it, and no link is followed: a check beforehand would be too early.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from instantiator.web.pages import visible_name
from provenance.errors import ThawError

PART = ".thaw-upload-"
LISTED = 2000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME_LIMIT = 255


class FileMissing(ThawError):
    """There is no such file in the workspace, or it is no file: links and devices are not followed."""

    code = "file-missing"


class PathRefused(ThawError):
    """A path is not one of a file in the workspace."""

    code = "path-refused"


class FileTaken(ThawError):
    """There is something of this name already."""

    code = "file-taken"


class UploadOffset(ThawError):
    """A piece of an upload does not follow the one before."""

    code = "upload-offset"


class UploadTooLarge(ThawError):
    """An upload is larger than is allowed, or than the disk has room for."""

    code = "upload-too-large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file or folder of a workspace."""

    path: str
    name: str
    kind: str
    size: int
    modified: datetime

    def to_json(self) -> dict[str, object]:
        """As data; `shown` has every hidden sign of the name escaped."""
        return {
            "path": self.path,
            "name": self.name,
            "shown": visible_name(self.name),
            "kind": self.kind,
            "size": self.size,
            "modified": self.modified.isoformat(timespec="seconds"),
        }


class Workspace:
    """One workspace, by the folder that holds it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def list_folder(self, path: str = "") -> tuple[Entry, ...]:
        """What lies in a folder: folders first, by name; at most `LISTED`."""
        with self._folder(_parts(path)) as folder:
            names = [
                name
                for name in os.listdir(folder)  # noqa: PTH208  # by descriptor
                if not name.startswith(PART)
            ][:LISTED]
            entries = [entry for name in names if (entry := _entry(folder, path, name)) is not None]
        return tuple(sorted(entries, key=lambda item: (item.kind != "folder", item.name.casefold())))

    def open_file(self, path: str) -> tuple[BinaryIO, int]:
        """A file for reading, and its size. Never blocks: a pipe is no file."""
        *folders, name = _file_parts(path)
        with self._folder(folders) as folder:
            try:
                handle = os.open(
                    name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
                )
            except OSError as error:
                raise _missing(path) from error
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(handle)
            raise _missing(path)
        return os.fdopen(handle, "rb"), status.st_size

    def walk_files(self, path: str = "") -> Iterator[Entry]:
        """Every file below a folder, depth first; links are left out."""
        for entry in self.list_folder(path):
            if entry.kind == "folder":
                with suppress(FileMissing):  # removed meanwhile
                    yield from self.walk_files(entry.path)
            elif entry.kind == "file":
                yield entry

    def remove(self, path: str) -> None:
        """Remove a file or a link; a folder only where it is empty."""
        *folders, name = _file_parts(path)
        with self._folder(folders) as folder:
            try:
                if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
                    os.rmdir(name, dir_fd=folder)
                else:
                    os.unlink(name, dir_fd=folder)
            except FileNotFoundError as error:
                raise _missing(path) from error
            except OSError as error:
                raise FileTaken(
                    f"{visible_name(path)} cannot be removed: {error.strerror}", hint="empty the folder first"
                ) from error

    def make_folder(self, path: str) -> None:
        """Make a folder, and those above it, where they are not there."""
        with self._folder(_parts(path), make=True):
            pass

    def uploaded(self, path: str, size: int, token: str) -> int:
        """How much of an upload is there already: it goes on from here, in another tab or on another day."""
        *folders, _ = _file_parts(path)
        with self._folder(folders, make=True) as folder:
            try:
                return min(os.lstat(_part_name(path, size, token), dir_fd=folder).st_size, size)
            except FileNotFoundError:
                return 0

    def append(self, upload: Upload, offset: int, content: bytes) -> int:
        """Add a piece to an upload; returns how much is there. The last piece gives the file its name."""
        *folders, name = _file_parts(upload.path)
        part = _part_name(upload.path, upload.size, upload.token)
        with self._folder(folders, make=True) as folder:
            if not upload.replace and _exists(folder, name):
                raise FileTaken(
                    f"{visible_name(upload.path)} is there already", hint="rename it, or replace the old one"
                )
            there = _append(folder, part, offset, content, upload.size)
            if there == upload.size:
                _refuse_folder(folder, name, upload.path)
                os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
        return there

    @contextmanager
    def _folder(self, parts: list[str], *, make: bool = False) -> Iterator[int]:
        try:
            handle = os.open(self.root, _FOLDER)
        except OSError as error:
            raise FileMissing("the workspace is not there", hint="is the session still alive?") from error
        try:
            for part in parts:
                handle = _step(handle, part, make=make)
            yield handle
        finally:
            os.close(handle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file on its way in: where to, how large; `token` tells two of the same name and size apart."""

    path: str
    size: int
    token: str
    replace: bool = False


def _step(handle: int, part: str, *, make: bool) -> int:
    try:
        if make:
            with suppress(FileExistsError):
                os.mkdir(part, 0o777, dir_fd=handle)
                os.chmod(part, 0o777, dir_fd=handle)  # the program runs as another uid, and saves there too
        deeper = os.open(part, _FOLDER, dir_fd=handle)
    except OSError as error:
        raise _missing(part) from error
    os.close(handle)
    return deeper


def _append(folder: int, part: str, offset: int, content: bytes, size: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(part, flags, 0o666, dir_fd=folder)
    with os.fdopen(handle, "wb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise PathRefused("the upload's place is taken by something else", hint="rename the file")
        if offset != status.st_size or offset + len(content) > size:
            raise UploadOffset(
                f"this piece begins at {offset}, of {size} bytes {status.st_size} are there",
                hint="ask how much is there, and go on from that",
            )
        os.fchmod(handle, 0o666)
        file.seek(offset)
        try:
            file.write(content)
            file.flush()
        except OSError as error:
            raise UploadTooLarge(
                f"the disk took no more: {error.strerror}", hint="make room in the workspace, then go on"
            ) from error
        return offset + len(content)


def _parts(path: str) -> list[str]:
    """The steps of a path in a workspace; raises `PathRefused` for one that leads out."""
    if path.startswith("/") or "\0" in path:
        raise _refused(path)
    parts = [part for part in path.split("/") if part]
    for part in parts:
        if part in (".", "..") or part.startswith(PART) or len(os.fsencode(part)) > _NAME_LIMIT:
            raise _refused(path)
    return parts


def _file_parts(path: str) -> list[str]:
    try:
        path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise _refused(path) from error
    parts = _parts(path)
    if not parts:
        raise _refused(path)
    return parts


def _refused(path: str) -> PathRefused:
    return PathRefused(
        f"{visible_name(path)!r} is no path of a file in the workspace",
        hint="a path is relative, without '..' and '.'",
    )


def _missing(path: str) -> FileMissing:
    return FileMissing(
        f"there is no file {visible_name(path)!r} in the workspace",
        hint="links are not followed; list it again",
    )


def _entry(folder: int, path: str, name: str) -> Entry | None:
    try:
        status = os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return None
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"))
    kind = next((word for test, word in kinds if test(status.st_mode)), "other")
    inner = f"{path.strip('/')}/{name}" if path.strip("/") else name
    modified = datetime.fromtimestamp(int(status.st_mtime), UTC)
    return Entry(path=inner, name=name, kind=kind, size=status.st_size, modified=modified)


def _exists(folder: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _refuse_folder(folder: int, name: str, path: str) -> None:
    if _exists(folder, name) and stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
        raise FileTaken(f"{visible_name(path)} is a folder", hint="rename the file")


def _part_name(path: str, size: int, token: str) -> str:
    return (
        PART + hashlib.sha256(f"{path}\0{size}\0{token}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
    )
