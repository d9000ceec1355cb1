"""The gateway's one door: check every request, then hand it to noVNC, a display, a lab or the portal."""

from __future__ import annotations

import asyncio
import html
import logging
import time
from collections.abc import AsyncIterator

from aiohttp import web

from vnc_gateway.display import Displays
from vnc_gateway.errors import GatewayError, NotFound, PortalDown, RequestRefused
from vnc_gateway.guard import (
    METHODS,
    check_host,
    check_origin,
    check_public,
    check_session_id,
    find_origin,
    split_target,
)
from vnc_gateway.headers import describe_security
from vnc_gateway.labs import Labs
from vnc_gateway.log import mask_path
from vnc_gateway.portal import Portal
from vnc_gateway.proxy import pass_through
from vnc_gateway.settings import GatewaySettings, Origin
from vnc_gateway.static import serve_novnc

log = logging.getLogger(__name__)
LAB = web.RequestKey("lab", str)
LEFT = 499  # in the log alone: the browser left first, as every viewer of a display does some day


class Gateway:
    """Everything one running gateway holds."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.portal = Portal(settings.portal)
        self.displays = Displays(self.portal, settings.limits)
        self.labs = Labs(self.portal, self.displays.places, self.displays.activity, settings.limits)

    async def close(self) -> None:
        """Let go of connections and threads."""
        self.displays.close()
        await self.portal.close()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any request: checked, routed, logged; a refusal is an answer like others."""
        started = time.monotonic()
        status = 500
        try:
            response = await self._route(request)
            status = response.status
        except GatewayError as refused:
            response = describe_refusal(request, refused)
            status = refused.status
        except asyncio.CancelledError:
            status = LEFT
            raise
        finally:
            took = round(time.monotonic() - started, 4)
            fields = {"method": request.method, "path": mask_path(request.raw_path), "status": status}
            log.info("request", extra={**fields, "seconds": took})
        return response

    async def _route(self, request: web.Request) -> web.StreamResponse:
        if request.method not in METHODS:
            raise RequestRefused("this method is not served")
        segments = split_target(request.raw_path)
        if segments == ("healthz",):
            return web.json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})
        origins = self.settings.origins
        check_host(_only(request, "Host"), origins)
        check_public(segments)
        is_websocket = "Upgrade" in request.headers or segments[0] == "ws"
        check_origin(request.method, request.headers, origins, is_websocket=is_websocket)
        return await self._hand_on(request, segments)

    async def _hand_on(self, request: web.Request, segments: tuple[str, ...]) -> web.StreamResponse:
        match segments:
            case ("novnc", *rest):
                return await serve_novnc(request, self.settings.novnc, tuple(rest))
            case ("ws", session):
                return await self.displays.serve(request, check_session_id(session))
            case ("lab", session, _, *_):
                request[LAB] = check_session_id(session)
                return await self.labs.serve(request, session, self.origin_of(request))
            case ("ws" | "lab", *_):
                raise NotFound("nothing is served here")
        return await pass_through(
            request, self.portal.http, self.origin_of(request), lab=None, down=PortalDown
        )

    def origin_of(self, request: web.Request) -> Origin:
        """The address this request was sent to."""
        return find_origin(request.host, self.settings.origins)

    async def secure(self, request: web.Request, response: web.StreamResponse) -> None:
        """Put the security headers on every answer; a stricter policy of the portal's own stays beside ours."""
        own = response.headers.getall("Content-Security-Policy", [])
        response.headers.update(describe_security(self.origin_of(request), request.get(LAB)))
        for policy in own:
            response.headers.add("Content-Security-Policy", policy)


def build_app(settings: GatewaySettings) -> web.Application:
    """The gateway as an aiohttp application."""
    app = web.Application(client_max_size=0)
    gateway: list[Gateway] = []

    async def run(_: web.Application) -> AsyncIterator[None]:
        gateway.append(Gateway(settings))
        yield
        await gateway[0].close()

    async def answer(request: web.Request) -> web.StreamResponse:
        return await gateway[0].answer(request)

    async def secure(request: web.Request, response: web.StreamResponse) -> None:
        await gateway[0].secure(request, response)

    async def say_goodbye(_: web.Application) -> None:
        gateway[0].displays.say_goodbye()

    app.cleanup_ctx.append(run)
    app.on_shutdown.append(say_goodbye)
    app.on_response_prepare.append(secure)
    app.router.add_route("*", "/{path:.*}", answer)
    return app


def describe_refusal(request: web.Request, refused: GatewayError) -> web.Response:
    """A refusal as a page for people and as JSON for programs; a page that may work soon asks again by itself."""
    headers = {"Cache-Control": "no-store"}
    if refused.status in (502, 503):
        headers["Retry-After"] = "2"
        headers |= {"Refresh": "2"} if request.method == "GET" else {}
    if "text/html" not in request.headers.get("Accept", ""):
        problem = {"title": refused.message, "status": refused.status, **refused.to_json()}
        return web.json_response(
            problem, status=refused.status, headers=headers, content_type="application/problem+json"
        )
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{refused.status}</title>'
        f"<h1>{html.escape(refused.message)}</h1><p>{html.escape(refused.hint)}</p>"
        '<p><a href="/">Back to the portal</a></p></html>'
    )
    return web.Response(text=text, status=refused.status, headers=headers, content_type="text/html")


def _only(request: web.Request, name: str) -> str | None:
    values = request.headers.getall(name, [])
    if len(values) > 1:
        raise RequestRefused(f"the request has {len(values)} {name} headers")
    return values[0] if values else None
