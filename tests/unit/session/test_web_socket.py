"""The socket a web application made: asked where it is one, never followed where it is a link."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from instantiator.session.web_socket import ask_web, hold_socket


def answer_at(path: Path, answer: bytes) -> list[bytes]:
    """A server that gives one answer; what it was asked."""
    asked: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1)
    listener.settimeout(5)

    def run() -> None:
        with listener:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                return
            with connection:
                asked.append(connection.recv(1000))
                connection.sendall(answer)

    threading.Thread(target=run, daemon=True).start()
    return asked


def test_an_application_that_speaks_http_is_ready(tmp_path: Path) -> None:
    asked = answer_at(tmp_path / "web.sock", b"HTTP/1.0 302 Found\r\nLocation: /lab\r\n\r\n")
    assert ask_web(tmp_path / "web.sock") == "HTTP/1.0 302 Found"
    assert asked[0].startswith(b"GET / ")


@pytest.mark.parametrize("answer", (b"", b"RFB 003.008\n"))
def test_one_that_does_not_is_waited_for(tmp_path: Path, answer: bytes) -> None:
    answer_at(tmp_path / "web.sock", answer)
    assert ask_web(tmp_path / "web.sock") is None


def test_a_link_to_a_socket_of_the_host_is_not_followed(tmp_path: Path) -> None:
    asked = answer_at(tmp_path / "docker.sock", b"HTTP/1.0 200 OK\r\n\r\n")
    (tmp_path / "web.sock").symlink_to(tmp_path / "docker.sock")
    assert ask_web(tmp_path / "web.sock") is None
    assert asked == []


def test_what_is_no_socket_is_not_held(tmp_path: Path) -> None:
    (tmp_path / "web.sock").write_text("a file")
    with pytest.raises(OSError, match="is not a socket"), hold_socket(tmp_path / "web.sock"):
        pass
    assert ask_web(tmp_path / "missing.sock") is None
