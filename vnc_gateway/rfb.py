"""What a view-only viewer may say: a filter over the client's half of RFB (RFC 6143 and its extensions). Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable

from vnc_gateway.errors import RfbRefused

VERSIONS = (b"RFB 003.007\n", b"RFB 003.008\n")
NO_AUTHENTICATION = 1
# An extension that, once agreed, makes pointer events a byte longer: so it is never agreed here.
EXTENDED_MOUSE_BUTTONS = -316

SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST = 0, 2, 3
KEY, POINTER, CUT_TEXT = 4, 5, 6
CONTINUOUS_UPDATES, FENCE, XVP, SET_DESKTOP_SIZE, QEMU = 150, 248, 250, 251, 255
INPUT_MESSAGES = frozenset((KEY, POINTER, CUT_TEXT, SET_DESKTOP_SIZE, QEMU))
"""The first bytes by which a message of somebody at work is known."""

_FORWARDED_SIZES = {SET_PIXEL_FORMAT: 20, UPDATE_REQUEST: 10, CONTINUOUS_UPDATES: 10}
_DROPPED_SIZES = {KEY: 8, POINTER: 6, XVP: 4}
_MAX_FENCE = 64


class ViewOnlyFilter:
    """Takes a client's bytes in any pieces, gives back those that may go on to the display.

    Key, pointer, clipboard, resize and power messages are left out; a message of an unknown type ends the
    connection (`RfbRefused`), since where it ends cannot be known. At most one message of bounded size is held.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._to_drop = 0
        self._needed = len(VERSIONS[0])
        self._next: Callable[[bytes], bytes] = self._take_version

    def feed(self, data: bytes) -> bytes:
        """The part of the stream that may go on, in order."""
        self._held += data
        allowed = bytearray()
        while self._drop() and len(self._held) >= self._needed:
            taken = bytes(self._held[: self._needed])
            del self._held[: self._needed]
            allowed += self._next(taken)
        return bytes(allowed)

    def _drop(self) -> bool:
        dropped = min(self._to_drop, len(self._held))
        del self._held[:dropped]
        self._to_drop -= dropped
        return not self._to_drop

    def _expect(self, size: int, step: Callable[[bytes], bytes]) -> None:
        self._needed, self._next = size, step

    def _expect_message(self) -> None:
        self._expect(1, self._take_type)

    def _take_version(self, version: bytes) -> bytes:
        if version not in VERSIONS:
            raise RfbRefused(f"a view-only viewer speaks RFB 3.7 or 3.8, not {version!r}")
        self._expect(1, self._take_security)
        return version

    def _take_security(self, chosen: bytes) -> bytes:
        if chosen[0] != NO_AUTHENTICATION:
            raise RfbRefused(f"a view-only viewer asks for security type {chosen[0]}, expected 1 (none)")
        self._expect(1, self._take_shared)
        return chosen

    def _take_shared(self, _: bytes) -> bytes:
        self._expect_message()
        return b"\x01"  # always shared: asking for the display alone would put the other viewers out

    def _take_type(self, first: bytes) -> bytes:
        kind = first[0]
        if kind in _FORWARDED_SIZES:
            self._expect(_FORWARDED_SIZES[kind] - 1, lambda rest: self._end(first + rest))
        elif kind in _DROPPED_SIZES:
            self._drop_rest(_DROPPED_SIZES[kind] - 1)
        elif kind in self._heads():
            size, step = self._heads()[kind]
            self._expect(size, step)
        else:
            raise RfbRefused(f"a view-only viewer sent an RFB message of unknown type {kind}")
        return b""

    def _heads(self) -> dict[int, tuple[int, Callable[[bytes], bytes]]]:
        return {
            SET_ENCODINGS: (3, self._take_encodings_head),
            CUT_TEXT: (7, self._take_cut_text_head),
            FENCE: (8, self._take_fence_head),
            SET_DESKTOP_SIZE: (7, self._take_desktop_head),
            QEMU: (1, self._take_qemu_kind),
        }

    def _end(self, message: bytes) -> bytes:
        self._expect_message()
        return message

    def _drop_rest(self, size: int) -> bytes:
        self._to_drop = size
        self._expect_message()
        return b""

    def _take_encodings_head(self, head: bytes) -> bytes:
        (count,) = struct.unpack(">xH", head)
        self._expect(4 * count, self._take_encodings)
        return b""

    def _take_encodings(self, body: bytes) -> bytes:
        kept = [code for (code,) in struct.iter_unpack(">i", body) if code != EXTENDED_MOUSE_BUTTONS]
        return self._end(struct.pack(f">BxH{len(kept)}i", SET_ENCODINGS, len(kept), *kept))

    def _take_cut_text_head(self, head: bytes) -> bytes:
        (length,) = struct.unpack(">3xi", head)
        return self._drop_rest(abs(length))  # a negative length announces the extended clipboard

    def _take_fence_head(self, head: bytes) -> bytes:
        if head[7] > _MAX_FENCE:
            raise RfbRefused(f"a fence carries {head[7]} bytes, at most {_MAX_FENCE} are allowed")
        self._expect(head[7], lambda payload: self._end(bytes((FENCE,)) + head + payload))
        return b""

    def _take_desktop_head(self, head: bytes) -> bytes:
        return self._drop_rest(16 * head[5])

    def _take_qemu_kind(self, kind: bytes) -> bytes:
        if kind[0] != 0:
            raise RfbRefused(f"a view-only viewer sent a QEMU message of unknown kind {kind[0]}")
        return self._drop_rest(10)
