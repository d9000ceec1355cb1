"""The socket of a web lab, which the lab's own program made: checked, and opened to the gateway's group."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from instantiator.web.portal import NotFound


def admit_gateway(path: Path, gid: int | None) -> None:
    """Let the gateway's group connect, where the gateway is a user of its own; raises `NotFound` for anything else.

    The program may put a link in the socket's place at any moment. So what is there is held first, and is changed
    through what is held; the gateway follows no link either.
    """
    try:
        held = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _no_socket() from error
    try:
        if not stat.S_ISSOCK(os.fstat(held).st_mode):
            raise _no_socket()
        if gid is not None:
            os.chown(f"/proc/self/fd/{held}", -1, gid)
            os.chmod(f"/proc/self/fd/{held}", 0o660)  # noqa: PTH101  # by descriptor
    finally:
        os.close(held)


def _no_socket() -> NotFound:
    return NotFound("this session's web lab has no socket", hint="look at the session: is its program alive?")
