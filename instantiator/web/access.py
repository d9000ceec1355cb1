"""What who asks may do and see, for every route; what is not allowed here is refused.

`need(Scope.RUN)` is the dependency of a route. Somebody else's thing answers exactly as an unknown one does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Annotated

from fastapi import Depends, Request

from instantiator.dataset import DatasetUnknown
from instantiator.recipe.model import Recipe
from instantiator.session.errors import SessionLimit
from instantiator.session.model import Session, SessionId
from instantiator.users import Event, Principal, Scope, Thing
from instantiator.web.guard import (
    identify,
    refuse_foreign_page,
    refuse_missing_scope,
    require_user,
    require_writer,
)
from instantiator.web.portal import NotFound, Portal
from instantiator.web.rules import SAFE
from provenance.errors import ThawError
from provenance.store import Dataset, RunAmbiguous, RunRow, RunUnknown


@lru_cache(maxsize=len(Scope))
def need(scope: Scope) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency: the principal, where it has this scope.

    By cookie, what changes something must come from our own page. Raises `NotLoggedIn`, `TokenRefused`,
    `TokenExpired` (401), `ScopeMissing`, `RequestRefused` (403).
    """

    async def needed(request: Request) -> Principal:
        principal = identify(request)
        refuse_missing_scope(request, principal, scope)
        if request.method not in SAFE:
            await refuse_foreign_page(request, principal)
        return principal

    needed.__name__ = f"need_{scope.value}"
    return needed


Reader = Annotated[Principal, Depends(need(Scope.READ))]
Runner = Annotated[Principal, Depends(need(Scope.RUN))]
SessionUser = Annotated[Principal, Depends(need(Scope.SESSION))]
DatasetUser = Annotated[Principal, Depends(need(Scope.DATASET))]
Curator = Annotated[Principal, Depends(need(Scope.CURATE))]
Operator = Annotated[Principal, Depends(need(Scope.OPERATE))]


def principal_of(request: Request, user: Annotated[str, Depends(require_user)]) -> Principal:
    """The principal, where the rule of this request allows it."""
    found = request.state.principal
    assert isinstance(found, Principal)
    assert found.user == user
    return found


def writer_of(request: Request, user: Annotated[str, Depends(require_writer)]) -> Principal:
    """The same, where the request is one of our own pages' too."""
    return principal_of(request, user)


PrincipalOf = Annotated[Principal, Depends(principal_of)]
WriterOf = Annotated[Principal, Depends(writer_of)]
"""For the portal's own routes: the scope is the one of `instantiator.web.rules`."""


def may_see(portal: Portal, principal: Principal, kind: Thing, id: str, owner: str | None) -> bool:  # noqa: A002
    """Whether a thing is this one's, or was shared with this one. Without an owner it is the local user's."""
    return principal.user == (owner or portal.user) or portal.users.shares.is_shared(principal, kind, id)


def is_own(portal: Portal, principal: Principal, owner: str | None) -> bool:
    """Whether a thing is this one's, who alone may change it."""
    return principal.user == (owner or portal.user)


def seen_run(portal: Portal, principal: Principal, run: str) -> RunRow:
    """A run this one may look at, by its id or the beginning or end of it; raises `RunUnknown`."""
    try:
        row = portal.bench.store.run(run)
    except (RunUnknown, RunAmbiguous) as error:
        raise no_run(run) from error
    if not may_see(portal, principal, Thing.RUN, row.id, row.user):
        raise no_run(run)
    return row


def own_run(portal: Portal, principal: Principal, run: str) -> RunRow:
    """A run of this one's own, to cancel or to share; raises `RunUnknown` otherwise."""
    row = seen_run(portal, principal, run)
    if not is_own(portal, principal, row.user):
        raise no_run(run)
    return row


def no_run(run: str) -> RunUnknown:
    """The one answer for a run that is not there and for one that is somebody else's."""
    return RunUnknown(f"there is no run {run!r} of yours", where=run, hint="your runs are listed: /runs")


def seen_session(portal: Portal, principal: Principal, session: str) -> Session:
    """A session of this one, or one shared with this one to look on; raises `NotFound`."""
    try:
        found = portal.sessions.get(SessionId(session))
    except ThawError as error:
        raise no_session() from error
    if not may_see(portal, principal, Thing.SESSION, found.id, found.user):
        raise no_session()
    return found


