"""All routes of the services, in the order in which addresses are read: a job's own before a service's."""

from __future__ import annotations

from fastapi import APIRouter

from instantiator.web.uws import datalink, job, jobs, sync, vosi

router = APIRouter(include_in_schema=False)
for _module in (sync, vosi, job, jobs, datalink):
    router.include_router(_module.router)
