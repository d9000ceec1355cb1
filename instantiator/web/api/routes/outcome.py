"""What a run says and gives: events as they happen, its log, outputs, record and verdicts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from instantiator.queue.model import QueuedRun
from instantiator.thread.verify import read_record
from instantiator.users import Event, Principal
from instantiator.web.access import note_download
from instantiator.web.api import models, views
from instantiator.web.api.asking import PortalOf, Reader, RunId, Runner, note, run_of
from instantiator.web.api.contents import described_bytes, send_object
from instantiator.web.api.events import follow
from instantiator.web.api.problems import problems
from instantiator.web.portal import NotFound, Portal
from instantiator.web.runner import verify
from provenance.errors import ThawError
from provenance.record import Record

router = APIRouter(prefix="/runs/{run}", tags=["runs"])
PIECE = 1 << 20
Number = Annotated[int, Path(ge=0, le=10_000_000, examples=[0])]


EVENT = {
    "type": "object",
    "description": "Each event of the stream",
    "properties": {
        "id": {"type": "string", "examples": ["2"]},
        "event": {"enum": ["state", "step", "log", "end"]},
        "data": {"type": "string", "examples": ['{"state": "executing"}']},
    },
}


class NoRecordYet(ThawError):
    """The run is not finished, so it has no record, outputs and verdicts yet."""

    code = "no-record-yet"


@router.get(
    "/events",
    operation_id="follow_run",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events: `state`, `step` and `log`, numbered, and `end` when all is said",
            "content": {"text/event-stream": {"schema": EVENT}},
        },
        **problems(),
    },
)
async def follow_run(
    portal: PortalOf,
    asker: Reader,
    run: RunId,
    last: Annotated[str, Header(alias="Last-Event-ID", max_length=18, pattern=r"^[0-9]*$")] = "",
    wait_s: Annotated[
        int, Query(ge=0, le=3600, description="Close after so long; go on from the last event")
    ] = 3600,
) -> StreamingResponse:
    """Follow a run as it happens. A connection that broke goes on where it was, by Last-Event-ID."""
    from starlette.concurrency import run_in_threadpool

    found = await run_in_threadpool(run_of, portal, asker, run)
    stream: AsyncIterator[str] = follow(
        portal.queue, found.id, int(last or 0), wait_s=wait_s, gate=portal.gate
    )
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.get(
    "/log",
    operation_id="get_log",
    response_class=Response,
    responses={
        200: {
            "description": "What the program printed, from `offset`",
            "content": {"text/plain": {"schema": {"type": "string"}}},
            "headers": {
                "Thaw-Log-Offset": {"description": "Where this begins", "schema": {"type": "integer"}},
                "Thaw-Log-End": {"description": "Where the log ends by now", "schema": {"type": "integer"}},
            },
        },
        **problems(),
    },
)
def get_log(
    portal: PortalOf,
    asker: Reader,
    run: RunId,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=0, le=PIECE)] = PIECE,
    tail: Annotated[
        int | None, Query(ge=0, le=PIECE, description="The last so many bytes, whatever `offset`")
    ] = None,
) -> Response:
    """The log, live or from the vault: ask again from `offset` plus what came, until the run is final."""
    found = run_of(portal, asker, run)
    if tail is not None:
        end = portal.queue.log(found.id, 0, 0)[1]
        offset, limit = max(0, end - tail), tail
    content, end = portal.queue.log(found.id, offset, limit)
    if content:
        note_download(portal, asker, found.id, f"log of run {found.id}")
    headers = {"Thaw-Log-Offset": str(offset), "Thaw-Log-End": str(end)}
    return Response(content, media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/outputs", operation_id="list_outputs", responses=problems(409))
def list_outputs(portal: PortalOf, asker: Reader, run: RunId) -> models.OutputList:
    """What the run gave."""
    record = record_of(portal, run_of(portal, asker, run))
    return models.OutputList(
        outputs=tuple(views.output_view(record, number, item) for number, item in enumerate(record.outputs))
    )


OUTPUT = {**described_bytes("application/octet-stream", "The output's bytes"), **problems(409, 416)}


@router.get("/outputs/{number}", operation_id="get_output", response_class=Response, responses=OUTPUT)
def get_output(request: Request, portal: PortalOf, asker: Reader, run: RunId, number: Number) -> Response:
    """One output: all of it, a range (`Range`, `If-Range`), or nothing where you have it (`If-None-Match`)."""
    return _send_output(request, portal, asker, run, number)


@router.head("/outputs/{number}", operation_id="head_output", response_class=Response, responses=OUTPUT)
def head_output(request: Request, portal: PortalOf, asker: Reader, run: RunId, number: Number) -> Response:
    """The size and ETag of an output."""
    return _send_output(request, portal, asker, run, number)


def _send_output(request: Request, portal: Portal, asker: Principal, run: str, number: int) -> Response:
    record = record_of(portal, run_of(portal, asker, run))
    if number >= len(record.outputs):
        raise NotFound(f"run {record.run} has {len(record.outputs)} outputs, and no number {number}")
    output = record.outputs[number]
    name = output.path.rpartition("/")[2]
    used_by = f"output {output.path} of run {record.run}"
    return send_object(
        request,
        portal,
        output.digest,
        asker=asker,
        of=record.run,
        size=output.size,
        name=name,
        used_by=used_by,
    )


RECORD = {**described_bytes("application/json", "The record, byte for byte"), **problems(409, 416)}


@router.get("/record", operation_id="get_run_record", response_class=Response, responses=RECORD)
def get_run_record(request: Request, portal: PortalOf, asker: Reader, run: RunId) -> Response:
    """The record of a run as canonical JSON; its ETag is the digest that names it."""
    found = run_of(portal, asker, run)
    if found.record is None:
        raise _no_record(found)
    return send_record(request, portal, asker, found)


def send_record(request: Request, portal: Portal, asker: Principal, run: QueuedRun) -> Response:
    """The record of a finished run, as bytes."""
    assert run.record is not None
    return send_object(
        request,
        portal,
        run.record,
        asker=asker,
        of=run.id,
        size=portal.bench.vault.size(run.record),
        name=f"{run.id}.record.json",
        media_type="application/json",
        used_by=f"record of run {run.id}",
    )


@router.get("/verdicts", operation_id="list_verdicts", responses=problems())
def list_verdicts(portal: PortalOf, asker: Reader, run: RunId) -> models.VerdictList:
    """How repetitions of the run were judged, oldest first."""
    found = run_of(portal, asker, run)
    judged = portal.bench.store.verdicts(found.id)
    return models.VerdictList(verdicts=tuple(views.verdict_entry(item) for item in judged))


@router.post("/verdicts", operation_id="verify_run", status_code=202, responses=problems(409))
def verify_run(portal: PortalOf, asker: Runner, run: RunId) -> models.WorkView:
    """Repeat the run from its record and judge every output; follow the work it answers with."""
    found = run_of(portal, asker, run)
    record_of(portal, found)
    work = portal.works.start(
        asker.user, f"Verify run {found.id}", lambda work: verify(portal.bench, found.id, work)
    )
    note(portal, asker, Event.SUBMIT, f"verify {found.id}")
    return views.work_view(work)


def record_of(portal: Portal, run: QueuedRun) -> Record:
    """The record of a finished run; raises `NoRecordYet`."""
    if run.record is None:
        raise _no_record(run)
    return read_record(portal.bench.store.run(run.id), portal.bench.vault)


def _no_record(run: QueuedRun) -> NoRecordYet:
    return NoRecordYet(
        f"run {run.id} is {run.state}: expected a finished run",
        hint=f"follow it: GET /api/v1/runs/{run.id}/events",
    )
