"""`/lab/{session}/...`: a web lab behind its unix socket, HTTP and WebSocket, kept apart from the portal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from vnc_gateway.dial import hold_lab, say_lab_down
from vnc_gateway.headers import forward_request
from vnc_gateway.portal import Portal, open_client
from vnc_gateway.proxy import pass_through
from vnc_gateway.settings import Limits, Origin
from vnc_gateway.viewers import Activity, Places

log = logging.getLogger(__name__)
_MAX_MESSAGE = 64 * 1024 * 1024  # a notebook's output arrives as one message
_KEPT = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
_OF_THE_HANDSHAKE = "Sec-WebSocket-"


class Labs:
    """Passes a browser through to the labs its user may see; the portal is asked each time."""

    def __init__(self, portal: Portal, places: Places, activity: Activity, limits: Limits) -> None:
        self._portal = portal
        self._places = places
        self._activity = activity
        self._limits = limits

    async def serve(self, request: web.Request, session: str, origin: Origin) -> web.StreamResponse:
        """One request or one WebSocket of a lab."""
        lab = await self._portal.find_lab(session, "; ".join(request.headers.getall("Cookie", [])))
        with hold_lab(lab.socket) as socket:
            return await self._pass(request, socket, lab.user, session, origin)

    async def _pass(
        self, request: web.Request, socket: Path, user: str, session: str, origin: Origin
    ) -> web.StreamResponse:
        async with open_client(socket) as upstream:
            if request.headers.get("Upgrade", "").lower() != "websocket":
                self._activity.touch(session)
                return await pass_through(request, upstream, origin, lab=session, down=say_lab_down)
            with self._places.take(), self._places.take_for(user), self._activity.watch(session):
                return await self._relay(request, upstream, session, origin)

    async def _relay(
        self, request: web.Request, upstream: aiohttp.ClientSession, session: str, origin: Origin
    ) -> web.StreamResponse:
        offered = [
            part.strip()
            for line in request.headers.getall("Sec-WebSocket-Protocol", [])
            for part in line.split(",")
        ]
        headers = forward_request(
            request.headers.items(), origin=origin, host=request.host, client=request.remote or "", lab=True
        )
        for name in [name for name in headers if name.startswith(_OF_THE_HANDSHAKE)]:
            headers.popall(name, None)
        try:
            there = await upstream.ws_connect(
                URL(f"http://upstream{request.raw_path}", encoded=True),
                headers=headers,
                protocols=offered,
                max_msg_size=_MAX_MESSAGE,
                compress=0,
            )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise say_lab_down() from error
        async with there:
            protocols = (there.protocol,) if there.protocol else ()
            here = web.WebSocketResponse(
                protocols=protocols, max_msg_size=_MAX_MESSAGE, compress=False, heartbeat=30
            )
            await here.prepare(request)
            await self._pump_both(here, there, session)
            return here

    async def _pump_both(
        self, here: web.WebSocketResponse, there: aiohttp.ClientWebSocketResponse, session: str
    ) -> None:
        def note_activity() -> None:
            self._activity.touch(session)

        pumps = {
            asyncio.ensure_future(_pump(here, there, note_activity)),
            asyncio.ensure_future(_pump(there, here, lambda: None)),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await here.close(code=_plain_code(there.close_code), message=b"")
            await there.close(code=_plain_code(here.close_code))


_End = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pump(source: _End, target: _End, on_message: Callable[[], None]) -> None:
    async for message in source:
        if message.type not in _KEPT:
            break
        on_message()
        send = target.send_str if message.type is aiohttp.WSMsgType.TEXT else target.send_bytes
        await send(message.data)


def _plain_code(code: int | None) -> int:
    return code if code is not None and (1000 <= code <= 1003 or 1007 <= code <= 4999) else 1000
