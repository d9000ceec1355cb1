"""Sessions without an engine: one that is opened shows the screen it was given."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from instantiator.session.model import (
    LaunchStep,
    OpenSession,
    Session,
    SessionId,
    SessionLimits,
    SessionState,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAME = SessionId("20261120-120000-k3f9")


class FakeDoor:
    """Opens one session, which is what `opened` makes of it; its display shows `pixels`, `size` wide and high."""

    def __init__(
        self,
        root: Path,
        *,
        size: tuple[int, int] = (320, 200),
        pixels: Callable[[], bytes] = lambda: bytes(4 * 320 * 200),
        opened: Callable[[Session], Session] = lambda session: session,
        exit_status: int | None = None,
    ) -> None:
        self.root, self.asked, self.ended = root, list[OpenSession](), list[str]()
        self._size, self._pixels, self._opened, self._exit_status = size, pixels, opened, exit_status
        self._session: Session | None = None

    def open(self, asked: OpenSession) -> Session:
        self.asked.append(asked)
        socket_ = self.root / NAME / "display/rfb.sock"
        socket_.parent.mkdir(parents=True)
        self.workspace_dir(NAME).mkdir(parents=True)
        _serve(socket_, self._size, self._pixels)
        self._session = self._opened(_session(asked, socket_))
        return self._session

    def get(self, session: str) -> Session:
        assert self._session is not None and session == NAME
        return self._session

    def end(self, session: str, reason: str) -> Session:
        self.ended.append(reason)
        return replace(self.get(session), state=SessionState.ENDED, exit_status=self._exit_status)

    def workspace_dir(self, session: str) -> Path:
        return self.root / "workspaces" / session


def _session(asked: OpenSession, rfb_socket: Path) -> Session:
    return Session(
        id=NAME,
        user=asked.user,
        recipe=asked.recipe,
        gui=asked.gui or "",
        title="MIDAS",
        kind="x11",
        state=SessionState.READY,
        created=NOON,
        ready=NOON,
        ended=None,
        display="truecolor",
        workspace=asked.workspace,
        datasets=asked.datasets,
        steps=(LaunchStep(name="first frame", detail="window 'MIDAS'"),),
        message="",
        exit_status=None,
        log_tail=(),
        limits=SessionLimits(),
        last_active=NOON,
        expires=NOON,
        rfb_socket=rfb_socket,
        web_socket=None,
        record=None,
        end_reason="",
    )


def _serve(path: Path, size: tuple[int, int], pixels: Callable[[], bytes]) -> None:
    """A display that gives its picture to whoever comes, until nobody comes for a while."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(5)
    listener.settimeout(10)

    def run() -> None:
        with listener, suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(ConnectionError):
                    _show(connection, size, pixels())

    threading.Thread(target=run, daemon=True).start()


def _show(connection: socket.socket, size: tuple[int, int], pixels: bytes) -> None:
    answers = (b"RFB 003.008\n", b"\x01\x01", b"\0\0\0\0", struct.pack(">HH16xI", *size, 0))
    for answer in answers:
        connection.sendall(answer)
        connection.recv(64)
    connection.sendall(struct.pack(">BxHHHHHi", 0, 1, 0, 0, *size, 0) + pixels)
    connection.recv(64)
