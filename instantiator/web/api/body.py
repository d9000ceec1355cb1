"""No request is larger than its limit, whether it says so or not."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from instantiator.web.api.problems import answer, told

PIECE_LIMIT = 16 * 1024**2
"""The most bytes one piece of an upload may have."""

BODY_LIMIT = 4 * 1024**2
"""The most bytes any other request may have: an upload's list of ten thousand files fits."""


class BoundedBody:
    """Refuses a request that announces too much, and stops reading one that sends too much."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = PIECE_LIMIT if scope["method"] == "PATCH" and "/uploads/" in scope["path"] else BODY_LIMIT
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit:
            refusal = answer(
                told(413, f"expected at most {limit} bytes, found {int(announced)}", scope["path"])
            )
            await refusal(scope, receive, send)
            return
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > limit:
                raise HTTPException(413, f"expected at most {limit} bytes, found more")
            return message

        await self._app(scope, counted, send)