def own_session(portal: Portal, principal: Principal, session: str) -> Session:
    """A session of this one's own; raises `NotFound` otherwise."""
    return portal.session_of(principal.user, session)


def no_session() -> NotFound:
    """The one answer for a session that is not there and for one that is somebody else's."""
    return NotFound("there is no session of yours with this name", hint="your sessions are listed: /sessions")


def sees_dataset(portal: Portal, principal: Principal, name: str) -> bool:
    """Whether this one may use a registered dataset: its own, or shared with it. All versions have one owner."""
    bare = name.partition("@")[0]
    return may_see(portal, principal, Thing.DATASET, bare, portal.users.shares.owner_of(Thing.DATASET, bare))


def seen_datasets(portal: Portal, principal: Principal) -> tuple[Dataset, ...]:
    """The registered datasets this one may use."""
    return tuple(item for item in portal.bench.store.datasets() if sees_dataset(portal, principal, item.name))


def no_dataset(name: str) -> DatasetUnknown:
    """The one answer for a dataset that is not there and for one that is somebody else's."""
    return DatasetUnknown(
        f"there is no dataset {name!r}", where=name, hint="those you may use: /api/v1/datasets"
    )


def note(portal: Portal, principal: Principal, event: Event, subject: str, *, detail: str = "") -> None:
    """Write into the audit log what was done."""
    by = f"by token {principal.token}" if principal.token else ""
    told = "; ".join(part for part in (detail, by) if part)
    portal.users.audit.write(event, principal.user, now=portal.clock(), subject=subject, detail=told)


def note_download(portal: Portal, principal: Principal, subject: str, what: str) -> None:
    """Write into the audit log that something was taken away: once, in however many parts it goes."""
    if portal.taken.is_new((principal.user, principal.token, subject, what), portal.clock()):
        note(portal, principal, Event.DOWNLOAD, subject, detail=what)


def users_seen(portal: Portal, principal: Principal) -> tuple[str | None, ...]:
    """Whose runs are this one's own, for lists of them: those of nobody are the local user's."""
    return (principal.user, None) if principal.user == portal.user else (principal.user,)


def shared_runs(portal: Portal, principal: Principal, limit: int = 50) -> tuple[RunRow, ...]:
    """The newest runs others share with this one."""
    ids = sorted(portal.users.shares.ids_for(principal, Thing.RUN), reverse=True)[:limit]
    found = []
    for run in ids:
        with suppress(RunUnknown):  # destroyed since
            row = portal.bench.store.run(run)
            if not is_own(portal, principal, row.user):
                found.append(row)
    return tuple(found)


def refuse_unseen(portal: Portal, principal: Principal, recipe: Recipe, datasets: Iterable[str]) -> None:
    """Raise `DatasetUnknown` for a dataset that is neither the recipe's own nor one this user may use."""
    own = {item.name for item in recipe.datasets}
    for name in datasets:
        if name not in own and not sees_dataset(portal, principal, name):
            raise no_dataset(name)


def refuse_more_sessions(portal: Portal, user: str) -> None:
    """Raise `SessionLimit` where a user has as many sessions as the user may; the service's own limit holds too."""
    living = sum(not item.state.is_over() for item in portal.sessions.list(user))
    most = portal.users.people.limits_of(user).sessions
    if living >= most:
        raise SessionLimit(
            f"you have {living} sessions open: at most {most} are allowed to you",
            hint="end one of them: /sessions; or ask the operator for more",
        )


def own_thing(portal: Portal, principal: Principal, kind: Thing, thing: str) -> str:
    """The whole name of a thing of this one's own; raises what an unknown one raises."""
    if kind is Thing.RUN:
        return own_run(portal, principal, thing).id
    if kind is Thing.SESSION:
        return own_session(portal, principal, thing).id
    bare = thing.partition("@")[0]
    is_known = any(item.name == bare for item in portal.bench.store.datasets())
    if not is_known or not is_own(portal, principal, portal.users.shares.owner_of(Thing.DATASET, bare)):
        raise no_dataset(thing)
    return bare
