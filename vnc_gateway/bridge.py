"""Bytes between a browser's WebSocket and a display's unix socket; nothing else here relays bytes.

aiohttp speaks HTTP up to the upgrade; then picows takes the same connection over, whose relay costs less for a byte
(bench/gateway.py). Both directions stop reading where the other side does not keep up, so what is held is bounded.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

import picows
from aiohttp import web
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # the class ws_create_server itself makes

from vnc_gateway.errors import Close, RfbRefused
from vnc_gateway.rfb import INPUT_MESSAGES, ViewOnlyFilter
from vnc_gateway.settings import Limits

_HEADER = 14  # the room picows wants before a message, to write the frame's header there
_READ_SIZE = 256 * 1024
_HIGH_WATER = 512 * 1024
_PING_EVERY_S = 30
# Looked up once: an enum's members cost a lookup each time, and these are asked for with every message.
_BINARY, _CONTINUATION = picows.WSMsgType.BINARY, picows.WSMsgType.CONTINUATION
_GOODBYE_S = 2.0
# One for all connections: what is read is passed on, or copied, before anything else runs.
_frame = bytearray(_HEADER + _READ_SIZE)
_payload = memoryview(_frame)[_HEADER:]
_logger = logging.getLogger("vnc_gateway.picows")
_logger.setLevel(logging.CRITICAL)


class Bridge(picows.WSListener):
    """One viewer: browser <-> display, until either ends, a rule is broken or nothing moves any more."""

    def __init__(self, *, limits: Limits, view_only: bool, on_input: Callable[[], None]) -> None:
        self.finished: asyncio.Future[tuple[Close | None, str]] = asyncio.get_running_loop().create_future()
        self.bytes_in = 0
        self.bytes_out = 0
        self._limits = limits
        self._filter = ViewOnlyFilter() if view_only else None
        self._on_input = on_input
        self._message_size = 0
        self._browser: picows.WSTransport | None = None
        self._display: asyncio.Transport | None = None
        self._display_socket: socket.socket | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._lost: Callable[[Exception | None], None] | None = None

    async def run(self, request: web.Request, key: str, display: socket.socket) -> tuple[Close | None, str]:
        """Take the request's connection over, relay until the end; why it ended (None: the browser just left)."""
        transport = request.transport
        assert transport is not None
        transport.pause_reading()
        self._lost = request.protocol.connection_lost
        _take_over(transport, self, key, self._limits.message_bytes)
        try:
            loop = asyncio.get_running_loop()
            self._display_socket = display
            self._display, _ = await loop.create_unix_connection(lambda: _DisplayEnd(self), sock=display)
            self._display.set_write_buffer_limits(high=_HIGH_WATER)
            self._watch_idle(-1)
            transport.resume_reading()
            return await asyncio.shield(self.finished)
        finally:
            self.finish(Close.RESTARTING, "the gateway restarts: reconnecting")

    def finish(self, code: Close | None, reason: str) -> None:
        """End both sides, once; the browser is told why where it is still there."""
        if self.finished.done():
            return
        self.finished.set_result((code, reason))
        if self._idle is not None:
            self._idle.cancel()
        if self._display is not None:
            self._display.close()
        if self._browser is not None and code is not None:
            self._browser.send_close(code, reason[:120])  # type: ignore[arg-type]  # any number of 4000-4999
            # The browser closes the connection in answer; one that does not is cut off.
            loop = asyncio.get_running_loop()
            loop.call_later(_GOODBYE_S, self._browser.underlying_transport.abort)
            self._browser.underlying_transport.resume_reading()

    # The browser's side, as picows calls it.

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """The upgrade is answered."""
        self._browser = transport
        transport.underlying_transport.set_write_buffer_limits(high=_HIGH_WATER)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """One frame, or one piece of a message in several; pings never arrive here."""
        kind = frame.msg_type
        if kind is _BINARY or kind is _CONTINUATION:
            self._take_from_browser(frame)
        elif kind == picows.WSMsgType.TEXT:
            self.finish(Close.BINARY_ONLY, "only binary messages are understood here")
        elif kind == picows.WSMsgType.CLOSE:
            if not transport.is_close_frame_sent:
                transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """The connection is gone, whoever ended it."""
        self.finish(None, _say_why_lost(transport))
        if self._lost is not None:
            self._lost(None)  # aiohttp forgets the connection too

    def pause_writing(self) -> None:
        """The browser reads slowly: let the display wait."""
        if self._display is not None:
            self._display.pause_reading()

    def resume_writing(self) -> None:
        """The browser has caught up."""
        if self._display is not None and not self._display.is_closing():
            self._display.resume_reading()

    def _take_from_browser(self, frame: picows.WSFrame) -> None:
        data = frame.get_payload_as_bytes()
        self._message_size += len(data)
        if self._message_size > self._limits.message_bytes:
            self.finish(Close.TOO_BIG, f"a message is larger than {self._limits.message_bytes} bytes")
        if frame.fin:
            self._message_size = 0
        if self.finished.done() or self._display is None or not data:
            return
        self.bytes_in += len(data)
        if self._filter is not None:
            data = self._let_through(self._filter, data)
        elif data[0] in INPUT_MESSAGES:  # noVNC begins a frame with each message of a person at work
            self._on_input()
        if data:
            self._send_to_display(data)

    def _send_to_display(self, data: bytes) -> None:
        """At once where nothing waits: the display begins its answer while other viewers are still served."""
        assert self._display is not None and self._display_socket is not None
        if not self._display.get_write_buffer_size():
            with suppress(OSError):  # full, or gone: the transport waits for the one, and tells of the other
                data = data[self._display_socket.send(data) :]
        if data:
            self._display.write(data)

    def _let_through(self, view_only: ViewOnlyFilter, data: bytes) -> bytes:
        try:
            return view_only.feed(data)
        except RfbRefused as refused:
            self.finish(Close.BROKEN_RFB, refused.message)
            return b""

    # The display's side, as `_DisplayEnd` calls it.

    def take_from_display(self, size: int) -> None:
        """Send what the display drew, `size` bytes of the shared buffer; a full one goes without another copy."""
        if self._browser is not None and not self.finished.done():
            self.bytes_out += size
            frame = _frame if size == _READ_SIZE else _frame[: _HEADER + size]
            self._browser.send_reuse_external_bytearray(_BINARY, frame, _HEADER)

    def throttle_browser(self, *, paused: bool) -> None:
        """Stop reading from the browser while the display does not keep up."""
        if self._browser is not None and not self.finished.done():
            transport = self._browser.underlying_transport
            transport.pause_reading() if paused else transport.resume_reading()

    def _watch_idle(self, moved: int) -> None:
        now = self.bytes_in + self.bytes_out
        if now == moved:
            self.finish(Close.IDLE, f"nothing moved for {self._limits.idle_s:g} s: reload to go on")
        else:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._limits.idle_s, self._watch_idle, now)


