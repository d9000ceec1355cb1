"""Launch, work in, watch and list sessions: the pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from instantiator.curate.catalog_status import status_of_recipe
from instantiator.recipe.model import Gui, Recipe
from instantiator.session.model import OpenSession
from instantiator.users import Event
from instantiator.web.access import (
    PrincipalOf,
    is_own,
    note,
    refuse_more_sessions,
    seen_datasets,
    seen_session,
)
from instantiator.web.guard import LOGGED_IN, PortalOf, User, Writer
from instantiator.web.pages import page
from instantiator.web.portal import NotFound, Portal
from instantiator.web.routes.session_data import session_to_json
from instantiator.web.shelf import dataset_names
from provenance.errors import ThawError

router = APIRouter()


@router.get("/open/{name}/{version}", dependencies=[LOGGED_IN])
def open_page(request: Request, portal: PortalOf, name: str, version: str, gui: str = "") -> Response:
    """Choose GUI, dataset and workspace."""
    return _open_form(request, portal, f"{name}/{version}", gui=gui, error=None)


@router.post("/open/{name}/{version}")
def open_session(
    request: Request,
    portal: PortalOf,
    user: Writer,
    name: str,
    version: str,
    gui: Annotated[str, Form()],
    workspace: Annotated[str, Form(max_length=64)] = "default",
    geometry: Annotated[str, Form(pattern=r"[0-9]{2,4}x[0-9]{2,4}")] = "1280x800",
    dataset: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Begin a session and go to its page, which shows the steps and then the screen."""
    recipe = portal.bench.recipe(f"{name}/{version}")
    known = {item for item, _ in dataset_names(recipe, seen_datasets(portal, request.state.principal))}
    asked = tuple(item for item in dataset or () if item)
    width, height = (int(side) for side in geometry.split("x"))
    try:
        _refuse_unknown(recipe, gui, asked, known)
        refuse_more_sessions(portal, user)
        session = portal.sessions.open(
            OpenSession(
                user=user,
                recipe=recipe.id,
                gui=gui,
                datasets=asked,
                workspace=workspace.strip() or "default",
                geometry=(width, height),
            )
        )
    except ThawError as error:
        return _open_form(request, portal, recipe.id, gui=gui, error=error)
    note(portal, request.state.principal, Event.SESSION_OPEN, session.id, detail=recipe.id)
    return RedirectResponse(f"/sessions/{session.id}", status_code=303)


@router.get("/sessions")
def sessions(request: Request, portal: PortalOf, user: User) -> Response:
    """My sessions, living first."""
    found = sorted(portal.sessions.list(user), key=lambda item: item.created, reverse=True)
    living = [item for item in found if not item.state.is_over()]
    over = [item for item in found if item.state.is_over()][:50]
    return page(request, "sessions.html", living=living, over=over)


@router.get("/sessions/{session}")
def session_page(request: Request, portal: PortalOf, principal: PrincipalOf, session: str) -> Response:
    """The launch, then the screen, then what is left: one page that goes on by itself.

    Whom the session is shared with looks on.
    """
    found = seen_session(portal, principal, session)
    if not is_own(portal, principal, found.user):
        return page(request, "watch.html", session_id=found.id, session=found)
    return page(
        request, "session.html", session=found, data=session_to_json(found, portal.clock()), watching=False
    )


@router.get("/watch/{session}")
def watch(request: Request, session: str) -> Response:
    """Look on: the right to is behind the `#` of the link, which no server and no log ever sees."""
    return page(request, "watch.html", session_id=session, session=None)


def _open_form(request: Request, portal: Portal, name: str, *, gui: str, error: ThawError | None) -> Response:
    recipe = portal.bench.recipe(name)
    if not recipe.guis:
        raise NotFound(f"{recipe.title} has no window to open", hint="its threads can be run")
    return page(
        request,
        "open.html",
        status=422 if error else 200,
        recipe=recipe,
        standing=status_of_recipe(recipe, portal.bench.settings.home).word,
        chosen=gui or recipe.guis[0].name,
        datasets=dataset_names(recipe, seen_datasets(portal, request.state.principal)),
        error=error,
    )


def _refuse_unknown(recipe: Recipe, gui: str, datasets: tuple[str, ...], known: set[str]) -> None:
    guis: tuple[Gui, ...] = recipe.guis
    if gui not in [item.name for item in guis]:
        raise NotFound(
            f"{recipe.title} has no window {gui!r}", hint=f"it has: {', '.join(item.name for item in guis)}"
        )
    for item in datasets:
        if item not in known:
            raise NotFound(f"there is no dataset {item!r}", hint="choose one of the list")
