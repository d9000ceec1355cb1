"""The service that runs with this state folder, as other commands reach it: its unix socket, as its own user."""

from __future__ import annotations

import getpass
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.errors import ThawError

if TYPE_CHECKING:
    from instantiator.session.model import OpenSession

_ADDRESS_FILE = "address.json"
_PATIENCE_S = 30
_RIGHT_LIFE = timedelta(minutes=2)


class ServiceRefused(ThawError):
    """The running service does not do what it was asked for."""

    code = "service-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that answers: its folder, the address its gateway listens on, and the site in front of that."""

    folder: Path
    host: str
    port: int
    site: str | None = None

    @property
    def address(self) -> str:
        """Where browsers of this host find it."""
        shown = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{shown}:{self.port}"

    def session_address(self, session: str) -> str:
        """The page of a session."""
        return f"{self.seen_at}/sessions/{session}"

    @property
    def seen_at(self) -> str:
        """Where browsers find it."""
        return self.site or self.address


@contextmanager
def told_address(folder: Path, address: tuple[str, int], site: str | None = None) -> Iterator[None]:
    """Tell other commands where browsers reach the service, while it runs."""
    file = folder / _ADDRESS_FILE
    file.write_text(json.dumps({"host": address[0], "port": address[1], "site": site}))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def find_service(home: Path) -> Service | None:
    """The service that runs with this state folder; None where none answers."""
    folder = home / "serve"
    try:
        told = json.loads((folder / _ADDRESS_FILE).read_text())
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(2)
            connection.connect(str(folder / "portal.sock"))
    except (OSError, ValueError):
        return None
    return Service(
        folder=folder, host=str(told["host"]), port=int(told["port"]), site=told.get("site") or None
    )


def open_through(service: Service, asked: OpenSession) -> str:
    """Have the service open a session, which is its own then; the session's id. Raises what it answers."""
    body = {
        "recipe": asked.recipe,
        "gui": asked.gui,
        "datasets": list(asked.datasets),
        "workspace": asked.workspace,
        "width": asked.geometry[0],
        "height": asked.geometry[1],
    }
    with _logged_in(service) as headers:
        answer = _post(service, "/api/sessions", body, headers)
    return str(answer["id"])


def end_through(service: Service, session: str) -> None:
    """Have the service end a session of this user: it alone knows what it observed. Raises what it answers."""
    with _logged_in(service) as headers:
        _post(service, f"/api/sessions/{session}/end", {}, headers)


@contextmanager
def _logged_in(service: Service) -> Iterator[Mapping[str, str]]:
    """The headers of this user, as a page of the portal sends them; good for the body alone."""
    from instantiator.session.tickets import Right, RightKind, Tickets
    from instantiator.web.guard import HEADER, guard_of

    now, tickets = datetime.now(UTC), Tickets(service.folder / "tickets.sqlite")
    right = Right(
        kind=RightKind.COOKIE,
        user=getpass.getuser(),
        session="",
        view_only=False,
        expires=now + _RIGHT_LIFE,
    )
    cookie = tickets.issue(right, now=now)
    host = service.address.removeprefix("http://")
    try:
        yield {
            "Host": host,
            "Origin": service.address,
            "Cookie": f"thaw-{service.port}={cookie}",
            HEADER: guard_of(cookie),
            "Content-Type": "application/json",
        }
    finally:
        tickets.take(RightKind.COOKIE, cookie, now=now)


def _post(
    service: Service, path: str, body: Mapping[str, object], headers: Mapping[str, str]
) -> Mapping[str, object]:
    connection = _Connection(service.folder / "portal.sock")
    try:
        connection.request("POST", path, json.dumps(body), dict(headers))
        answer = connection.getresponse()
        status, text = answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise ServiceRefused(
            f"the running service does not answer: {error}",
            where=str(service.folder),
            hint="is it stopping? try again, or start it: thaw serve",
        ) from error
    finally:
        connection.close()
    return _read_answer(status, text, service)


def _read_answer(status: int, text: bytes, service: Service) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if status < 300 and isinstance(value, dict):
        return value
    told = value.get("error") if isinstance(value, dict) else None
    told = told if isinstance(told, dict) else {}
    refused = ServiceRefused(
        str(told.get("message") or f"the running service answers with status {status}"),
        where=str(told.get("where") or service.address),
        hint=str(told.get("hint") or "see what it printed"),
    )
    refused.code = str(told.get("code") or ServiceRefused.code)
    raise refused


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_PATIENCE_S)
        self.sock.connect(str(self._path))
