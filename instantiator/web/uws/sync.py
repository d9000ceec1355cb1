"""The synchronous form: asked, waited for and answered in one request, for threads that are done soon."""

from __future__ import annotations

import time
from dataclasses import replace
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from instantiator.queue.model import QueuedRun
from instantiator.recipe.model import Thread
from instantiator.web.access import Runner
from instantiator.web.guard import PortalOf, refuse_foreign_page
from instantiator.web.portal import Portal
from instantiator.web.uws.address import SERVICE, Job, Service, ServiceOf
from instantiator.web.uws.asked import Asked, Wait, read_job
from instantiator.web.uws.documents import Result, failure_of
from instantiator.web.uws.errors import NotAnswered, RunFailed, TooLongForSync
from instantiator.web.uws.forms import open_form, upload_limit
from instantiator.web.uws.job import results_of, wait_for
from instantiator.web.uws.jobs import see_other
from instantiator.web.uws.submit import submit

router = APIRouter()
LIMIT_S = 50
"""How long a synchronous request waits, and so the most a thread asked this way may take."""


@router.api_route(f"{SERVICE}/sync", methods=["GET", "POST"])
async def run_now(request: Request, portal: PortalOf, asker: Runner, service: ServiceOf) -> Response:
    """Run the thread and go to its main result.

    A GET changes something here, so by cookie it too has to come from a page of ours.
    """
    await refuse_foreign_page(request, asker)
    async with open_form(request, await run_in_threadpool(upload_limit, portal, asker)) as form:
        asked = read_job(form.pairs, service.thread)
        refuse_long(service.thread, asked)
        run = await submit(request, portal, asker, service, replace(asked, run=True), form)
    run = await _wait_to_end(request, portal, run)
    return see_other(
        await run_in_threadpool(_main_result, portal, Job(run=run, service=service, asker=asker))
    )


def is_short(thread: Thread) -> bool:
    """Whether a thread may be asked synchronously as it is."""
    return thread.time_limit_s <= LIMIT_S


def refuse_long(thread: Thread, asked: Asked) -> None:
    """Raise `TooLongForSync` for what may take longer than anybody waits."""
    limit = min(thread.time_limit_s, asked.time_limit_s or thread.time_limit_s)
    if limit > LIMIT_S:
        raise TooLongForSync(
            f"thread {thread.name!r} may take {limit} s: expected at most {LIMIT_S} s for a synchronous request",
            hint=f"create a job instead, or send EXECUTIONDURATION={LIMIT_S} for a run that is stopped then",
        )


async def _wait_to_end(request: Request, portal: Portal, run: QueuedRun) -> QueuedRun:
    until = time.monotonic() + LIMIT_S
    while not (run.phase.is_final() or portal.gate.is_ended) and (left := until - time.monotonic()) > 0:
        run = await wait_for(request, portal, run, Wait(seconds=left))
        if await request.is_disconnected():
            break
    return run


def _main_result(portal: Portal, job: Job) -> str:
    """Where the first result of the thread's first output is; raises `RunFailed`, `NotAnswered`."""
    if not job.run.phase.is_final():
        raise NotAnswered(
            f"the run is {job.run.phase} {_until(portal)}", hint=f"it goes on, follow it: {job.url}"
        )
    message = failure_of(job.run)
    results = results_of(portal, job.run)
    if message is not None or not results:
        raise RunFailed(message or "the run gave no output", hint=f"see what happened: {job.url}")
    return f"{job.path}/results/{quote(_main(job.service, results).id)}"


def _until(portal: Portal) -> str:
    return "as the service is being stopped" if portal.gate.is_ended else f"after {LIMIT_S} s"


def _main(service: Service, results: tuple[Result, ...]) -> Result:
    order = [output.name for output in service.thread.outputs]
    return min(results, key=lambda item: order.index(item.output.name) if item.output.name in order else 999)
