"""Files that appear whole or not at all: temps with an owner, hashing while copying, placing, flushing."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from provenance.digest import CHUNK, Digest
from provenance.errors import DigestMismatch, DiskFull, SourceRefused

OBJECT_MODE = 0o444
EXECUTABLE_MODE = 0o555
FOLDER_MODE = 0o755
OBJECT_TIME = 946_684_800
"""2000-01-01, the time of every object: a folder made of objects looks the same on every host."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK)
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Temp:
    """A file being written. Its lock tells others that the writer lives, and dies with the writer."""

    path: Path
    descriptor: int


@contextmanager
def open_temp(folder: Path, *, prefix: str = "") -> Iterator[Temp]:
    """A new temp in `folder`; it is gone when the block ends, unless it was renamed by then."""
    temp = _create_temp(folder, prefix)
    try:
        yield temp
    finally:
        with suppress(FileNotFoundError):
            temp.path.unlink()
        os.close(temp.descriptor)


def _create_temp(folder: Path, prefix: str) -> Temp:
    while True:
        path = folder / f"{prefix}{os.getpid()}-{os.urandom(8).hex()}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        lock_file(descriptor, wait=True)
        # Between open and lock a sweeper may have taken it for a dead writer's: then it has no name any more.
        if os.fstat(descriptor).st_nlink:
            return Temp(path=path, descriptor=descriptor)
        os.close(descriptor)


def lock_file(descriptor: int, *, wait: bool) -> bool:
    """Take the lock of an open file; whether it was got. True too where the file system knows no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def remove_if_stale(path: Path, newest: datetime) -> bool:
    """Remove a temp last written to before `newest`, unless its writer lives; whether it was removed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # gone meanwhile, or nothing a writer of ours makes
        return False
    try:
        written = datetime.fromtimestamp(os.fstat(descriptor).st_ctime, UTC)
        if written > newest or not lock_file(descriptor, wait=False):
            return False
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)


def write_bytes(temp: Temp, content: bytes | memoryview) -> None:
    """Write all of `content` into a temp."""
    view = memoryview(content)
    while view:
        view = view[os.write(temp.descriptor, view) :]


def write_stream(
    temp: Temp, stream: BinaryIO, *, expected: Digest | None, expected_size: int | None
) -> tuple[Digest, int]:
    """Copy a stream into a temp in one pass; raises `DigestMismatch` where it is not what was expected."""
    hasher, size = hashlib.sha256(), 0
    for chunk in _read_chunks(stream):
        size += len(chunk)
        if expected_size is not None and size > expected_size:
            raise _wrong_bytes(stream, f"{expected_size} bytes", "more")
        hasher.update(chunk)
        write_bytes(temp, chunk)
    if expected_size is not None and size != expected_size:
        raise _wrong_bytes(stream, f"{expected_size} bytes", f"{size}")
    digest = Digest("sha256:" + hasher.hexdigest())
    check_digest(stream, digest, size, expected)
    return digest, size


def check_digest(stream: BinaryIO, found: Digest, size: int, expected: Digest | None) -> None:
    """Raise `DigestMismatch` where a digest was expected and another was found."""
    if expected is not None and found != expected:
        raise _wrong_bytes(stream, expected, f"{found} ({size} bytes)")


def _read_chunks(stream: BinaryIO) -> Iterator[memoryview | bytes]:
    readinto = getattr(stream, "readinto", None)
    if readinto is None:
        while chunk := stream.read(CHUNK):
            yield chunk
        return
    buffer = memoryview(bytearray(CHUNK))
    while count := readinto(buffer):
        yield buffer[:count]


def _wrong_bytes(stream: BinaryIO, expected: str, found: str) -> DigestMismatch:
    name = getattr(stream, "name", "")
    return DigestMismatch(
        f"these are not the bytes that were asked for: expected {expected}, found {found}; nothing was kept",
        where=name if isinstance(name, str) else "",
        hint="get the file again: it may have been cut short, or be another version under the same name",
    )


def seal_temp(temp: Temp, *, mode: int = OBJECT_MODE) -> None:
    """Give a temp its final mode and time, and wait until its bytes are on the disk."""
    os.fchmod(temp.descriptor, mode)
    os.utime(temp.descriptor, (OBJECT_TIME, OBJECT_TIME))
    os.fsync(temp.descriptor)


def place_temp(temp: Temp, path: Path) -> bool:
    """Give a sealed temp its name; False where the name is taken already, which is then left as it is."""
    if link_file(temp.path, path):
        return True
    if os.path.lexists(path):
        return False
    temp.path.replace(path)  # no hard links here (exFAT, some network disks): a rename is as atomic
    return True


def link_file(source: Path, target: Path) -> bool:
    """Make `target` another name of `source`; False where it exists or the file system will not link."""
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return False
    return True


def make_folder(folder: Path) -> None:
    """Make a folder that is not there yet, readable by all whatever the umask, and on the disk."""
    if folder.is_dir():
        return
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(FOLDER_MODE)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_all(descriptor: int) -> bytes:
    """All that an open file still gives."""
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        return stream.read()


@contextmanager
def open_object(path: Path) -> Iterator[int]:
    """The descriptor of a regular file that is no symbolic link; raises `OSError`, never waits for a pipe."""
    with _open_regular(path, os.O_NOFOLLOW) as stream:
        yield stream.fileno()


@contextmanager
def open_source(path: Path) -> Iterator[BinaryIO]:
    """A user's file, unbuffered; raises `SourceRefused` where it cannot be read or is no regular file."""
    try:
        stream = _open_regular(path, 0)
    except OSError as error:
        raise SourceRefused(
            f"{path.name!r} cannot be kept: {error.strerror}",
            where=str(path),
            hint="name a file you can read",
        ) from error
    with stream:
        yield cast(BinaryIO, stream)  # a FileIO: typeshed does not count it as one


def _open_regular(path: Path, flags: int) -> io.FileIO:
    stream = io.FileIO(str(path), opener=lambda name, mode: os.open(name, mode | os.O_NONBLOCK | flags))
    if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        return stream
    stream.close()
    raise OSError(errno.EINVAL, "not a regular file", str(path))


@contextmanager
def telling_disk_full(where: Path, *, needed: int | None = None) -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" of whatever the block writes into `DiskFull`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise _disk_full(error, where, needed) from error


def _disk_full(error: OSError, where: Path, needed: int | None) -> DiskFull:
    free = os.statvfs(nearest_existing(where))
    what = f"{needed} bytes are needed, " if needed is not None else ""
    found = f"{free.f_bavail * free.f_frsize} bytes and {free.f_favail} files are free"
    return DiskFull(
        f"no room to write: {what}{found} ({error.strerror})",
        where=str(where),
        hint="make room there, then do it again: what was kept before is whole and stays",
    )


def nearest_existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there: the disk it would be made on."""
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())
