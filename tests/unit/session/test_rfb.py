"""The RFB reader, against a server that says what a test tells it to."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from instantiator.display.rfb import RfbFailed, RfbReader, Screen


def serve(path: Path, talk: Callable[[socket.socket], None]) -> None:
    """One connection on a unix socket, served in a thread."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1)

    def run() -> None:
        connection, _ = listener.accept()
        with connection, listener, suppress(ConnectionError):
            talk(connection)

    threading.Thread(target=run, daemon=True).start()


def shake_hands(connection: socket.socket, width: int, height: int) -> None:
    connection.sendall(b"RFB 003.008\n")
    assert connection.recv(12) == b"RFB 003.008\n"
    connection.sendall(b"\x01\x01")
    assert connection.recv(1) == b"\x01"
    connection.sendall(b"\0\0\0\0")
    assert connection.recv(1) == b"\x01"
    connection.sendall(struct.pack(">HH16xI", width, height, 4) + b"Thaw")
    connection.recv(64)


def test_a_picture_is_read_past_bells_clipboards_and_pointers(tmp_path: Path) -> None:
    def talk(connection: socket.socket) -> None:
        shake_hands(connection, 2, 1)
        pointer = struct.pack(">HHHHi", 0, 0, 1, 1, -239) + bytes(5)
        picture = struct.pack(">HHHHi", 0, 0, 2, 1, 0) + b"\1\2\3\0" + b"\4\5\6\0"
        connection.sendall(b"\x02" + b"\x03\0\0\0" + struct.pack(">I", 2) + b"hi")
        connection.sendall(struct.pack(">BxH", 0, 2) + pointer + picture)
        connection.recv(64)

    serve(tmp_path / "rfb", talk)
    with RfbReader(tmp_path / "rfb") as reader:
        screen = reader.read_screen()
    assert (screen.width, screen.height, screen.name) == (2, 1, "Thaw")
    assert screen.pixels == b"\1\2\3\0\4\5\6\0"


@pytest.mark.parametrize("is_waiting", (False, True))
def test_an_update_of_the_pointer_alone_is_not_taken_for_the_picture(
    tmp_path: Path, is_waiting: bool
) -> None:
    """As a display sends it while a program draws without a pause."""

    def talk(connection: socket.socket) -> None:
        shake_hands(connection, 1, 1)
        pointer = struct.pack(">HHHHi", 0, 0, 1, 1, -239) + bytes(5)
        connection.sendall(struct.pack(">BxH", 0, 1) + pointer)
        assert connection.recv(10)[1] == 0  # all of it is asked for, again
        connection.sendall(struct.pack(">BxHHHHHi", 0, 1, 0, 0, 1, 1, 0) + b"\1\2\3\0")
        connection.recv(64)

    serve(tmp_path / "rfb", talk)
    with RfbReader(tmp_path / "rfb") as reader:
        if is_waiting:
            assert reader.wait_for_change(timeout_s=5) is None
        screen = reader.wait_for_change(timeout_s=5) if is_waiting else reader.read_screen()
    assert screen is not None and screen.pixels == b"\1\2\3\0"


@pytest.mark.parametrize(
    ("words", "why"), ((b"HTTP/1.0 200 OK\r\n", "greets"), (b"RFB 003.008\n\x01\x02", "security types"))
)
def test_a_server_that_is_no_display_of_ours_is_told_apart(tmp_path: Path, words: bytes, why: str) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(words)
        connection.recv(64)

    serve(tmp_path / "rfb", talk)
    with pytest.raises(RfbFailed, match=why):
        RfbReader(tmp_path / "rfb")


def test_a_change_is_waited_for_and_none_is_said_so(tmp_path: Path) -> None:
    def talk(connection: socket.socket) -> None:
        shake_hands(connection, 1, 1)
        picture = struct.pack(">HHHHi", 0, 0, 1, 1, 0) + b"\1\2\3\0"
        connection.sendall(struct.pack(">BxH", 0, 1) + picture)
        while connection.recv(64):
            pass

    serve(tmp_path / "rfb", talk)
    with RfbReader(tmp_path / "rfb") as reader:
        first = reader.wait_for_change(timeout_s=5)
        assert first is not None and first.pixels == b"\1\2\3\0"
        assert reader.wait_for_change(timeout_s=0.01) is None


def test_nobody_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(RfbFailed, match="No such file"):
        RfbReader(tmp_path / "rfb")


@pytest.mark.parametrize(("lit", "drawn"), ((0, False), (32 * 32, False), (32 * 32 + 1, True)))
def test_a_screen_is_drawn_when_more_than_a_pointer_is_not_black(lit: int, drawn: bool) -> None:
    pixels = b"\xff\xff\xff\0" * lit + bytes(4 * (100 * 100 - lit))
    assert Screen(width=100, height=100, name="", pixels=pixels).is_drawn() is drawn
