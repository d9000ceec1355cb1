"""A thread's page, its form made from the typed parameters; and work under way."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from instantiator.curate.catalog_status import status_of_recipe
from instantiator.queue.model import Submission
from instantiator.recipe.errors import ParameterInvalid
from instantiator.recipe.parameters import describe_type, parameter_schema
from instantiator.thread.plan import find_thread
from instantiator.users import Event
from instantiator.web.access import PrincipalOf, note, seen_datasets, sees_dataset
from instantiator.web.guard import LOGGED_IN, PortalOf, User, Writer
from instantiator.web.pages import page
from instantiator.web.portal import NotFound, Portal
from instantiator.web.runner import check_request
from instantiator.web.shelf import dataset_names
from instantiator.web.work import Work
from provenance.errors import ThawError

router = APIRouter()


@router.get("/recipes/{name}/{version}/threads/{thread}", dependencies=[LOGGED_IN])
def thread_page(request: Request, portal: PortalOf, name: str, version: str, thread: str) -> Response:
    """The form of a thread, with its defaults."""
    return _form(request, portal, (name, version, thread), given={})


@router.get("/api/recipes/{name}/{version}/threads/{thread}/schema", dependencies=[LOGGED_IN])
def schema(portal: PortalOf, name: str, version: str, thread: str) -> JSONResponse:
    """The JSON Schema of a thread's parameters."""
    recipe = portal.bench.recipe(f"{name}/{version}")
    return JSONResponse(parameter_schema(find_thread(recipe, thread)))


@router.post("/recipes/{name}/{version}/threads/{thread}")
async def start(
    request: Request, portal: PortalOf, user: Writer, name: str, version: str, thread: str
) -> Response:
    """Run the thread as the form says; a mistake comes back in the form, and nothing is begun."""
    form = await request.form()
    given = {key: value for key, value in form.items() if isinstance(value, str) and value.strip()}
    return await _in_thread(request, portal, user, (name, version, thread), given)


async def _in_thread(
    request: Request, portal: Portal, user: str, names: tuple[str, str, str], given: Mapping[str, str]
) -> Response:
    from starlette.concurrency import run_in_threadpool

    return await run_in_threadpool(_start, request, portal, user, names, given)


def _start(
    request: Request, portal: Portal, user: str, names: tuple[str, str, str], given: Mapping[str, str]
) -> Response:
    name, version, wanted = names
    recipe = portal.bench.recipe(f"{name}/{version}")
    thread = find_thread(recipe, wanted)
    datasets = {key[6:]: value for key, value in given.items() if key.startswith("input.")}
    parameters = {key[6:]: value for key, value in given.items() if key.startswith("param.")}
    try:
        check_request(
            portal.bench,
            recipe,
            thread,
            datasets=datasets,
            parameters=parameters,
            sees=lambda dataset: sees_dataset(portal, request.state.principal, dataset),
        )
        submission = Submission(
            user=user, recipe=recipe.id, thread=thread.name, datasets=datasets, parameters=parameters
        )
        run = portal.queue.submit(submission)
    except ThawError as error:
        return _form(request, portal, names, given=given, error=error)

    note(portal, request.state.principal, Event.SUBMIT, run.id, detail=f"{recipe.id} {thread.name}")
    return RedirectResponse(f"/runs/{run.id}", status_code=303)


def _form(
    request: Request,
    portal: Portal,
    names: tuple[str, str, str],
    *,
    given: Mapping[str, str],
    error: ThawError | None = None,
) -> Response:
    name, version, wanted = names
    recipe = portal.bench.recipe(f"{name}/{version}")
    thread = find_thread(recipe, wanted)
    mistakes = (
        {item.parameter: item.message for item in error.mistakes}
        if isinstance(error, ParameterInvalid)
        else {}
    )
    return page(
        request,
        "thread.html",
        status=422 if error else 200,
        recipe=recipe,
        standing=status_of_recipe(recipe, portal.bench.settings.home).word,
        thread=thread,
        datasets=dataset_names(recipe, seen_datasets(portal, request.state.principal)),
        described={item.name: describe_type(item) for item in thread.parameters},
        given=given,
        error=error,
        mistakes=mistakes,
    )


@router.get("/work/{work}")
def work_page(request: Request, portal: PortalOf, user: User, work: str) -> Response:
    """Work under way: its steps, seconds and log; the page goes on by itself when it is done."""
    return page(request, "work.html", work=_work(portal, user, work).to_json())


@router.get("/api/work/{work}")
def work_data(portal: PortalOf, user: User, work: str, offset: int = 0) -> dict[str, object]:
    """The same as data, with what was printed after `offset`."""
    return _work(portal, user, work).to_json(max(0, offset))


@router.post("/api/work/{work}/cancel")
def cancel(portal: PortalOf, user: Writer, principal: PrincipalOf, work: str) -> dict[str, object]:
    """Stop it in order: a run is recorded as cancelled."""
    found = _work(portal, user, work)
    note(portal, principal, Event.CANCEL, found.title, detail=work)
    found.cancel.set()
    return found.to_json()


def _work(portal: Portal, user: str, work: str) -> Work:
    found = portal.works.get(user, work)
    if found is None:
        raise NotFound(
            "there is no such work of yours",
            hint="finished runs are listed: /runs; work ends with the service",
        )
    return found
