"""Pass HTTP requests and answers through, streamed both ways: of the portal, and of web labs."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
from aiohttp import web
from yarl import URL

from vnc_gateway.errors import GatewayError, RequestRefused
from vnc_gateway.headers import forward_request, forward_response
from vnc_gateway.settings import Origin

_CHUNK = 256 * 1024


async def pass_through(
    request: web.Request,
    upstream: aiohttp.ClientSession,
    origin: Origin,
    *,
    lab: str | None,
    down: Callable[[], GatewayError],
) -> web.StreamResponse:
    """The upstream's own answer, limited as `headers.py` says; raises `down()` where there is none.

    An answer that breaks off in the middle is broken off for the browser too: it must not look complete.
    """
    if "Content-Length" in request.headers and "Transfer-Encoding" in request.headers:
        raise RequestRefused("the request states its length in two ways")
    try:
        answer = await _ask(request, upstream, origin, lab)
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise down() from error
    async with answer:
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in forward_response(answer.headers.items(), origin=origin, lab=lab).items():
            response.headers.add(name, value)
        await response.prepare(request)
        try:
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
        except aiohttp.ClientPayloadError:
            _break_off(request)
            return response
        await response.write_eof()
        return response


async def _ask(
    request: web.Request, upstream: aiohttp.ClientSession, origin: Origin, lab: str | None
) -> aiohttp.ClientResponse:
    headers = forward_request(
        request.headers.items(),
        origin=origin,
        host=request.host,
        client=request.remote or "",
        lab=lab is not None,
    )
    return await upstream.request(
        request.method,
        URL(f"http://upstream{request.raw_path}", encoded=True),
        headers=headers,
        data=request.content.iter_chunked(_CHUNK) if request.can_read_body else None,
        allow_redirects=False,
    )


def _break_off(request: web.Request) -> None:
    transport = request.transport
    if transport is not None:
        transport.abort()
