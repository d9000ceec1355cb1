"""The runs, and a page for each: what was done, on what, what it gave, how it was judged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from instantiator.thread.verify import read_record
from instantiator.web.downloads import attachment, content_type
from instantiator.web.guard import LOGGED_IN, PortalOf, User, Writer
from instantiator.web.pages import page
from instantiator.web.portal import NotFound, Portal
from instantiator.web.previews import preview_file
from instantiator.web.runner import live_log, run_again, verify
from instantiator.web.shelf import latest_grades
from provenance.record import Record, RecordedOutput, RunState
from provenance.store import RunRow
from provenance.verdict import verdict_from_bytes

router = APIRouter(dependencies=[LOGGED_IN])
PAGE = 30
LOG_SHOWN = 200_000


@router.get("/runs")
def runs(
    request: Request, portal: PortalOf, user: User, state: str = "", recipe: str = "", before: str = ""
) -> Response:
    """The runs, newest first."""
    states = [item.value for item in RunState]
    rows = portal.bench.store.runs(
        PAGE + 1,
        state=RunState(state) if state in states else None,
        recipe=recipe or None,
        before=before or None,
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
    )


@router.get("/runs/{run}")
def run_page(request: Request, portal: PortalOf, run: str) -> Response:
    """One run."""
    row = _row(portal, run)
    record = read_record(row, portal.bench.vault) if row.record else None
    verdicts = [
        verdict_from_bytes(portal.bench.vault.read_bytes(item.verdict, used_by=f"verdict on run {row.id}"))
        for item in reversed(portal.bench.store.verdicts(row.id))
    ]
    log, is_cut = _log(portal, row, record)
    return page(
        request,
        "run.html",
        row=row,
        record=record,
        verdicts=verdicts,
        log=log,
        log_is_cut=is_cut,
        seconds=record.resources.get("wall_s") if record else None,
        memory=record.resources.get("peak_memory_bytes") if record else None,
    )


@router.post("/runs/{run}/verify")
def verify_run(portal: PortalOf, user: Writer, run: str) -> Response:
    """Repeat the run from its record and judge every output."""
    row = _row(portal, run)
    read_record(row, portal.bench.vault)
    work = portal.works.start(user, f"Verify run {row.id}", lambda work: verify(portal.bench, row.id, work))
    return RedirectResponse(f"/work/{work.id}", status_code=303)


@router.post("/runs/{run}/again")
def again(portal: PortalOf, user: Writer, run: str) -> Response:
    """Run the same again."""
    row = _row(portal, run)
    read_record(row, portal.bench.vault)
    work = portal.works.start(
        user, f"{row.recipe}: {row.thread}, again", lambda work: run_again(portal.bench, row.id, work)
    )
    return RedirectResponse(f"/work/{work.id}", status_code=303)


@router.get("/runs/{run}/record.json")
def record_file(portal: PortalOf, run: str) -> Response:
    """The record itself, byte for byte."""
    row = _row(portal, run)
    if row.record is None:
        raise NotFound(f"run {row.id} is {row.state}: it has no record yet")
    content = portal.bench.vault.read_bytes(row.record, used_by=f"record of run {row.id}")
    return Response(content, media_type="application/json", headers=attachment(f"{row.id}.record.json"))


@router.get("/runs/{run}/log.txt")
def log_file(portal: PortalOf, run: str) -> Response:
    """All the program printed."""
    row = _row(portal, run)
    record = read_record(row, portal.bench.vault)
    if record.log is None:
        raise NotFound(f"run {row.id} has no log")
    stream = portal.bench.vault.open(record.log, used_by=f"log of run {row.id}")
    headers = attachment(f"{row.id}.log.txt")
    return StreamingResponse(_pieces(stream), media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/api/runs/{run}")
def run_data(portal: PortalOf, run: str) -> dict[str, object]:
    """The state of a run."""
    row = _row(portal, run)
    return {"run": row.id, "state": row.state.value, "is_final": row.state.is_final(), "message": row.message}


@router.get("/runs/{run}/outputs/{number}")
def output_file(portal: PortalOf, run: str, number: int) -> Response:
    """One output, from the vault."""
    output = _output(portal, run, number)
    stream = portal.bench.vault.open(output.digest, used_by=f"output {output.path}")
    headers = {**attachment(output.path.rpartition("/")[2]), "Content-Length": str(output.size)}
    return StreamingResponse(_pieces(stream), media_type=content_type(output.path), headers=headers)


@router.get("/api/runs/{run}/outputs/{number}/preview")
def output_preview(portal: PortalOf, run: str, number: int) -> dict[str, object]:
    """What an output looks like: a picture, the head of a table, the first lines."""
    output = _output(portal, run, number)
    with portal.bench.vault.open(output.digest, used_by=f"output {output.path}") as stream:
        return preview_file(stream, output.path)


def _row(portal: Portal, run: str) -> RunRow:
    return portal.bench.store.run(run)


def _output(portal: Portal, run: str, number: int) -> RecordedOutput:
    record = read_record(_row(portal, run), portal.bench.vault)
    if not 0 <= number < len(record.outputs):
        raise NotFound(f"run {record.run} has no output number {number}")
    return record.outputs[number]


def _log(portal: Portal, row: RunRow, record: Record | None) -> tuple[str, bool]:
    if record is None:
        path = live_log(portal.bench, row.id, row.state)
        content = path.read_bytes() if path else b""
    else:
        content = portal.bench.vault.read_bytes(record.log, used_by="log") if record.log else b""
    return content[-LOG_SHOWN:].decode(errors="replace"), len(content) > LOG_SHOWN


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(1 << 20):
            yield piece
