"""One job: looked at, waited for, started, stopped, limited, deleted; its parameters, results and error."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from xml.etree.ElementTree import Element

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool

from instantiator.queue.model import QueuedRun
from instantiator.users import Event
from instantiator.web.access import note
from instantiator.web.api.contents import send_object
from instantiator.web.api.routes.outcome import record_of
from instantiator.web.guard import PortalOf
from instantiator.web.portal import NotFound, Portal
from instantiator.web.uws.address import JOB, Job, OwnJob, SeenJob
from instantiator.web.uws.asked import (
    RequestInvalid,
    Wait,
    read_control,
    read_duration,
    read_time,
    read_wait,
)
from instantiator.web.uws.documents import (
    Result,
    failure_of,
    job_document,
    name_results,
    parameters_document,
    results_document,
    values_of,
)
from instantiator.web.uws.elements import answer_xml, write
from instantiator.web.uws.errors import JobRefused, is_refusal
from instantiator.web.uws.forms import open_form
from instantiator.web.uws.jobs import see_other
from instantiator.web.uws.votables import MEDIA_TYPE, error_votable
from provenance.errors import ThawError

router = APIRouter()
LONGEST_WAIT_S = 50.0
"""What stands between often closes a connection that is silent for a minute."""
_LOOK_S = 0.2
_LOG_TAIL = 4096


@router.get(JOB)
async def get_job(request: Request, portal: PortalOf, job: SeenJob) -> Response:
    """The job. With WAIT, once its phase is another or the time is over."""
    wait = read_wait(request.query_params.multi_items(), longest_s=LONGEST_WAIT_S)
    if wait is not None:
        run = await wait_for(request, portal, job.run, wait)
        job = Job(run=run, service=job.service, asker=job.asker)
    return answer_xml(await run_in_threadpool(_document, portal, job))


@router.post(JOB)
async def act_on_job(request: Request, portal: PortalOf, job: OwnJob) -> Response:
    """ACTION=DELETE, for clients that cannot send DELETE."""
    action = await _control(request, "ACTION")
    if action.upper() != "DELETE":
        raise RequestInvalid(f"ACTION has to be DELETE, found {action[:200]!r}", hint="docs/uws.md")
    return await run_in_threadpool(delete_job, portal, job)


@router.delete(JOB)
def delete_job(portal: PortalOf, job: OwnJob) -> Response:
    """Stop the job, drop its results and forget it; its record is kept."""
    portal.queue.destroy(job.run.id)
    note(portal, job.asker, Event.DELETE, job.run.id)
    return see_other(job.service.path)


@router.get(f"{JOB}/phase")
def get_phase(job: SeenJob) -> Response:
    """Its phase."""
    return _text(job.run.phase.value)


@router.post(f"{JOB}/phase")
async def set_phase(request: Request, portal: PortalOf, job: OwnJob) -> Response:
    """PHASE=RUN or PHASE=ABORT."""
    phase = (await _control(request, "PHASE")).upper()
    if phase not in ("RUN", "ABORT"):
        raise RequestInvalid(f"PHASE has to be RUN or ABORT, found {phase[:200]!r}", hint="docs/uws.md")
    await run_in_threadpool(_change, lambda: _put_phase(portal, job, phase))
    return see_other(job.path)


@router.get(f"{JOB}/executionduration")
def get_duration(job: SeenJob) -> Response:
    """How many seconds it may execute."""
    return _text(job.run.time_limit_s)


@router.post(f"{JOB}/executionduration")
async def set_duration(request: Request, portal: PortalOf, job: OwnJob) -> Response:
    """Less than the thread may take, before the job executes; more or 0 gives what the thread may take."""
    text = await _control(request, "EXECUTIONDURATION")
    seconds = read_duration(text) or job.service.thread.time_limit_s
    await run_in_threadpool(_change, lambda: portal.queue.set_time_limit(job.run.id, seconds))
    return see_other(job.path)


@router.get(f"{JOB}/destruction")
def get_destruction(job: SeenJob) -> Response:
    """When its results are dropped; empty where they are kept."""
    return _text(job.run.destruction)


@router.post(f"{JOB}/destruction")
async def set_destruction(request: Request, portal: PortalOf, job: OwnJob) -> Response:
    """Another time."""
    when = read_time("DESTRUCTION", await _control(request, "DESTRUCTION"))
    await run_in_threadpool(_change, lambda: portal.queue.set_destruction(job.run.id, when))
    return see_other(job.path)


@router.get(f"{JOB}/quote")
def get_quote(job: SeenJob) -> Response:
    """When it will be done: nobody knows, so nothing is said."""
    assert job.run.id
    return _text(None)


@router.get(f"{JOB}/owner")
def get_owner(job: SeenJob) -> Response:
    """Whose it is."""
    return _text(job.run.user or None)


@router.get(f"{JOB}/parameters")
def get_parameters(job: SeenJob) -> Response:
    """What it was asked with."""
    return answer_xml(parameters_document(job.run))


@router.get(f"{JOB}/parameters/{{name}}")
def get_parameter(job: SeenJob, name: str) -> Response:
    """One value."""
    values = values_of(job.run)
    if name not in values:
        raise NotFound(f"the job has no parameter {name!r}", hint=f"it has: {', '.join(values) or 'none'}")
    return _text(values[name])


@router.get(f"{JOB}/results")
def get_results(portal: PortalOf, job: SeenJob) -> Response:
    """What there is to fetch."""
    return answer_xml(results_document(job, results_of(portal, job.run)))


@router.api_route(f"{JOB}/results/{{name}}", methods=["GET", "HEAD"])
def get_result(request: Request, portal: PortalOf, job: SeenJob, name: str) -> Response:
    """One result, as the program wrote it; `Range` and `If-None-Match` are understood."""
    found = next((item for item in results_of(portal, job.run) if item.id == name), None)
    if found is None:
        raise NotFound(f"the job has no result {name!r}", hint=f"its results: {job.path}/results")
    output = found.output
    return send_object(
        request,
        portal,
        output.digest,
        asker=job.asker,
        of=job.run.id,
        size=output.size,
        name=output.path.rpartition("/")[2],
        media_type=output.media_type,
        used_by=f"output {output.path} of run {job.run.id}",
    )


@router.get(f"{JOB}/error")
def get_error(request: Request, portal: PortalOf, job: SeenJob) -> Response:
    """What went wrong and what the program last said: a VOTable, or text for who accepts only that."""
    message = failure_of(job.run)
    if message is None:
        raise NotFound("nothing went wrong with this job so far", hint=f"its phase: {job.path}/phase")
    log = _end_of_log(portal, job.run)
    if request.headers.get("accept", "").startswith("text/plain"):
        return _text(f"{message}\n\n{log}" if log else message)
    return answer_xml(error_votable(message, {"LOG": log} if log else None), media_type=MEDIA_TYPE)


async def wait_for(request: Request, portal: Portal, run: QueuedRun, wait: Wait) -> QueuedRun:
    """The run once its phase is another than the one waited for, or the time is over. A finished one at once.

    A service that is being stopped waits no longer than one look: connections cut off would be answered by nobody.
    """
    until = time.monotonic() + wait.seconds
    phase = wait.phase or run.phase.value
    while run.phase.value == phase and not run.phase.is_final() and time.monotonic() < until:
        await asyncio.sleep(min(_LOOK_S, max(0.0, until - time.monotonic())))
        if await request.is_disconnected():
            break
        run = await run_in_threadpool(portal.queue.get, run.id)
        if portal.gate.is_closed:
            break
    return run


def results_of(portal: Portal, run: QueuedRun) -> tuple[Result, ...]:
    """The results of a run; none before it has a record."""
    return name_results(record_of(portal, run).outputs) if run.record is not None else ()


async def _control(request: Request, name: str) -> str:
    async with open_form(request) as form:
        return read_control(form.pairs, name)


def _document(portal: Portal, job: Job) -> Element:
    return job_document(job, results_of(portal, job.run))


def _put_phase(portal: Portal, job: Job, phase: str) -> QueuedRun:
    if phase == "ABORT":
        note(portal, job.asker, Event.CANCEL, job.run.id)
        return portal.queue.cancel(job.run.id, f"aborted by {job.asker.user}")
    if job.run.phase.is_final():
        raise RequestInvalid(f"the job is {job.run.phase}: expected a pending one", hint="create a new job")
    return portal.queue.start(job.run.id)


def _change(act: Callable[[], object]) -> None:
    """Change a job; what its state does not allow is refused: 403."""
    try:
        act()
    except ThawError as error:
        if is_refusal(error):
            raise JobRefused(error) from error
        raise


def _end_of_log(portal: Portal, run: QueuedRun) -> str:
    end = portal.queue.log(run.id, 0, 0)[1]
    return portal.queue.log(run.id, max(0, end - _LOG_TAIL), _LOG_TAIL)[0].decode("utf-8", "replace")


def _text(value: object) -> Response:
    return PlainTextResponse(write(value) if value is not None else "")
