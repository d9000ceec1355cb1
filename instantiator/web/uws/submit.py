"""A form becomes a run in the queue."""

from __future__ import annotations

from dataclasses import replace

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from instantiator.queue.model import QueuedRun, Submission
from instantiator.recipe.parameters import parse_parameters
from instantiator.thread.start import refuse_unknown_inputs
from instantiator.users import Event, Principal
from instantiator.web.access import note
from instantiator.web.api.asking import check_datasets
from instantiator.web.portal import Portal
from instantiator.web.uws.address import Service
from instantiator.web.uws.asked import Asked
from instantiator.web.uws.forms import Form, register_uploads


async def submit(
    request: Request, portal: Portal, asker: Principal, service: Service, asked: Asked, form: Form
) -> QueuedRun:
    """Queue a job, or keep it pending. What is wrong with it is raised before any of its files is registered."""
    refuse_unknown_inputs(service.thread, {**asked.datasets, **dict.fromkeys(asked.uploads, "")})
    parse_parameters(service.thread, asked.parameters)
    uploaded = await register_uploads(request, portal, asker, service.thread, asked, form)
    complete = replace(asked, datasets={**asked.datasets, **uploaded})
    return await run_in_threadpool(_submit, portal, asker, service, complete)


def _submit(portal: Portal, asker: Principal, service: Service, asked: Asked) -> QueuedRun:
    check_datasets(portal, asker, asked.datasets.values())
    run = portal.queue.submit(
        Submission(
            user=asker.user,
            recipe=service.recipe.id,
            thread=service.thread.name,
            datasets=asked.datasets,
            parameters=asked.parameters,
            start=asked.run,
            fresh=asked.fresh,
            time_limit_s=asked.time_limit_s,
            destruction=asked.destruction,
            label=asked.label,
        )
    )
    note(portal, asker, Event.SUBMIT, run.id)
    return run
