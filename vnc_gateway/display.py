"""`/ws/{session}`: from a ticket to bytes."""

from __future__ import annotations

import base64
import binascii
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from aiohttp import web

from vnc_gateway.bridge import Bridge, TakenOver
from vnc_gateway.dial import dial_display
from vnc_gateway.errors import Close, GatewayError, RequestRefused, TicketRefused
from vnc_gateway.guard import read_ticket
from vnc_gateway.portal import Portal
from vnc_gateway.settings import Limits
from vnc_gateway.viewers import Activity, Places

log = logging.getLogger(__name__)
_DIALLERS = 16


class Displays:
    """Lets browsers in on displays, one WebSocket each."""

    def __init__(self, portal: Portal, limits: Limits) -> None:
        self.places = Places(limits)
        self.activity = Activity(portal.report_activity)
        self._portal = portal
        self._limits = limits
        self._bridges: set[Bridge] = set()
        self._executor = ThreadPoolExecutor(_DIALLERS, thread_name_prefix="dial")

    def say_goodbye(self) -> None:
        """Tell every viewer that the gateway restarts: their pages come back by themselves."""
        for bridge in tuple(self._bridges):
            bridge.finish(Close.RESTARTING, "the gateway restarts: reconnecting")

    def close(self) -> None:
        """Let go of the threads."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def serve(self, request: web.Request, session: str) -> web.StreamResponse:
        """Relay to the session's display. A refusal is a close code with a reason, which is all a page can see."""
        key = check_upgrade(request)
        started = time.monotonic()
        try:
            with ExitStack() as held:
                return await self._admit(request, session, key, held)
        except GatewayError as refused:
            log.info("viewer refused", extra={"session": session, "error": refused.code})
            return await _close_with_reason(request, refused)
        finally:
            log.debug(
                "viewer gone", extra={"session": session, "seconds": round(time.monotonic() - started, 3)}
            )

    async def _admit(
        self, request: web.Request, session: str, key: str, held: ExitStack
    ) -> web.StreamResponse:
        held.enter_context(self.places.take())
        ticket = read_ticket(",".join(request.headers.getall("Sec-WebSocket-Protocol", [])))
        if ticket is None:
            raise TicketRefused
        admission = await self._portal.redeem(ticket, session)
        held.enter_context(self.places.take_for(admission.user))
        connection = await dial_display(
            admission.socket, timeout_s=self._limits.dial_s, executor=self._executor
        )
        held.callback(connection.close)
        held.enter_context(self.activity.watch(session))
        bridge = Bridge(
            limits=self._limits, view_only=admission.view_only, on_input=lambda: self.activity.touch(session)
        )
        fields = {"session": session, "user": admission.user, "view_only": admission.view_only}
        log.info("viewer joins", extra=fields)
        self._bridges.add(bridge)
        held.callback(self._bridges.discard, bridge)
        held.callback(_log_end, bridge, fields)
        await bridge.run(request, key, connection)
        return TakenOver()


def check_upgrade(request: web.Request) -> str:
    """The key of a well-formed WebSocket handshake (RFC 6455, 4.2.1)."""
    headers = request.headers
    key = headers.get("Sec-WebSocket-Key", "")
    is_upgrade = (
        request.method == "GET"
        and headers.get("Upgrade", "").lower() == "websocket"
        and "upgrade" in [token.strip() for token in headers.get("Connection", "").lower().split(",")]
        and headers.get("Sec-WebSocket-Version") == "13"
        and not request.can_read_body
    )
    if not is_upgrade or request.query_string:
        raise RequestRefused("this path is for WebSockets, version 13, with nothing in the query")
    try:
        if len(key) == 24 and len(base64.b64decode(key, validate=True)) == 16:
            return key
    except (binascii.Error, ValueError):
        pass
    raise RequestRefused("the WebSocket's key is not 16 bytes in base64")


async def _close_with_reason(request: web.Request, refused: GatewayError) -> web.StreamResponse:
    socket = web.WebSocketResponse(protocols=("binary",), timeout=2, max_msg_size=1024, compress=False)
    await socket.prepare(request)
    await socket.close(code=refused.close, message=refused.message.encode()[:120])
    return socket


def _log_end(bridge: Bridge, fields: dict[str, object]) -> None:
    code, reason = bridge.finished.result() if bridge.finished.done() else (None, "never joined")
    moved = {"bytes_in": bridge.bytes_in, "bytes_out": bridge.bytes_out}
    log.info("viewer leaves", extra={**fields, **moved, "close": code and int(code), "reason": reason})
