"""Runs: submit, list, look at, change, cancel, destroy."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from instantiator.queue.model import Submission
from instantiator.users import Event, Principal, Scope
from instantiator.web.access import users_seen
from instantiator.web.api import models, views
from instantiator.web.api.asking import PortalOf, Reader, RunId, Runner, check_datasets, run_of
from instantiator.web.api.asking import note as note_event
from instantiator.web.api.problems import problems
from instantiator.web.api.wire import GivenTime, RecipeId, ThreadName
from provenance.errors import ThawError
from provenance.record import RunState

router = APIRouter(prefix="/runs", tags=["runs"])
MOST_PRIORITY = 0
"""The greatest priority of who is no operator."""
Key = Annotated[
    str,
    Header(alias="Idempotency-Key", pattern=r"^[\x21-\x7e]{0,200}$", max_length=200, examples=["night-42"]),
]
LINKS = {
    name: {"operationId": operation, "parameters": {"run": "$response.body#/run"}}
    for name, operation in {
        "look": "get_run",
        "cancel": "cancel_run",
        "start": "start_run",
        "log": "get_log",
        "outputs": "list_outputs",
        "record": "get_run_record",
        "destroy": "destroy_run",
    }.items()
}


class PriorityRefused(ThawError):
    """Only operators let a run go before those of others."""

    code = "priority-refused"


@router.post(
    "",
    operation_id="submit_run",
    status_code=201,
    responses={
        201: {"links": LINKS, "headers": {"Location": {"schema": {"type": "string"}}}},
        **problems(409),
    },
)
def submit_run(
    portal: PortalOf, asker: Runner, response: Response, asked: models.NewRun, key: Key = ""
) -> models.RunView:
    """Submit a run. It is checked and planned at once: a mistake is refused here, and nothing is queued.

    The same Idempotency-Key with the same content gives the run it gave before, so a request may be sent again. An
    answer known already comes back completed; `fresh` runs it again. A `priority` above 0 is for operators.
    """
    refuse_priority(asker, asked.priority)
    check_datasets(portal, asker, asked.datasets.values())
    run = portal.queue.submit(
        Submission(
            user=asker.user,
            recipe=portal.bench.recipe(asked.recipe).id,
            thread=asked.thread,
            datasets=dict(asked.datasets),
            parameters=dict(asked.parameters),
            start=asked.start,
            priority=asked.priority,
            fresh=asked.fresh,
            time_limit_s=asked.time_limit_s,
            destruction=asked.destruction,
            idempotency_key=key,
            label=asked.label,
        )
    )
    note_event(portal, asker, Event.SUBMIT, run.id)
    response.headers["Location"] = f"{views.ROOT}/runs/{run.id}"
    return views.run_view(run)


@router.get("", operation_id="list_runs", responses=problems())
def list_runs(
    portal: PortalOf,
    asker: Reader,
    state: Annotated[list[RunState] | None, Query(max_length=9, examples=[["completed"]])] = None,
    recipe: Annotated[RecipeId | None, Query()] = None,
    thread: Annotated[ThreadName | None, Query()] = None,
    after: Annotated[GivenTime | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
    everybody: Annotated[bool, Query(description="All users' runs; for operators")] = False,
) -> models.RunList:
    """My runs, newest first, a page at a time: runs submitted meanwhile move nothing on the pages after."""
    is_wide = everybody and asker.may(Scope.OPERATE)
    page = portal.queue.page(
        users=() if is_wide else users_seen(portal, asker),
        states=tuple(state or ()),
        recipe=recipe,
        thread=thread,
        after=after,
        limit=limit,
        cursor=cursor,
    )
    return models.RunList(runs=tuple(views.run_view(run) for run in page.runs), next=page.next)


@router.get("/{run}", operation_id="get_run", responses=problems())
def get_run(portal: PortalOf, asker: Reader, run: RunId) -> models.RunView:
    """One run."""
    return views.run_view(run_of(portal, asker, run))


@router.patch("/{run}", operation_id="change_run", responses=problems(409))
def change_run(portal: PortalOf, asker: Runner, run: RunId, asked: models.ChangedRun) -> models.RunView:
    """Lower a run's time limit before it executes, or say when its results may go."""
    found = run_of(portal, asker, run, to_change=True)
    if asked.time_limit_s is not None:
        found = portal.queue.set_time_limit(found.id, asked.time_limit_s)
    if "destruction" in asked.model_fields_set:
        found = portal.queue.set_destruction(found.id, asked.destruction)
    return views.run_view(found)


@router.post("/{run}/start", operation_id="start_run", responses=problems(409))
def start_run(portal: PortalOf, asker: Runner, run: RunId) -> models.RunView:
    """Start a run that waits for it; one that was started stays as it is."""
    found = run_of(portal, asker, run, to_change=True)
    return views.run_view(portal.queue.start(found.id))


@router.post("/{run}/cancel", operation_id="cancel_run", responses=problems(409))
def cancel_run(portal: PortalOf, asker: Runner, run: RunId) -> models.RunView:
    """Cancel a run; a finished one stays as it is. It has a record all the same."""
    found = run_of(portal, asker, run, to_change=True)
    note_event(portal, asker, Event.CANCEL, found.id)
    return views.run_view(portal.queue.cancel(found.id, f"cancelled by {asker.user}"))


@router.delete("/{run}", operation_id="destroy_run", status_code=204, responses=problems(409))
def destroy_run(portal: PortalOf, asker: Runner, run: RunId) -> Response:
    """Drop a run and its results; its record is kept."""
    found = run_of(portal, asker, run, to_change=True)
    portal.queue.destroy(found.id)
    note_event(portal, asker, Event.DELETE, found.id)
    return Response(status_code=204)


def refuse_priority(asker: Principal, priority: int) -> None:
    """Raise `PriorityRefused` for more than this one may ask for."""
    if priority > MOST_PRIORITY and not asker.may(Scope.OPERATE):
        raise PriorityRefused(
            f"priority: expected at most {MOST_PRIORITY}, found {priority}",
            hint=f"send {MOST_PRIORITY} or less, or nothing; a greater priority is for operators to give",
        )
