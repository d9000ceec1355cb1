"""The kernel's fanotify, which Python's library does not have: groups, marks, events. See fanotify(7)."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntFlag
from functools import cache
from pathlib import Path

from instantiator.observe.model import ObservationFailed

_CLOEXEC, _NONBLOCK, _CLASS_CONTENT = 0x1, 0x2, 0x4
_MARK_ADD, _MARK_MOUNT, _MARK_FILESYSTEM = 0x1, 0x10, 0x100
_AT_FDCWD = -100
_ALLOW = 1
_HEAD = struct.Struct("=IBBHQii")
_RESPONSE = struct.Struct("=iI")
_VERSION = 3
# Each event of a read comes with an open file: few at a time, since 1024 may be all this process may have.
_READ_BYTES = _HEAD.size * 128


class Happened(IntFlag):
    """What an event says; several at once where the kernel put events together."""

    ACCESS = 0x1
    MODIFY = 0x2
    CLOSE_WRITE = 0x8
    CLOSE_NOWRITE = 0x10
    OPEN = 0x20
    OPEN_EXEC = 0x1000
    OVERFLOW = 0x4000
    ASKS_TO_EXECUTE = 0x40000


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `descriptor` is the open file, below 0 where there is none, and the reader's to close."""

    happened: int
    descriptor: int
    pid: int


class Group:
    """A queue of events of whatever is marked. With `decides` it may be asked, and must answer, before execution.

    The kernel lets everything pass that waits for an answer once the group is closed, by a kill too.
    """

    def __init__(self, *, decides: bool = False) -> None:
        flags = _CLOEXEC | _NONBLOCK | (_CLASS_CONTENT if decides else 0)
        # O_NONBLOCK: the events' own files are opened by the kernel, and opening a pipe must not wait.
        event_flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_LARGEFILE", 0)
        self.descriptor = _libc().fanotify_init(flags, event_flags)
        if self.descriptor < 0:
            raise _failure("fanotify_init", "")

    def mark_mount(self, path: Path, happened: int) -> None:
        """Have events of one mount: of what is done through it, and not of the same files seen elsewhere."""
        self._mark(_MARK_ADD | _MARK_MOUNT, path, happened)

    def mark_file_system(self, path: Path, happened: int) -> None:
        """Have events of the whole file system that holds `path`."""
        self._mark(_MARK_ADD | _MARK_FILESYSTEM, path, happened)

    def read(self) -> Iterator[Event]:
        """The next events, up to 128; none where there are none now."""
        while True:
            try:
                received = os.read(self.descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EBADF, errno.EINVAL):
                    raise
                yield Event(
                    Happened.OVERFLOW, -1, 0
                )  # its file could not be opened: the kernel drops the event
                continue
            yield from parse_events(received)
            return

    def allow(self, event: Event) -> None:
        """Let the execution pass that waits for an answer."""
        with suppress(FileNotFoundError):  # the process has been killed meanwhile
            os.write(self.descriptor, _RESPONSE.pack(event.descriptor, _ALLOW))

    def close(self) -> None:
        """Give the group back; a second time is fine."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _mark(self, flags: int, path: Path, happened: int) -> None:
        mask = ctypes.c_uint64(happened)
        if _libc().fanotify_mark(self.descriptor, flags, mask, _AT_FDCWD, os.fsencode(path)) < 0:
            raise _failure("fanotify_mark", str(path))


def parse_events(received: bytes) -> Iterator[Event]:
    """The events in what the kernel wrote."""
    at = 0
    while at + _HEAD.size <= len(received):
        size, version, _, _, mask, descriptor, pid = _HEAD.unpack_from(received, at)
        if version != _VERSION or size < _HEAD.size:
            raise ObservationFailed(
                f"fanotify speaks version {version}: expected {_VERSION}", hint="use another kernel"
            )
        yield Event(mask, descriptor, pid)
        at += size


def why_not_fanotify() -> str:
    """Why this process cannot watch mounts by fanotify; empty where it can."""
    try:
        group = Group(decides=True)
    except ObservationFailed as failure:
        return failure.message
    try:
        group.mark_mount(Path("/proc"), Happened.OPEN_EXEC)
    except ObservationFailed as failure:
        return failure.message
    finally:
        group.close()
    return ""


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fanotify_mark.argtypes = [
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint64,
        ctypes.c_int,
        ctypes.c_char_p,
    ]
    return libc


def _failure(call: str, where: str) -> ObservationFailed:
    number = ctypes.get_errno()
    needs = "; it needs CAP_SYS_ADMIN" if number == errno.EPERM else ""
    return ObservationFailed(
        f"{call}: {os.strerror(number)}{needs}",
        where=where,
        hint="run thaw as root, or be content with the polling observer",
    )
