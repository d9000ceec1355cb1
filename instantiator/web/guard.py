"""Who is asking, and whether a request that changes something really comes from one of our pages."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from instantiator.session.tickets import RightKind
from instantiator.web.portal import Portal
from provenance.errors import ThawError

HEADER = "x-guard"
FIELD = "guard"


class NotLoggedIn(ThawError):
    """The request carries no cookie of this portal, or an old one."""

    code = "not-logged-in"


class RequestRefused(ThawError):
    """A request that changes something did not come from a page of this portal."""

    code = "request-refused"


def portal_of(request: Request) -> Portal:
    """The portal a request is for."""
    found = request.app.state.portal
    assert isinstance(found, Portal)
    return found


def require_user(request: Request) -> str:
    """The user whose cookie this is; raises `NotLoggedIn`."""
    portal = portal_of(request)
    cookie = request.cookies.get(portal.cookie_name, "")
    right = portal.tickets.look(RightKind.COOKIE, cookie, now=portal.clock()) if cookie else None
    if right is None:
        raise NotLoggedIn(
            "you are not logged in", hint="open the address that `thaw serve` printed; it holds a login token"
        )
    request.state.user, request.state.guard = right.user, guard_of(cookie)
    return right.user


async def require_writer(request: Request, user: Annotated[str, Depends(require_user)]) -> str:
    """The user, where the request is one of our own pages' too: same origin, and the page's guard in it."""
    refuse_other_origin(request)
    given = request.headers.get(HEADER) or await _field(request)
    if not hmac.compare_digest(given.encode(), str(request.state.guard).encode()):
        raise RequestRefused(
            "the request does not carry this page's guard", hint="reload the page and do it again"
        )
    return user


def refuse_other_origin(request: Request) -> None:
    """Raise `RequestRefused` where a browser says another site made the request, or says nothing at all."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    host = request.headers.get("host", "")
    is_ours = urlsplit(origin).netloc == host if origin is not None else site == "same-origin"
    if not is_ours or site not in (None, "same-origin"):
        raise RequestRefused(
            f"the request comes from {origin or 'an unnamed origin'}, this portal is {host}",
            hint="use the portal's own pages; a script sends Origin and the guard of a page",
        )


def guard_of(cookie: str) -> str:
    """What pages of this cookie's owner carry, and other sites cannot know."""
    return hashlib.sha256(f"guard:{cookie}".encode()).hexdigest()[:40]


async def _field(request: Request) -> str:
    if not request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        return ""
    value = (await request.form()).get(FIELD, "")
    return value if isinstance(value, str) else ""


PortalOf = Annotated[Portal, Depends(portal_of)]
User = Annotated[str, Depends(require_user)]
Writer = Annotated[str, Depends(require_writer)]
LOGGED_IN = Depends(require_user)
"""For routers whose pages need a user and do not ask which."""
