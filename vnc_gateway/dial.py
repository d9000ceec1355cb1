"""Reach a display or a web lab: connect to its RFB socket until it greets, or hold its HTTP socket by descriptor."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

from vnc_gateway.errors import DisplayGone, LabDown

_GREETING = b"RFB "
_ATTEMPT_S = 2.0


async def dial_display(path: Path, *, timeout_s: float, executor: Executor) -> socket.socket:
    """A connection on which the display's greeting waits to be read; raises `DisplayGone` after `timeout_s`.

    Xvnc has a backlog of 5: a connection may seem made and be dropped at its first read. So it is made with
    blocking calls in a thread, and counts only once the greeting has arrived.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, _dial, path, time.monotonic() + timeout_s)


@contextmanager
def hold_lab(path: Path) -> Iterator[Path]:
    """A path that leads to this very socket as long as the body runs; raises `LabDown` where it is none.

    The lab's program may write beside its socket: a link it puts there would lead to another's.
    """
    try:
        held = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise say_lab_down() from error
    try:
        if not stat.S_ISSOCK(os.fstat(held).st_mode):
            raise say_lab_down()
        yield Path(f"/proc/self/fd/{held}")
    finally:
        os.close(held)


def say_lab_down() -> LabDown:
    """A lab that does not answer at its socket."""
    return LabDown(
        "the lab does not answer: it may still be starting", hint="wait a moment, or look at the session"
    )


def _dial(path: Path, deadline: float) -> socket.socket:
    while True:
        left = deadline - time.monotonic()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(0.05, min(_ATTEMPT_S, left)))
            connection.connect(str(path))
            if _await_greeting(connection):
                connection.setblocking(False)
                return connection
        except FileNotFoundError as error:
            connection.close()
            raise DisplayGone("the display of this session is gone: reload the page") from error
        except OSError:  # the backlog is full, or the display is just going or coming
            pass
        connection.close()
        if left <= 0:
            raise DisplayGone("the display of this session does not answer: reload the page")
        time.sleep(min(0.05, max(0.0, left)))


def _await_greeting(connection: socket.socket) -> bool:
    return connection.recv(len(_GREETING), socket.MSG_PEEK | socket.MSG_WAITALL) == _GREETING
