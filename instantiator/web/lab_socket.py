"""The socket of a web lab, which the lab's own program made: checked, and opened to the gateway's group."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from instantiator.session.web_socket import hold_socket
from instantiator.web.portal import NotFound


def admit_gateway(path: Path, gid: int | None) -> None:
    """Let the gateway's group connect, where the gateway is a user of its own; raises `NotFound` for anything else.

    What is changed is what is held; the gateway follows no link either.
    """
    with ExitStack() as stack:
        try:
            held = stack.enter_context(hold_socket(path))
        except OSError as error:
            raise NotFound(
                "this session's web lab has no socket", hint="look at the session: is its program alive?"
            ) from error
        if gid is not None:
            os.chown(held, -1, gid)
            held.chmod(0o660)
