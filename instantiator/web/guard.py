"""Who is asking, what for, and whether a request that changes something really comes from one of our pages."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Request

from instantiator.session.tickets import RightKind
from instantiator.users import Event, Principal, Scope, ScopeMissing, TokenExpired, TokenRefused
from instantiator.web.portal import Portal
from instantiator.web.rules import needed_scope
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


def identify(request: Request) -> Principal:
    """Who asks, by bearer token or by this portal's cookie; raises what tells which of them is not good.

    A request with an `Authorization` header is judged by it alone: a cookie does not help a bad token.
    """
    header = request.headers.get("authorization")
    principal = _by_cookie(request) if header is None else _by_token(request, header)
    request.state.principal, request.state.user = principal, principal.user
    return principal


def refuse_missing_scope(request: Request, principal: Principal, scope: Scope | None) -> None:
    """Raise `ScopeMissing` unless the scope is there; None, where no rule allows the request, is never there."""
    if scope is not None and principal.may(scope):
        return
    portal = portal_of(request)
    what = f"{request.method} {request.url.path}"
    needed = f"the scope {scope.value!r}" if scope else "a rule that allows it, and there is none"
    portal.users.audit.write(
        Event.REFUSED, principal.user, now=portal.clock(), subject=what, detail=f"needs {needed}"
    )
    raise ScopeMissing(
        f"you may not do this: it needs {needed}; yours are {', '.join(sorted(principal.scopes)) or 'none'}",
        hint="a token with this scope: the page /tokens; a role that has it: ask the operator",
    )


def require_user(request: Request) -> str:
    """The user, where the request's rule allows it; raises `NotLoggedIn`, `ScopeMissing`."""
    principal = identify(request)
    refuse_missing_scope(request, principal, needed_scope(request.method, request.url.path))
    return principal.user


async def require_writer(request: Request, user: Annotated[str, Depends(require_user)]) -> str:
    """The user, where the request is one of our own pages' too."""
    await refuse_foreign_page(request, request.state.principal)
    return user


async def refuse_foreign_page(request: Request, principal: Principal) -> None:
    """Raise `RequestRefused` unless our own page sent this: same origin, and its guard in it.

    A token comes with no browser by itself, so a request with one needs no guard; but browsers do remember one
    that was given as a password, and then only our own pages may use it.
    """
    if principal.token is not None:
        if _is_basic(request) and {"origin", "sec-fetch-site"} & set(request.headers):
            refuse_other_origin(request)
        return
    refuse_other_origin(request)
    given = request.headers.get(HEADER) or await _field(request)
    if not hmac.compare_digest(given.encode(), str(request.state.guard).encode()):
        raise RequestRefused(
            "the request does not carry this page's guard", hint="reload the page and do it again"
        )


def _by_cookie(request: Request) -> Principal:
    portal = portal_of(request)
    cookie = request.cookies.get(portal.cookie_name, "")
    right = portal.tickets.look(RightKind.COOKIE, cookie, now=portal.clock()) if cookie else None
    found = portal.users.principal(right.user, local=portal.user) if right else None
    if found is None:
        raise NotLoggedIn(
            "you are not logged in", hint="open the address that `thaw serve` printed; it holds a login token"
        )
    request.state.guard = guard_of(cookie)
    return found


def _by_token(request: Request, header: str) -> Principal:
    portal = portal_of(request)
    try:
        token = portal.users.tokens.find(_token_in(request, header), now=portal.clock())
        found = portal.users.principal(token.user, local=portal.user)
        if found is None:
            raise TokenRefused("the user of this token is not known here any more", hint="ask the operator")
    except (TokenRefused, TokenExpired) as error:
        what = f"{request.method} {request.url.path}"
        portal.users.audit.write(
            Event.REFUSED, "", now=portal.clock(), subject=what, detail=f"{error.code}: {error.message}"
        )
        raise
    return replace(found, scopes=found.scopes & token.scopes, token=token.id, expires=token.expires)


def _token_in(request: Request, header: str) -> str:
    """The token a header holds. Clients of the Virtual Observatory know passwords: there the token may be one."""
    kind, _, text = header.partition(" ")
    if kind.casefold() == "bearer":
        return text.strip()
    if not _is_basic(request):
        raise TokenRefused(
            f"found an Authorization of the kind {kind[:20]!r}; expected 'Bearer thaw_...'",
            hint="make a token: thaw token new, or the page /tokens",
        )
    try:
        return base64.b64decode(text.strip(), validate=True).decode().partition(":")[2]
    except ValueError as error:
        raise TokenRefused(
            "the Authorization cannot be read; expected 'Basic' with a token as the password",
            hint="give any name, and the token as the password",
        ) from error


def _is_basic(request: Request) -> bool:
    kind = request.headers.get("authorization", "").partition(" ")[0]
    return kind.casefold() == "basic" and request.url.path.startswith(("/uws/", "/datalink/"))


def refuse_other_origin(request: Request) -> None:
    """Raise `RequestRefused` where a browser says another site made the request, or says nothing at all."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    host = request.headers.get("host", "")
    is_ours = origin.partition("://")[2] == host if origin is not None else site == "same-origin"
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
