"""Who asks, and for what: the parameters that routes share. Somebody else's thing answers as an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import Depends, Path

from instantiator.dataset.names import find_registered
from instantiator.queue.model import QueuedRun
from instantiator.users import Principal, Scope, Thing
from instantiator.web.access import (
    DatasetUser,
    Operator,
    Reader,
    Runner,
    SessionUser,
    is_own,
    may_see,
    need,
    no_dataset,
    note,
    sees_dataset,
)
from instantiator.web.guard import PortalOf
from instantiator.web.portal import Portal
from provenance.store import Dataset, RunUnknown

__all__ = [
    "OPERATES",
    "READS",
    "DatasetUser",
    "Operator",
    "PortalOf",
    "Reader",
    "RunId",
    "Runner",
    "SessionUser",
    "check_datasets",
    "dataset_of",
    "note",
    "run_of",
]

READS, OPERATES = Depends(need(Scope.READ)), Depends(need(Scope.OPERATE))
"""For routes that need a scope and do not ask whose."""

RunId = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,64}$", max_length=64, examples=["20261120-120000-f000"])]


def run_of(portal: Portal, asker: Principal, run: str, *, to_change: bool = False) -> QueuedRun:
    """A run this one may look at, by exactly its id, or `to_change` it; raises `RunUnknown`.

    An operator may look at every run and cancel it.
    """
    try:
        found = portal.queue.get(run)
    except RunUnknown as error:
        raise _no_run(run) from error
    allowed = (
        is_own(portal, asker, found.user)
        if to_change
        else may_see(portal, asker, Thing.RUN, found.id, found.user)
    )
    if not allowed and not asker.may(Scope.OPERATE):
        raise _no_run(run)
    return found


def dataset_of(portal: Portal, asker: Principal, reference: str) -> Dataset:
    """A registered dataset this one may use; raises `DatasetUnknown`."""
    found = find_registered(reference, portal.bench.store)
    if found is None or not sees_dataset(portal, asker, found.name):
        raise no_dataset(reference)
    return found


def check_datasets(portal: Portal, asker: Principal, references: Iterable[str]) -> None:
    """Raise `DatasetUnknown` where a registered dataset is not this one's; a recipe's own are everybody's."""
    for reference in references:
        if find_registered(reference, portal.bench.store) is not None:
            dataset_of(portal, asker, reference)


def _no_run(run: str) -> RunUnknown:
    return RunUnknown(f"there is no run {run!r} of yours", hint="your runs are listed: GET /api/v1/runs")
