"""What only the gateway asks, over the unix socket; from outside /internal/ is not reachable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, ValidationError

from instantiator.session.model import SessionId
from instantiator.session.tickets import RightKind, TicketRefused
from instantiator.web.guard import PortalOf, RequestRefused
from instantiator.web.lab_socket import admit_gateway
from instantiator.web.portal import NotFound

router = APIRouter(prefix="/internal")


class Strict(BaseModel):
    """A body with exactly the keys it declares."""

    model_config = ConfigDict(extra="forbid", strict=True)


_Body = TypeVar("_Body", bound=Strict)


def body_of(model: type[_Body]) -> Callable[[Request], Awaitable[_Body]]:
    """Reads a body as JSON whatever its type is said to be: the gateway's client names none."""

    async def read(request: Request) -> _Body:
        try:
            return model.model_validate_json(await request.body())
        except ValidationError as error:
            raise RequestRefused(f"the question is not as expected: {error.errors()[0]['msg']}") from error

    return read


class Redeem(Strict):
    """A ticket as a browser offered it, and the session it wants."""

    ticket: str
    session: str


class Activity(Strict):
    """Somebody looks at a session."""

    session: str
    viewers: int


class Lab(Strict):
    """A web lab a browser asks for; the browser's cookie comes as the request's."""

    session: str


@router.post("/redeem")
def redeem(asked: Annotated[Redeem, Depends(body_of(Redeem))], portal: PortalOf) -> dict[str, object]:
    """Use a ticket up; answers where the session's screen is, and whether it may only be watched."""
    right = portal.tickets.redeem_ticket(asked.ticket, asked.session, now=portal.clock())
    session = portal.session_of(right.user, asked.session)
    if session.rfb_socket is None or not session.state.has_screen():
        raise TicketRefused(f"the session is {session.state}: it has no screen", hint="reload its page")
    portal.sessions.touch(session.id)
    return {"socket": str(session.rfb_socket), "view_only": right.view_only, "user": right.user}


@router.post("/activity")
def activity(told: Annotated[Activity, Depends(body_of(Activity))], portal: PortalOf) -> dict[str, object]:
    """A session is being looked at: it is not idle."""
    if told.viewers > 0:
        portal.sessions.touch(SessionId(told.session))
    return {}


@router.post("/lab")
def lab(
    request: Request, asked: Annotated[Lab, Depends(body_of(Lab))], portal: PortalOf
) -> dict[str, object]:
    """Where the web lab of a session listens, for the owner of the cookie."""
    right = portal.tickets.look(
        RightKind.COOKIE, request.cookies.get(portal.cookie_name, ""), now=portal.clock()
    )
    if right is None:
        raise NotFound("there is no session of yours with this name")
    session = portal.session_of(right.user, asked.session)
    if session.web_socket is None or not session.state.has_screen():
        raise NotFound("this session has no web lab, or it is not ready")
    admit_gateway(session.web_socket, portal.gateway_gid)
    portal.sessions.touch(session.id)
    return {"socket": str(session.web_socket), "user": right.user}
