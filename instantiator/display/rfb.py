"""Reads one picture of a screen over RFB 3.8: enough to know that a display answers and shows something.

Nothing is sent but what reading takes; the connection is shared, so nobody else is disturbed.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from provenance.errors import ThawError

_RAW, _COPY_RECT, _CURSOR = 0, 1, -239
# How many pixels a pointer may have: servers paint it into the picture while it is not where the client's is.
_POINTER = 32 * 32
# 32 bits a pixel, depth 24, little-endian, true colour, 8 bits each for red, green and blue.
_PIXEL_FORMAT = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)


class RfbFailed(ThawError):
    """A display does not answer as RFB says."""

    code = "rfb-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What a display shows: its size, name, and pixels as blue, green, red and an unused byte each."""

    width: int
    height: int
    name: str
    pixels: bytes

    def is_drawn(self) -> bool:
        """Whether a program shows something: an empty screen is black, but for the mouse pointer."""
        count, row, black = 0, self.width * 4, bytes(self.width * 4)
        for at in range(0, len(self.pixels), row):
            line = self.pixels[at : at + row]
            if line != black:  # most rows of an empty screen: a comparison is a thousand times a count
                colours = memoryview(line).cast("I").tolist()
                count += len(colours) - colours.count(0)
                if count > _POINTER:
                    return True
        return False


class RfbReader:
    """A connection to a display; to be closed. Every call may raise `RfbFailed`, also for want of an answer."""

    def __init__(self, path: Path, *, timeout_s: float = 5.0) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
            self.width, self.height, self.name = self._shake_hands()
        except (OSError, RfbFailed) as error:
            self.close()
            raise error if isinstance(error, RfbFailed) else self._failed(error) from error
        self._pixels = bytearray(self.width * self.height * 4)
        self._asked, self._seen = False, False

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> RfbReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read_screen(self) -> Screen:
        """The whole picture as it is now."""
        try:
            self._ask(incremental=False)
            while not self._read_update():
                self._ask(incremental=False)
        except OSError as error:
            raise self._failed(error) from error
        return self._screen()

    def wait_for_change(self, *, timeout_s: float) -> Screen | None:
        """The picture as soon as it changes, the first time at once; None where it stays the same so long."""
        try:
            if not self._asked:
                self._ask(incremental=self._seen)
            if not select.select([self._socket], [], [], timeout_s)[0]:
                return None
            if not self._read_update():
                self._asked = False
                return None
        except OSError as error:
            raise self._failed(error) from error
        return self._screen()

    def _ask(self, *, incremental: bool) -> None:
        self._socket.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))
        self._asked = True

    def _screen(self) -> Screen:
        self._asked, self._seen = False, True
        return Screen(width=self.width, height=self.height, name=self.name, pixels=bytes(self._pixels))

    def _shake_hands(self) -> tuple[int, int, str]:
        greeting = self._read(12)
        if not greeting.startswith(b"RFB "):
            raise self._failed(f"it greets with {greeting!r}")
        self._socket.sendall(b"RFB 003.008\n")
        kinds = self._read(self._read(1)[0])
        if 1 not in kinds:
            raise self._failed(f"it offers the security types {list(kinds)}, not 1 (none)")
        self._socket.sendall(b"\x01")
        if self._read(4) != b"\0\0\0\0":
            raise self._failed("it refuses the connection")
        self._socket.sendall(b"\x01")
        width, height, _, length = struct.unpack(">HH16sI", self._read(24))
        name = self._read(length).decode(errors="replace")
        encodings = struct.pack(">BxHii", 2, 2, _RAW, _CURSOR)
        self._socket.sendall(b"\0\0\0\0" + _PIXEL_FORMAT + encodings)
        return width, height, name

    def _read_update(self) -> bool:
        """Read messages up to the next update; others (bell, clipboard, colours) are passed over.

        Says whether it had pixels: where a program draws without a pause, the pointer's shape comes alone before
        them, and they have to be asked for again.
        """
        while (kind := self._read(1)[0]) != 0:
            if kind == 1:
                _, count = struct.unpack(">xHH", self._read(5))
                self._read(6 * count)
            elif kind == 3:
                (length,) = struct.unpack(">3xI", self._read(7))
                self._read(length)
            elif kind != 2:
                raise self._failed(f"it sends a message of type {kind}")
        (count,) = struct.unpack(">xH", self._read(3))
        encodings = set()
        for _ in range(count):
            *place, encoding = struct.unpack(">HHHHi", self._read(12))
            self._read_rectangle(*place, encoding=encoding)
            encodings.add(encoding)
        return _RAW in encodings

    def _read_rectangle(self, x: int, y: int, width: int, height: int, *, encoding: int) -> None:
        if encoding == _CURSOR:
            self._read(width * height * 4 + (width + 7) // 8 * height)
        elif encoding == _RAW:
            rows = self._read(width * height * 4)
            for row in range(height):
                at = ((y + row) * self.width + x) * 4
                self._pixels[at : at + width * 4] = rows[row * width * 4 : (row + 1) * width * 4]
        else:
            raise self._failed(f"it sends encoding {encoding}, which nobody asked for")

    def _read(self, count: int) -> bytes:
        received = bytearray()
        while len(received) < count:
            piece = self._socket.recv(min(count - len(received), 1 << 20))
            if not piece:
                raise self._failed("it hangs up")
            received += piece
        return bytes(received)

    def _failed(self, why: object) -> RfbFailed:
        words = "it does not answer in time" if isinstance(why, TimeoutError) else str(why)
        return RfbFailed(f"the display does not speak RFB: {words}", where=str(self._path))


def wait_for_rfb(path: Path, *, timeout_s: float) -> RfbReader:
    """A reader of the display at `path`, as soon as it answers; raises `RfbFailed` after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            return RfbReader(path)
        except RfbFailed:
            if time.monotonic() >= end:
                raise
            time.sleep(0.01)
