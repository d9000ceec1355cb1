"""The list of a service's jobs: who wants a new one sends a form here."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from instantiator.queue.model import QueuedRun
from instantiator.users import Principal
from instantiator.web.access import Reader, Runner, users_seen
from instantiator.web.guard import PortalOf
from instantiator.web.portal import Portal
from instantiator.web.uws.address import SERVICE, Service, ServiceOf
from instantiator.web.uws.asked import Filter, read_filter, read_job
from instantiator.web.uws.documents import jobs_document
from instantiator.web.uws.elements import answer_xml
from instantiator.web.uws.errors import JobRefused, is_refusal
from instantiator.web.uws.forms import open_form, upload_limit
from instantiator.web.uws.submit import submit
from provenance.errors import ThawError

router = APIRouter()
_PAGE = 1000


@router.get(SERVICE)
def list_jobs(request: Request, portal: PortalOf, asker: Reader, service: ServiceOf) -> Response:
    """The jobs of who asks, newest first, narrowed by PHASE, AFTER and LAST."""
    asked = read_filter(request.query_params.multi_items())
    return answer_xml(jobs_document(service, islice(_jobs(portal, asker, service, asked), asked.last)))


@router.post(SERVICE)
async def create_job(request: Request, portal: PortalOf, asker: Runner, service: ServiceOf) -> Response:
    """A new job, pending unless PHASE=RUN. What is wrong with it is refused: 403."""
    limit = await run_in_threadpool(upload_limit, portal, asker)
    try:
        async with open_form(request, limit) as form:
            asked = read_job(form.pairs, service.thread)
            run = await submit(request, portal, asker, service, asked, form)
    except ThawError as error:
        if is_refusal(error):
            raise JobRefused(error) from error
        raise
    return see_other(f"{service.path}/{run.id}")


def see_other(path: str) -> Response:
    """Where to look now."""
    return RedirectResponse(path, status_code=303)


def _jobs(portal: Portal, asker: Principal, service: Service, asked: Filter) -> Iterator[QueuedRun]:
    """A service without a version has the jobs of all versions, which the queue does not know as one recipe."""
    if asked.states == ():
        return
    cursor = None
    while True:
        page = portal.queue.page(
            users=users_seen(portal, asker),
            states=asked.states or (),
            recipe=service.recipe.id if service.version else None,
            thread=service.thread.name,
            after=asked.after,
            limit=_PAGE,
            cursor=cursor,
        )
        yield from (run for run in page.runs if service.serves(run))
        if (cursor := page.next) is None:
            return
