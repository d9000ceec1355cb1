"""A session as data: its state for the page that waits, tickets, extend, restart, end, and links to watch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from instantiator.session.model import OpenSession, Session, SessionId
from instantiator.session.tickets import Right, RightKind, TicketRefused
from instantiator.users import Event
from instantiator.web.access import (
    PrincipalOf,
    WriterOf,
    note,
    own_session,
    refuse_more_sessions,
    refuse_unseen,
    seen_session,
)
from instantiator.web.guard import PortalOf, User, Writer, refuse_other_origin
from instantiator.web.portal import Portal
from provenance.record import format_time

router = APIRouter(prefix="/api")


class Wanted(BaseModel):
    """What a ticket is asked for."""

    model_config = ConfigDict(extra="forbid", strict=True)
    view_only: bool = False


class Watcher(BaseModel):
    """A link's secret."""

    model_config = ConfigDict(extra="forbid", strict=True)
    share: str


class Opening(BaseModel):
    """A session as it is asked for."""

    model_config = ConfigDict(extra="forbid", strict=True)
    recipe: str
    gui: str | None = None
    datasets: list[str] = Field(default_factory=list, max_length=64)
    workspace: str = "default"
    width: int = Field(default=1280, ge=100, le=9999)
    height: int = Field(default=800, ge=100, le=9999)


def session_to_json(session: Session, now: datetime) -> dict[str, object]:
    """A session as its page needs it; no path of this host is in it."""
    return {
        "id": session.id,
        "title": session.title,
        "recipe": session.recipe,
        "kind": session.kind,
        "state": session.state.value,
        "has_screen": session.state.has_screen(),
        "is_over": session.state.is_over(),
        "steps": [
            {"name": s.name, "state": s.state.value, "detail": s.detail, "seconds": s.seconds}
            for s in session.steps
        ],
        "message": session.message,
        "exit_status": session.exit_status,
        "log_tail": list(session.log_tail),
        "workspace": session.workspace,
        "datasets": list(session.datasets),
        "created": format_time(session.created),
        "waited_s": round(((session.ready or session.ended or now) - session.created).total_seconds(), 1),
        "left_s": max(0, round((session.expires - now).total_seconds())),
        "warn_s": session.limits.warn_s,
        "record": session.record,
        "end_reason": session.end_reason,
    }


@router.get("/sessions")
def sessions(portal: PortalOf, user: User) -> dict[str, object]:
    """My sessions."""
    return {"sessions": [session_to_json(item, portal.clock()) for item in portal.sessions.list(user)]}


@router.post("/sessions", status_code=201)
def open_session(portal: PortalOf, principal: WriterOf, asked: Opening) -> dict[str, object]:
    """Begin a session; it launches while its steps are looked at."""
    recipe = portal.bench.recipe(asked.recipe)
    refuse_unseen(portal, principal, recipe, asked.datasets)
    refuse_more_sessions(portal, principal.user)
    session = portal.sessions.open(
        OpenSession(
            user=principal.user,
            recipe=recipe.id,
            gui=asked.gui,
            datasets=tuple(asked.datasets),
            workspace=asked.workspace,
            geometry=(asked.width, asked.height),
        )
    )
    note(portal, principal, Event.SESSION_OPEN, session.id, detail=recipe.id)
    return session_to_json(session, portal.clock())


@router.get("/sessions/{session}")
def session_data(portal: PortalOf, principal: PrincipalOf, session: str) -> dict[str, object]:
    """One session now, of mine or shared with me."""
    return session_to_json(seen_session(portal, principal, session), portal.clock())


@router.get("/sessions/{session}/log")
def session_log(portal: PortalOf, user: User, session: str) -> dict[str, object]:
    """What the display and the program last printed: a launch's page shows it as it comes."""
    lines = portal.sessions.read_log(portal.session_of(user, session).id)
    return {"lines": [{"from": who, "text": text} for who, text in lines]}


@router.post("/sessions/{session}/ticket")
def ticket(portal: PortalOf, principal: WriterOf, session: str, wanted: Wanted) -> dict[str, object]:
    """A ticket for one connection, good for a minute; to a session shared with me, for looking on."""
    found = seen_session(portal, principal, session)
    is_own = found.user == principal.user
    return _issue(portal, found.user, found.id, view_only=wanted.view_only or not is_own)


@router.post("/sessions/{session}/share")
def share(portal: PortalOf, principal: WriterOf, session: str) -> dict[str, object]:
    """A link with which anybody may look on until the session ends; they can neither type nor see files."""
    found = own_session(portal, principal, session)
    right = Right(
        kind=RightKind.SHARE, user=principal.user, session=found.id, view_only=True, expires=found.expires
    )
    note(portal, principal, Event.SHARE, f"session {found.id}", detail="link to watch")
    text = portal.tickets.issue(right, now=portal.clock())
    return {"path": f"/watch/{found.id}#{text}", "expires": format_time(right.expires)}


@router.post("/watch/{session}/ticket")
def watch_ticket(request: Request, portal: PortalOf, session: str, watcher: Watcher) -> dict[str, object]:
    """A view-only ticket for the holder of a link; no cookie is needed."""
    refuse_other_origin(request)
    right = portal.tickets.look(RightKind.SHARE, watcher.share, now=portal.clock())
    if right is None or right.session != session:
        raise TicketRefused(
            "this link leads nowhere: the session has ended, or the link was withdrawn",
            hint="ask for a new link",
        )
    found = portal.session_of(right.user, session)
    answer = _issue(portal, right.user, found.id, view_only=True)
    return {
        **answer,
        "title": found.title,
        "state": found.state.value,
        "has_screen": found.state.has_screen(),
    }


@router.post("/sessions/{session}/extend")
def extend(portal: PortalOf, user: Writer, session: str) -> dict[str, object]:
    """Put the end off."""
    return _do(portal, user, session, portal.sessions.extend)


@router.post("/sessions/{session}/restart")
def restart(portal: PortalOf, user: Writer, session: str) -> dict[str, object]:
    """Start the program again on the same screen."""
    return _do(portal, user, session, portal.sessions.restart_application)


@router.post("/sessions/{session}/end")
def end(portal: PortalOf, principal: WriterOf, session: str) -> dict[str, object]:
    """End the session; its files are kept and its record is written."""
    found = own_session(portal, principal, session)
    note(portal, principal, Event.SESSION_END, found.id)
    portal.tickets.withdraw(found.id)
    return session_to_json(portal.sessions.end(found.id, "ended by its user"), portal.clock())


def _do(portal: Portal, user: str, session: str, act: Callable[[SessionId], object]) -> dict[str, object]:
    found = portal.session_of(user, session)
    act(found.id)
    return session_to_json(portal.session_of(user, session), portal.clock())


def _issue(portal: Portal, user: str, session: SessionId, *, view_only: bool) -> dict[str, object]:
    issued = portal.tickets.issue_ticket(user, session, view_only=view_only, now=portal.clock())
    return {"ticket": issued.text, "expires": format_time(issued.expires)}
