"""The runs, and a page for each: what was done, on what, what it gave, how it was judged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from instantiator.observe.summary import summarise
from instantiator.queue.model import Submission
from instantiator.thread.verify import read_record
from instantiator.users import Event, Principal
from instantiator.web.access import (
    PrincipalOf,
    is_own,
    note,
    note_download,
    own_run,
    refuse_unseen,
    seen_run,
    shared_runs,
    users_seen,
)
from instantiator.web.downloads import attachment, content_type
from instantiator.web.following import log_text, run_to_json
from instantiator.web.guard import LOGGED_IN, PortalOf, User, Writer
from instantiator.web.pages import page
from instantiator.web.portal import NotFound, Portal
from instantiator.web.previews import preview_file
from instantiator.web.runner import verify
from instantiator.web.shelf import latest_grades
from provenance.record import Record, RecordedOutput, RunState
from provenance.verdict import verdict_from_bytes

router = APIRouter(dependencies=[LOGGED_IN])
PAGE = 30
LOG_SHOWN = 200_000


@router.get("/runs")
def runs(
    request: Request,
    portal: PortalOf,
    user: User,
    principal: PrincipalOf,
    state: str = "",
    recipe: str = "",
    before: str = "",
) -> Response:
    """My runs, newest first, and those shared with me."""
    if before:
        seen_run(portal, principal, before)
    states = [item.value for item in RunState]
    rows = portal.bench.store.runs(
        PAGE + 1,
        state=RunState(state) if state in states else None,
        recipe=recipe or None,
        before=before or None,
        users=users_seen(portal, principal),
    )
    return page(
        request,
        "runs.html",
        rows=rows[:PAGE],
        more=rows[PAGE - 1].id if len(rows) > PAGE else "",
        states=states,
        state=state,
        recipe=recipe,
        grades=latest_grades(portal.bench, rows[:PAGE]),
        works=portal.works.under_way(user),
        shared=shared_runs(portal, principal),
    )


@router.get("/runs/{run}")
def run_page(request: Request, portal: PortalOf, principal: PrincipalOf, run: str) -> Response:
    """One run."""
    row = seen_run(portal, principal, run)
    record = read_record(row, portal.bench.vault) if row.record else None
    verdicts = [
        verdict_from_bytes(portal.bench.vault.read_bytes(item.verdict, used_by=f"verdict on run {row.id}"))
        for item in reversed(portal.bench.store.verdicts(row.id))
    ]
    log, is_cut = _log(portal, record)
    return page(
        request,
        "run.html",
        row=row,
        is_own=is_own(portal, principal, row.user),
        record=record,
        verdicts=verdicts,
        log=log,
        log_is_cut=is_cut,
        observed=summarise(record.observed) if record and record.observed else None,
        seconds=record.resources.get("wall_s") if record else None,
        memory=record.resources.get("peak_memory_bytes") if record else None,
    )


@router.post("/runs/{run}/verify")
def verify_run(portal: PortalOf, user: Writer, principal: PrincipalOf, run: str) -> Response:
    """Repeat the run from its record and judge every output."""
    row = own_run(portal, principal, run)
    read_record(row, portal.bench.vault)
    work = portal.works.start(user, f"Verify run {row.id}", lambda work: verify(portal.bench, row.id, work))
    note(portal, principal, Event.SUBMIT, row.id, detail="verify")
    return RedirectResponse(f"/work/{work.id}", status_code=303)


@router.post("/runs/{run}/again")
def again(portal: PortalOf, user: Writer, principal: PrincipalOf, run: str) -> Response:
    """Run the same again."""
    row = seen_run(portal, principal, run)
    record = read_record(row, portal.bench.vault)
    refuse_unseen(
        portal, principal, portal.bench.recipe(row.recipe), [item.dataset for item in record.inputs]
    )
    given = {key: _parameter(value) for key, value in record.parameters.items() if value is not None}
    submission = Submission(
        user=user,
        recipe=record.recipe,
        thread=record.thread,
        datasets={item.name: item.dataset for item in record.inputs},
        parameters=given,
        fresh=True,
    )
    submitted = portal.queue.submit(submission)
    note(portal, principal, Event.SUBMIT, submitted.id, detail=f"{row.id} again")
    return RedirectResponse(f"/runs/{submitted.id}", status_code=303)


def _parameter(value: object) -> str | int | float | bool:
    return value if isinstance(value, (str, int, float, bool)) else str(value)


@router.get("/runs/{run}/record.json")
def record_file(portal: PortalOf, principal: PrincipalOf, run: str) -> Response:
    """The record itself, byte for byte."""
    row = seen_run(portal, principal, run)
    if row.record is None:
        raise NotFound(f"run {row.id} is {row.state}: it has no record yet")
    used_by = f"record of run {row.id}"
    content = portal.bench.vault.read_bytes(row.record, used_by=used_by)
    note_download(portal, principal, row.id, used_by)
    return Response(content, media_type="application/json", headers=attachment(f"{row.id}.record.json"))


@router.get("/runs/{run}/log.txt")
def log_file(portal: PortalOf, principal: PrincipalOf, run: str) -> Response:
    """All the program printed."""
    row = seen_run(portal, principal, run)
    record = read_record(row, portal.bench.vault)
    if record.log is None:
        raise NotFound(f"run {row.id} has no log")
    used_by = f"log of run {row.id}"
    stream = portal.bench.vault.open(record.log, used_by=used_by)
    note_download(portal, principal, row.id, used_by)
    headers = attachment(f"{row.id}.log.txt")
    return StreamingResponse(_pieces(stream), media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/api/runs/{run}")
def run_data(portal: PortalOf, principal: PrincipalOf, run: str, offset: int = 0) -> dict[str, object]:
    """Where a run stands: its steps, and what its program printed after `offset`."""
    row = seen_run(portal, principal, run)
    return run_to_json(portal.queue, portal.queue.get(row.id), max(0, offset))


@router.post("/api/runs/{run}/cancel")
def cancel(portal: PortalOf, user: Writer, principal: PrincipalOf, run: str) -> dict[str, object]:
    """Stop it in order: it is recorded as cancelled."""
    row = own_run(portal, principal, run)
    note(portal, principal, Event.CANCEL, row.id)
    return run_to_json(portal.queue, portal.queue.cancel(row.id, f"{user} cancelled it"), 0)


@router.get("/runs/{run}/outputs/{number}")
def output_file(portal: PortalOf, principal: PrincipalOf, run: str, number: int) -> Response:
    """One output, from the vault."""
    id_, output = _output(portal, principal, run, number)
    used_by = f"output {output.path} of run {id_}"
    stream = portal.bench.vault.open(output.digest, used_by=used_by)
    note_download(portal, principal, id_, used_by)
    headers = {**attachment(output.path.rpartition("/")[2]), "Content-Length": str(output.size)}
    return StreamingResponse(_pieces(stream), media_type=content_type(output.path), headers=headers)


@router.get("/api/runs/{run}/outputs/{number}/preview")
def output_preview(portal: PortalOf, principal: PrincipalOf, run: str, number: int) -> dict[str, object]:
    """What an output looks like: a picture, the head of a table, the first lines."""
    _, output = _output(portal, principal, run, number)
    with portal.bench.vault.open(output.digest, used_by=f"output {output.path}") as stream:
        return preview_file(stream, output.path)


def _output(portal: Portal, principal: Principal, run: str, number: int) -> tuple[str, RecordedOutput]:
    record = read_record(seen_run(portal, principal, run), portal.bench.vault)
    if not 0 <= number < len(record.outputs):
        raise NotFound(f"run {record.run} has no output number {number}")
    return record.run, record.outputs[number]


def _log(portal: Portal, record: Record | None) -> tuple[str, bool]:
    if record is None or record.log is None:
        return "", False
    content = portal.bench.vault.read_bytes(record.log, used_by="log")
    return log_text(content[-LOG_SHOWN:]), len(content) > LOG_SHOWN


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(1 << 20):
            yield piece
