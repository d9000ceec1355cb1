"""Reach a display: connect to its RFB socket until it says its greeting."""

from __future__ import annotations

import asyncio
import socket
import time
from concurrent.futures import Executor
from pathlib import Path

from vnc_gateway.errors import DisplayGone

_GREETING = b"RFB "
_ATTEMPT_S = 2.0


async def dial_display(path: Path, *, timeout_s: float, executor: Executor) -> socket.socket:
    """A connection on which the display's greeting waits to be read; raises `DisplayGone` after `timeout_s`.

    Xvnc has a backlog of 5: a connection may seem made and be dropped at its first read. So it is made with
    blocking calls in a thread, and counts only once the greeting has arrived.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, _dial, path, time.monotonic() + timeout_s)


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
