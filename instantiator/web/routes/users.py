"""My tokens; with whom I share; users, groups and the audit log for the operator."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from instantiator.users import Event, NewToken, Principal, Role, Scope, ScopeMissing, Thing, UserLimits
from instantiator.users.sharing import share_with
from instantiator.web.access import PrincipalOf, WriterOf, note, own_thing
from instantiator.web.guard import LOGGED_IN, PortalOf
from instantiator.web.pages import page
from instantiator.web.portal import Portal
from provenance.errors import ThawError

router = APIRouter()
LIVES = (1, 7, 30, 90, 365)
AUDIT_PAGE = 100


@router.get("/tokens")
def tokens(request: Request, portal: PortalOf, principal: PrincipalOf) -> Response:
    """My tokens, and a form for a new one."""
    return _tokens(request, portal, principal)


@router.post("/tokens")
def new_token(
    request: Request,
    portal: PortalOf,
    principal: WriterOf,
    label: Annotated[str, Form(max_length=80)] = "",
    days: Annotated[int, Form(ge=1, le=366)] = 30,
    scope: Annotated[list[Scope] | None, Form()] = None,
) -> Response:
    """Make a token and show it, this once."""
    _refuse_by_token(principal)
    now = portal.clock()
    try:
        made = portal.users.tokens.new(
            principal.user,
            set(scope or ()) & principal.scopes,
            label=label,
            expires=now + timedelta(days=days),
            now=now,
        )
    except ThawError as error:
        return _tokens(request, portal, principal, error=error)
    note(portal, principal, Event.TOKEN_NEW, made.token.id, detail=" ".join(sorted(made.token.scopes)))
    return _tokens(request, portal, principal, made=made)


@router.post("/tokens/{token}/revoke")
def revoke(portal: PortalOf, principal: WriterOf, token: str) -> Response:
    """Make a token of mine worthless."""
    _refuse_by_token(principal)
    portal.users.tokens.revoke(principal.user, token)
    note(portal, principal, Event.TOKEN_REVOKE, token)
    return RedirectResponse("/tokens", status_code=303)


@router.get("/share/{kind}/{thing}")
def shares(request: Request, portal: PortalOf, principal: PrincipalOf, kind: Thing, thing: str) -> Response:
    """With whom a thing of mine is shared."""
    found = own_thing(portal, principal, kind, thing)
    return page(request, "share.html", kind=kind, thing=found, shares=portal.users.shares.of(kind, found))


@router.post("/share/{kind}/{thing}")
def share(
    portal: PortalOf,
    principal: WriterOf,
    kind: Thing,
    thing: str,
    whom: Annotated[str, Form(max_length=80)],
    back: Annotated[bool, Form()] = False,
) -> Response:
    """Let a user or a group look at it, or take that back."""
    found = own_thing(portal, principal, kind, thing)
    made = share_with(portal.users, kind, found, whom.strip(), is_taken_back=back)
    note(portal, principal, Event.UNSHARE if back else Event.SHARE, f"{kind} {found}", detail=made.told)
    return RedirectResponse(f"/share/{kind}/{found}", status_code=303)


@router.get("/users", dependencies=[LOGGED_IN])
def users(request: Request, portal: PortalOf) -> Response:
    """All users, their roles, groups and limits."""
    return _users(request, portal)


@router.post("/users")
def add_user(
    request: Request,
    portal: PortalOf,
    principal: WriterOf,
    name: Annotated[str, Form(max_length=80)],
    role: Annotated[list[Role] | None, Form()] = None,
    external: Annotated[bool, Form()] = False,
) -> Response:
    """Make a user known."""
    try:
        portal.users.people.add(name.strip(), role or (), now=portal.clock(), is_external=external)
    except ThawError as error:
        return _users(request, portal, error=error)
    note(portal, principal, Event.USER, name.strip(), detail=f"added: {' '.join(sorted(role or ()))}")
    return RedirectResponse("/users", status_code=303)


@router.post("/users/{name}")
def change_user(
    request: Request,
    portal: PortalOf,
    principal: WriterOf,
    name: str,
    queued: Annotated[int, Form(ge=0)],
    executing: Annotated[int, Form(ge=0)],
    sessions: Annotated[int, Form(ge=0)],
    upload_gb: Annotated[float, Form(ge=0)],
    role: Annotated[list[Role] | None, Form()] = None,
    groups: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Say what a user may do, in which groups the user is, and how much there may be at once."""
    people = portal.users.people
    try:
        people.set_roles(name, role or ())
        people.set_groups(name, groups.replace(",", " ").split())
        limits = UserLimits(
            queued=queued, executing=executing, sessions=sessions, upload_bytes=round(upload_gb * 1e9)
        )
        people.set_limits(name, limits)
    except ThawError as error:
        return _users(request, portal, error=error)
    told = f"roles: {' '.join(sorted(role or ()))}; groups: {groups}; limits: {limits}"
    note(portal, principal, Event.USER, name, detail=told)
    return RedirectResponse("/users", status_code=303)


@router.post("/users/{name}/remove")
def remove_user(portal: PortalOf, principal: WriterOf, name: str) -> Response:
    """Let a user in no more; runs and records stay."""
    portal.users.people.remove(name, now=portal.clock())
    note(portal, principal, Event.USER, name, detail="removed")
    return RedirectResponse("/users", status_code=303)


@router.get("/audit", dependencies=[LOGGED_IN])
def audit(
    request: Request, portal: PortalOf, who: str = "", event: str = "", before: int | None = None
) -> Response:
    """What was done, newest first."""
    entries = portal.users.audit.page(AUDIT_PAGE + 1, before=before, user=who, event=event)
    return page(
        request,
        "audit.html",
        entries=entries[:AUDIT_PAGE],
        more=entries[AUDIT_PAGE - 1].number if len(entries) > AUDIT_PAGE else None,
        events=[item.value for item in Event],
        who=who,
        event=event,
    )


def _tokens(
    request: Request,
    portal: Portal,
    principal: Principal,
    *,
    made: NewToken | None = None,
    error: ThawError | None = None,
) -> Response:
    return page(
        request,
        "tokens.html",
        status=422 if error else 200,
        tokens=portal.users.tokens.of(principal.user),
        allowed=[scope for scope in Scope if principal.may(scope)],
        principal=principal,
        limits=portal.users.people.limits_of(principal.user),
        lives=LIVES,
        made=made,
        error=error,
        now=portal.clock(),
    )


def _users(request: Request, portal: Portal, *, error: ThawError | None = None) -> Response:
    return page(
        request,
        "users.html",
        status=422 if error else 200,
        people=portal.users.people.all(),
        local=portal.user,
        roles=list(Role),
        error=error,
    )


def _refuse_by_token(principal: Principal) -> None:
    """A token makes no token: what leaks for an hour would stay for a year."""
    if principal.token is not None:
        raise ScopeMissing(
            "tokens are made and revoked by who is logged in, not by a token", hint="the page /tokens"
        )
