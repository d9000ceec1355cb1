"""What a view-only viewer's words become on their way to the display."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnc_gateway.errors import RfbRefused
from vnc_gateway.rfb import EXTENDED_MOUSE_BUTTONS, ViewOnlyFilter

HELLO = b"RFB 003.008\n\x01\x01"
KEY = struct.pack(">BBxxI", 4, 1, 0xFF0D)
POINTER = struct.pack(">BBHH", 5, 1, 10, 20)
UPDATE = struct.pack(">BBHHHH", 3, 1, 0, 0, 640, 480)


def encode(codes: list[int]) -> bytes:
    return struct.pack(f">BxH{len(codes)}i", 2, len(codes), *codes)


def fixed(kind: int, size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size - 1, max_size=size - 1).map(lambda rest: bytes((kind,)) + rest)


codes = st.integers(-(2**31), 2**31 - 1).filter(lambda code: code != EXTENDED_MOUSE_BUTTONS)
allowed = st.one_of(
    fixed(0, 20),
    fixed(3, 10),
    fixed(150, 10),
    st.lists(codes, max_size=40).map(encode),
    st.binary(max_size=64).map(lambda data: struct.pack(">BxxxIB", 248, 1, len(data)) + data),
)
dropped = st.one_of(
    fixed(4, 8),
    fixed(5, 6),
    fixed(250, 4),
    st.binary(max_size=300).map(lambda text: struct.pack(">Bxxxi", 6, len(text)) + text),
    st.binary(min_size=1, max_size=300).map(lambda text: struct.pack(">Bxxxi", 6, -len(text)) + text),
    st.binary(min_size=10, max_size=10).map(lambda rest: b"\xff\x00" + rest),
    st.integers(0, 4).map(lambda n: struct.pack(">BxHHBx", 251, 800, 600, n) + bytes(16 * n)),
)
messages = st.lists(st.one_of(allowed.map(lambda m: (m, m)), dropped.map(lambda m: (m, b""))), max_size=30)


@given(messages, st.data())
def test_however_the_bytes_are_cut_only_what_may_pass_passes_in_order(
    said: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    stream = HELLO + b"".join(sent for sent, _ in said)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    view_only = ViewOnlyFilter()
    passed = b"".join(view_only.feed(piece) for piece in pieces)
    assert passed == HELLO + b"".join(wanted for _, wanted in said)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_never_become_input_of_the_display(noise: bytes) -> None:
    view_only = ViewOnlyFilter()
    passed = bytearray()
    try:
        for at in range(0, len(noise), 7):
            passed += view_only.feed(noise[at : at + 7])
    except RfbRefused:
        pass
    assert len(passed) <= len(noise)


@given(messages)
def test_what_has_passed_once_passes_again_unchanged(said: list[tuple[bytes, bytes]]) -> None:
    once = ViewOnlyFilter().feed(HELLO + b"".join(sent for sent, _ in said))
    assert ViewOnlyFilter().feed(once) == once


@pytest.mark.parametrize("kind", [1, 7, 99, 128, 249, 252, 253, 254])
def test_a_message_of_unknown_type_ends_the_connection(kind: int) -> None:
    with pytest.raises(RfbRefused, match=f"unknown type {kind}"):
        ViewOnlyFilter().feed(HELLO + UPDATE + bytes((kind,)))


def test_a_clipboard_of_gigabytes_is_dropped_without_being_held() -> None:
    view_only = ViewOnlyFilter()
    view_only.feed(HELLO + struct.pack(">Bxxxi", 6, 2**31 - 1))
    for _ in range(100):
        assert view_only.feed(bytes(1 << 20)) == b""
    assert len(view_only._held) == 0


def test_asking_for_the_display_alone_is_made_a_shared_wish() -> None:
    assert ViewOnlyFilter().feed(b"RFB 003.008\n\x01\x00") == HELLO


def test_extended_pointer_events_are_never_agreed_upon() -> None:
    passed = ViewOnlyFilter().feed(HELLO + encode([7, EXTENDED_MOUSE_BUTTONS, -223]) + POINTER + KEY)
    assert passed == HELLO + encode([7, -223])


@pytest.mark.parametrize("hello", [b"RFB 003.003\n", b"RFB 004.001\n", b"GET / HTTP/1", b"RFB 003.008\n\x02"])
def test_another_protocol_or_security_type_ends_the_connection(hello: bytes) -> None:
    with pytest.raises(RfbRefused):
        ViewOnlyFilter().feed(hello)
