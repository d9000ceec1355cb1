"""Where a thread's service and its jobs are: `/uws/{recipe}/{thread}` or `/uws/{recipe}/{version}/{thread}`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.convertors import Convertor, register_url_convertor

from instantiator.queue.model import QueuedRun
from instantiator.recipe.errors import RecipeUnknown
from instantiator.recipe.model import Recipe, Thread
from instantiator.thread.errors import ThreadUnknown
from instantiator.thread.plan import find_thread
from instantiator.users import Principal
from instantiator.web.access import Reader, Runner, no_run
from instantiator.web.api.asking import run_of
from instantiator.web.guard import PortalOf
from instantiator.web.portal import Portal
from provenance.store import RunUnknown


class _Part(Convertor[str]):
    """A part of an address that is kept as it is."""

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _ServicePart(_Part):
    regex = "[^/]+/[^/]+(?:/[^/]+)?"


class _JobPart(_Part):
    """As runs are called. So no job is taken for a thread, and no thread for a job."""

    regex = "[0-9]{8}-[0-9]{6}-[0-9a-z]+"


register_url_convertor("uwsservice", _ServicePart())
register_url_convertor("uwsjob", _JobPart())

SERVICE = "/uws/{service:uwsservice}"
JOB = f"{SERVICE}/{{run:uwsjob}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One thread as a service. Without a version its jobs are those of all versions, new ones of the newest.

    `path` is where it is; `origin` is what clients put before, such as `https://thaw.example.org`.
    """

    recipe: Recipe
    thread: Thread
    version: str | None
    path: str
    origin: str

    @property
    def url(self) -> str:
        """Its whole address."""
        return self.origin + self.path

    def job_url(self, run: str) -> str:
        """The whole address of a job."""
        return f"{self.url}/{run}"

    def serves(self, run: QueuedRun) -> bool:
        """Whether a run is a job of this service."""
        name, _, version = run.recipe.partition("/")
        is_version = self.version in (None, version)
        return (
            run.kind == "thread" and (name, run.thread) == (self.recipe.name, self.thread.name) and is_version
        )


def find_service(portal: Portal, name: str, *, path: str, origin: str) -> Service:
    """The service called `recipe/thread` or `recipe/version/thread`; raises `RecipeUnknown`, `ThreadUnknown`."""
    recipe_name, _, rest = name.partition("/")
    version, _, thread = rest.rpartition("/")
    try:
        recipe = portal.bench.recipe(f"{recipe_name}/{version}" if version else recipe_name)
        found = find_thread(recipe, thread)
    except (RecipeUnknown, ThreadUnknown) as error:
        raise type(error)(error.message, hint=error.hint) from error  # not where on this host its file is
    return Service(recipe=recipe, thread=found, version=version or None, path=path, origin=origin)


def origin_of(request: Request) -> str:
    """What clients call this host, as the gateway in front says it."""
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    return f"{scheme}://{host}"


def service_of(request: Request, portal: PortalOf, service: str) -> Service:
    """The service a request is for."""
    return find_service(portal, service, path=f"/uws/{service}", origin=origin_of(request))


ServiceOf = Annotated[Service, Depends(service_of)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of a service, and who asks for it."""

    run: QueuedRun
    service: Service
    asker: Principal

    @property
    def path(self) -> str:
        """Where it is."""
        return f"{self.service.path}/{self.run.id}"

    @property
    def url(self) -> str:
        """Its whole address."""
        return self.service.job_url(self.run.id)


def seen_job(portal: PortalOf, asker: Reader, service: ServiceOf, run: str) -> Job:
    """A job this one may look at; raises `RunUnknown`."""
    return _job_of(portal, asker, service, run, to_change=False)


def own_job(portal: PortalOf, asker: Runner, service: ServiceOf, run: str) -> Job:
    """A job this one may change; raises `RunUnknown`."""
    return _job_of(portal, asker, service, run, to_change=True)


SeenJob = Annotated[Job, Depends(seen_job)]
OwnJob = Annotated[Job, Depends(own_job)]


def _job_of(portal: Portal, asker: Principal, service: Service, run: str, *, to_change: bool) -> Job:
    try:
        found = run_of(portal, asker, run, to_change=to_change)
    except RunUnknown as error:
        raise no_run(run) from error
    if not service.serves(found):
        raise no_run(run)
    return Job(run=found, service=service, asker=asker)