class _DisplayEnd(asyncio.BufferedProtocol):
    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def get_buffer(self, _: int) -> memoryview:
        return _payload

    def buffer_updated(self, nbytes: int) -> None:
        self._bridge.take_from_display(nbytes)

    def connection_lost(self, _: Exception | None) -> None:
        self._bridge.finish(Close.DISPLAY_GONE, "the display of this session has ended: reload the page")

    def pause_writing(self) -> None:
        self._bridge.throttle_browser(paused=True)

    def resume_writing(self) -> None:
        self._bridge.throttle_browser(paused=False)


def _take_over(transport: asyncio.Transport, bridge: Bridge, key: str, max_frame: int) -> None:
    """Hand aiohttp's connection to picows, which answers 101; the handshake is written anew from what was checked."""
    answer = picows.WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": "binary"})
    protocol = WSProtocol(
        None,
        None,
        False,  # the server's side
        lambda _: picows.WSUpgradeResponseWithListener(answer, bridge),
        _logger,
        True,  # an exception ends the connection
        None,
        True,  # pings
        _PING_EVERY_S,
        _PING_EVERY_S,
        picows.WSAutoPingStrategy.PING_WHEN_IDLE,
        True,  # pongs
        max_frame,
        None,
        16 * 1024,
    )
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    handshake = (
        "GET / HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode("ascii")
    protocol.get_buffer(len(handshake))[: len(handshake)] = handshake
    protocol.buffer_updated(len(handshake))


def _say_why_lost(transport: picows.WSTransport) -> str:
    handshake: picows.picows.WSCloseHandshake | None = transport.close_handshake
    if handshake is None:
        return "connection lost"
    sent = None if handshake.recv_then_sent else handshake.sent
    return sent.reason if sent is not None else "closed by the browser"


class TakenOver(web.Response):
    """What aiohttp is given for a connection that is no longer its own: it sends nothing."""

    def __init__(self) -> None:
        super().__init__(status=101)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing to send."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing to end."""
