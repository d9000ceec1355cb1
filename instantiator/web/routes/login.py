"""Log in with the one-time token `thaw serve` printed, and out again."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from instantiator.session.tickets import Right, RightKind
from instantiator.users import Event
from instantiator.web.guard import NotLoggedIn, PortalOf, Writer, refuse_other_origin
from instantiator.web.pages import own_page, page
from instantiator.web.portal import Portal

router = APIRouter()
COOKIE_LIFE = timedelta(days=30)


@router.get("/login")
def login(request: Request, portal: PortalOf, token: str = "", next: str = "/") -> Response:  # noqa: A002
    """Turn a token into a cookie and go to `next`, a page of this portal; without one, ask for it.

    The address with the token leads nowhere a second time.
    """
    if not token:
        return page(request, "login.html", error=None, next=own_page(next))
    return _log_in_or_ask(request, portal, token, own_page(next))


@router.post("/login")
def login_by_form(
    request: Request,
    portal: PortalOf,
    token: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002  # the name such a field has everywhere
) -> Response:
    """The same with the token, or the whole address that was printed, typed in."""
    refuse_other_origin(request)
    bare = token.strip().rpartition("token=")[2].partition("&")[0]
    return _log_in_or_ask(request, portal, bare, own_page(next))


@router.post("/logout")
def logout(request: Request, portal: PortalOf, user: Writer) -> Response:
    """Forget this browser's cookie."""
    portal.users.audit.write(Event.LOGOUT, user, now=portal.clock(), subject="login")
    portal.tickets.take(RightKind.COOKIE, request.cookies.get(portal.cookie_name, ""), now=portal.clock())
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(portal.cookie_name)
    return response


def _log_in_or_ask(request: Request, portal: PortalOf, token: str, leads_to: str) -> Response:
    try:
        return log_in(portal, token, leads_to)
    except NotLoggedIn as error:
        return page(request, "login.html", status=401, error=error, next=leads_to)


def log_in(portal: PortalOf, token: str, leads_to: str = "/") -> Response:
    """Use the token up, give a cookie for it and lead on; raises `NotLoggedIn`."""
    now = portal.clock()
    found = portal.tickets.take(RightKind.TOKEN, token, now=now)
    if found is None:
        raise NotLoggedIn(
            "this login token was used already, or is too old",
            hint="logged in already? go to /; else print a new address: thaw serve --login",
        )
    portal.users.audit.write(Event.LOGIN, found.user, now=now, subject="login", detail="one-time address")
    return give_cookie(portal, RedirectResponse(leads_to, status_code=303), found.user)


def give_cookie(
    portal: Portal, response: Response, user: str, *, life: timedelta = COOKIE_LIFE, is_secure: bool = False
) -> Response:
    """The answer, with a new cookie of this user in it."""
    now = portal.clock()
    right = Right(kind=RightKind.COOKIE, user=user, session="", view_only=False, expires=now + life)
    response.set_cookie(
        portal.cookie_name,
        portal.tickets.issue(right, now=now),
        max_age=int(life.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=is_secure,
        path="/",
    )
    return response
