"""The socket of a web application, which the application's own program made: held, never followed, then asked."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold_socket(path: Path) -> Iterator[Path]:
    """The socket at `path`, as a path by its descriptor; raises `OSError` for a link or anything but a socket.

    The program may put a link in the socket's place at any moment, and whoever connects here may be root: so what
    is there is held first, looked at, and reached through what is held.
    """
    held = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(held).st_mode):
            raise OSError(f"{path} is not a socket")
        yield Path(f"/proc/self/fd/{held}")
    finally:
        os.close(held)


def ask_web(path: Path) -> str | None:
    """The status line of the application's first page; None where nothing at its socket speaks HTTP yet."""
    try:
        with hold_socket(path) as held, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(2)
            connection.connect(str(held))
            connection.sendall(b"GET / HTTP/1.0\r\nHost: lab\r\n\r\n")
            answer = connection.recv(64)
    except OSError:
        return None
    return answer.split(b"\r\n")[0].decode(errors="replace") if answer.startswith(b"HTTP/") else None
