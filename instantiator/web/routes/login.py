"""Log in with the one-time token `thaw serve` printed, and out again."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from instantiator.session.tickets import Right, RightKind
from instantiator.web.guard import NotLoggedIn, PortalOf, Writer, refuse_other_origin
from instantiator.web.pages import page

router = APIRouter()
COOKIE_LIFE = timedelta(days=30)


@router.get("/login")
def login(request: Request, portal: PortalOf, token: str = "") -> Response:
    """Turn a token into a cookie; without one, ask for it. The address with the token leads nowhere a second time."""
    if not token:
        return page(request, "login.html", error=None, status_code=200)
    return log_in(portal, token)


@router.post("/login")
def login_by_form(request: Request, portal: PortalOf, token: Annotated[str, Form()] = "") -> Response:
    """The same with the token typed in."""
    refuse_other_origin(request)
    return log_in(portal, token.strip().rpartition("token=")[2])


@router.post("/logout")
def logout(request: Request, portal: PortalOf, user: Writer) -> Response:
    """Forget this browser's cookie."""
    del user
    portal.tickets.take(RightKind.COOKIE, request.cookies.get(portal.cookie_name, ""), now=portal.clock())
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(portal.cookie_name)
    return response


def log_in(portal: PortalOf, token: str) -> Response:
    """Use the token up and give a cookie for it; raises `NotLoggedIn`."""
    now = portal.clock()
    found = portal.tickets.take(RightKind.TOKEN, token, now=now)
    if found is None:
        raise NotLoggedIn(
            "this login token was used already, or is too old",
            hint="logged in already? go to /; else print a new address: thaw serve --login",
        )
    right = Right(
        kind=RightKind.COOKIE, user=found.user, session="", view_only=False, expires=now + COOKIE_LIFE
    )
    cookie = portal.tickets.issue(right, now=now)
    response = RedirectResponse("/", status_code=303)
    response.set_cookie(
        portal.cookie_name,
        cookie,
        max_age=int(COOKIE_LIFE.total_seconds()),
        httponly=True,
        samesite="strict",
        path="/",
    )
    return response
