"""Around every request: an id in the answer and the logs, one line in the log, one count, and the gate."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from instantiator.operate.gate import RETRY_S, ServiceEnding
from instantiator.operate.log import about
from instantiator.operate.metrics import OTHER
from instantiator.web.answers import answer_error
from instantiator.web.portal import Portal

_log = logging.getLogger("thaw.access")
_THINGS = re.compile(r"/(runs|sessions)/([0-9]{8}-[0-9]{6}-[a-z0-9]{1,12})(?:/|$)")
_SECRET_PART = re.compile(r"[A-Za-z0-9_=.%-]{20,}")
_THING_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[a-z0-9]{1,12}")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics", "/internal/activity"})
LEFT = 499


class Attended:
    """The outermost layer of the portal. No query, header or body is ever logged."""

    def __init__(self, app: ASGIApp, portal: Portal) -> None:
        self._app = app
        self._portal = portal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id_, began, answered = secrets.token_hex(8), time.monotonic(), 0

        async def tell(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = int(message["status"])
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", id_.encode())]
            await send(message)

        path = str(scope["path"])
        with about(request=id_, **_thing_of(path)):
            status = 500
            try:
                await self._pass(scope, receive, tell)
                status = answered or LEFT
            finally:
                self._note(scope, path, status, time.monotonic() - began)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._portal.gate.check(scope["method"], scope["path"])
        except ServiceEnding as error:
            response = answer_error(Request(scope), error)
            response.headers["Retry-After"] = str(RETRY_S)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _note(self, scope: Scope, path: str, status: int, seconds: float) -> None:
        self._portal.meters.count_request(scope["method"], route_of(scope), status, seconds)
        level = logging.DEBUG if path in _QUIET and status < 500 else logging.INFO
        user = scope.get("state", {}).get("user", "")
        fields = {"method": scope["method"], "path": mask_path(path), "status": status}
        extra = {**fields, "seconds": round(seconds, 4), **({"user": user} if user else {})}
        _log.log(level, "request", extra=extra)


def route_of(scope: Scope) -> str:
    """The template of the route that answered; `other` where none did."""
    route = scope.get("route")
    template = str(getattr(route, "path", ""))
    if not template:
        return "/static" if str(scope["path"]).startswith("/static/") else OTHER
    root = str(scope.get("root_path", ""))
    return template if template.startswith(root) else root + template


def mask_path(path: str) -> str:
    """The path with stars for each part that may be a secret, as the links to watch a session hold one."""
    parts = path[:512].split("/")
    return "/".join("***" if _SECRET_PART.fullmatch(p) and not _THING_ID.fullmatch(p) else p for p in parts)


def _thing_of(path: str) -> dict[str, str]:
    found = _THINGS.search(path)
    return {found[1].removesuffix("s"): found[2]} if found else {}
