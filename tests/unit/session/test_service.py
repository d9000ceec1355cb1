"""How commands reach the running service, and what they make of its answers."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from instantiator.commands.serve import NotServing, running_site
from instantiator.commands.service import (
    Service,
    ServiceRefused,
    find_service,
    open_through,
    told_address,
)
from instantiator.session.model import OpenSession


def answer_once(path: Path, answer: bytes) -> list[bytes]:
    """A service that gives one answer; what it was asked, once it was."""
    asked: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1)

    def run() -> None:
        connection, _ = listener.accept()
        with connection, listener, suppress(ConnectionError):
            asked.append(connection.recv(65536))
            if not asked[0].rstrip().endswith(b"}"):
                asked[0] += connection.recv(65536)
            connection.sendall(answer)

    threading.Thread(target=run, daemon=True).start()
    return asked


def answered(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


ASKED = OpenSession(user="ada", recipe="fv/5.5.2", workspace="paper")


def test_a_session_is_asked_for_as_a_page_of_the_portal_would(tmp_path: Path) -> None:
    asked = answer_once(tmp_path / "portal.sock", answered("201 Created", b'{"id": "20261120-154949-k3f9"}'))
    service = Service(folder=tmp_path, host="0.0.0.0", port=8765)
    assert open_through(service, ASKED) == "20261120-154949-k3f9"
    head = asked[0].decode()
    assert head.startswith("POST /api/sessions HTTP/1.1\r\n")
    assert "Origin: http://127.0.0.1:8765\r\n" in head and "Cookie: thaw-8765=" in head
    assert '"workspace": "paper"' in head


def test_what_the_service_refuses_is_refused_in_its_words(tmp_path: Path) -> None:
    body = b'{"error": {"code": "session-limit", "message": "4 are open", "where": "ada", "hint": "end one"}}'
    answer_once(tmp_path / "portal.sock", answered("429 Too Many Requests", body))
    with pytest.raises(ServiceRefused) as refused:
        open_through(Service(folder=tmp_path, host="127.0.0.1", port=8765), ASKED)
    error = refused.value
    assert (error.code, error.message, error.hint) == ("session-limit", "4 are open", "end one")


def test_a_service_is_found_only_while_it_listens(tmp_path: Path) -> None:
    folder = tmp_path / "serve"
    folder.mkdir()
    with told_address(folder, ("127.0.0.1", 8765)):
        assert find_service(tmp_path) is None
        answer_once(folder / "portal.sock", b"")
        found = find_service(tmp_path)
    assert found is not None
    assert found.session_address("x") == "http://127.0.0.1:8765/sessions/x"
    assert find_service(tmp_path) is None


@pytest.mark.parametrize(
    ("site", "seen_at"),
    [(None, "http://127.0.0.1:8799"), ("https://thaw.example.org", "https://thaw.example.org")],
)
def test_a_login_address_is_the_running_services(tmp_path: Path, site: str | None, seen_at: str) -> None:
    folder = tmp_path / "serve"
    folder.mkdir()
    with pytest.raises(NotServing):
        running_site(tmp_path)
    with told_address(folder, ("0.0.0.0", 8799), site):
        answer_once(folder / "portal.sock", b"")
        assert running_site(tmp_path) == seen_at
