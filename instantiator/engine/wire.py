"""Requests to the engine over its unix socket, in the few lines a job needs.

A job lives through eight small calls. The docker SDK gives the rest of the door (images, archives, facts),
but importing it takes 90 ms, as long as the shortest job: so these calls speak HTTP themselves. HTTP/1.0 on
purpose: the engine then neither chunks nor keeps the connection, so an answer is a head and all that
follows, for plain calls and attached output alike. Paths carry no API version: every engine serves its own,
which spares the call that asks for it.
"""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provenance.errors import ThawError

ANSWER_TIMEOUT_S = 120.0
_CHUNK = 1 << 18


class EngineUnreachable(ThawError):
    """No container engine answers where one is expected."""

    code = "engine-unreachable"


class EngineRefused(ThawError):
    """The engine answered with an error; `status` is that of HTTP, the message is in the engine's words."""

    code = "engine-refused"

    def __init__(self, message: str, *, status: int, where: str = "", hint: str = "") -> None:
        super().__init__(message, where=where, hint=hint)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the engine answered to one request."""

    status: int
    body: bytes

    def json(self) -> object:
        """The body as data; None where it is empty."""
        return json.loads(self.body) if self.body.strip() else None


@dataclass(slots=True)
class Stream:
    """An answer that is still coming: read `early` first, then the connection until it gives nothing more."""

    status: int
    connection: socket.socket
    early: bytes

    def fileno(self) -> int:
        """The descriptor to poll; nothing needs waiting for while `early` holds bytes."""
        return self.connection.fileno()

    def read(self) -> bytes:
        """The next bytes, as soon as there are any; empty at the end. A broken connection is an end too."""
        if self.early:
            early, self.early = self.early, b""
            return early
        try:
            return self.connection.recv(_CHUNK)
        except ConnectionError:
            return b""

    def read_all(self) -> bytes:
        """All bytes up to the end; closes the connection."""
        pieces = []
        try:
            while piece := self.read():
                pieces.append(piece)
        finally:
            self.close()
        return b"".join(pieces)

    def close(self) -> None:
        """Give the connection back."""
        self.connection.close()


@dataclass(frozen=True, slots=True)
class Wire:
    """The engine behind one unix socket. Holds no connection: each request opens its own, 0.1 ms."""

    socket_path: Path

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Answer:
        """Send one request and read the whole answer, whatever its status."""
        stream = self.open_stream(method, path, body)
        try:
            return Answer(status=stream.status, body=stream.read_all())
        except TimeoutError as error:
            raise silent_engine(self.socket_path) from error

    def open_stream(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Stream:
        """Send one request and read the head of the answer; the caller reads the rest and closes it."""
        connection = connect_socket(self.socket_path)
        try:
            connection.settimeout(ANSWER_TIMEOUT_S)
            connection.sendall(format_request(method, path, body))
            status, early = _read_head(connection)
        except TimeoutError as error:
            connection.close()
            raise silent_engine(self.socket_path) from error
        except (OSError, ValueError) as error:
            connection.close()
            raise lost_engine(self.socket_path, error) from error
        except BaseException:
            connection.close()
            raise
        return Stream(status=status, connection=connection, early=early)

    def wait_stream(self, path: str) -> Stream:
        """Like `open_stream` of a POST, for an answer that may take for ever: its head is left unread."""
        connection = connect_socket(self.socket_path)
        try:
            connection.sendall(format_request("POST", path, None))
        except OSError as error:
            connection.close()
            raise lost_engine(self.socket_path, error) from error
        return Stream(status=0, connection=connection, early=b"")


def connect_socket(path: Path) -> socket.socket:
    """A connection to the engine; raises `EngineUnreachable` with the step that helps."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        raise unreachable_engine(path, error) from error
    return connection


def format_request(method: str, path: str, body: Mapping[str, object] | None) -> bytes:
    """The bytes of one HTTP/1.0 request with a JSON body."""
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.0\r\nHost: engine\r\nUser-Agent: thaw\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def parse_answer(content: bytes) -> Answer:
    """The answer in the bytes of a whole connection; raises `ValueError` where they are none."""
    head, separator, body = content.partition(b"\r\n\r\n")
    if not separator:
        raise ValueError("the engine closed the connection before it had answered")
    return Answer(status=_parse_status(head), body=body)


def _read_head(connection: socket.socket) -> tuple[int, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(_CHUNK)
        if not piece:
            raise ValueError("the engine closed the connection before it had answered")
        received += piece
    head, _, early = received.partition(b"\r\n\r\n")
    return _parse_status(head), early


def _parse_status(head: bytes) -> int:
    protocol, status, *_ = head.split(None, 2)
    if not protocol.startswith(b"HTTP/"):
        raise ValueError(f"not an HTTP answer: {head[:80]!r}")
    return int(status)


def unreachable_engine(path: Path, error: OSError) -> EngineUnreachable:
    """Why nothing answers at `path`, and what to do about it."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return EngineUnreachable(
            "this user may not talk to the container engine",
            where=str(path),
            hint="sudo usermod -aG docker $USER, then log in again (that group is as powerful as root); "
            "or run a rootless engine and set DOCKER_HOST=unix://<its socket>",
        )
    found = "nothing listens" if error.errno == errno.ECONNREFUSED else (error.strerror or str(error)).lower()
    return EngineUnreachable(
        f"no container engine answers: {found}",
        where=str(path),
        hint="start it: sudo systemctl start docker (or podman.socket); "
        "if it listens elsewhere set DOCKER_HOST=unix://<its socket>",
    )


def lost_engine(path: Path, error: Exception) -> EngineUnreachable:
    """The engine went away while it was being talked to."""
    return EngineUnreachable(
        f"the container engine went away: {error}", where=str(path), hint="see why: journalctl -u docker"
    )


def silent_engine(path: Path) -> EngineUnreachable:
    """The engine accepts connections and answers nothing."""
    return EngineUnreachable(
        f"the container engine has not answered for {ANSWER_TIMEOUT_S:.0f} s",
        where=str(path),
        hint="it hangs: sudo systemctl restart docker, and see journalctl -u docker",
    )
