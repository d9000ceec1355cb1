"""The catalogue, and a page for each recipe."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from instantiator.web.guard import LOGGED_IN, PortalOf, User
from instantiator.web.pages import page
from instantiator.web.portal import NotFound
from instantiator.web.shelf import (
    Query,
    citation_link,
    entry_kinds,
    evidence_of,
    facets_of,
    find_entries,
    latest_grades,
    newest_entries,
    screenshot_of,
    versions_of,
)

router = APIRouter(dependencies=[LOGGED_IN])


@router.get("/")
def catalogue(
    request: Request,
    portal: PortalOf,
    user: User,
    q: str = "",
    mission: str = "",
    kind: str = "",
    status: str = "",
) -> Response:
    """All there is, narrowed by words and facets."""
    entries = newest_entries(portal.bench)
    query = Query(words=q[:200], mission=mission, kind=kind, status=status)
    found = find_entries(entries, query)
    living = [item for item in portal.sessions.list(user) if not item.state.is_over()]
    return page(
        request,
        "catalogue.html",
        entries=[(entry, entry_kinds(entry)) for entry in found],
        total=len(entries),
        query=query,
        facets=facets_of(entries, query),
        living=living,
        works=portal.works.under_way(user),
    )


@router.get("/recipes/{name}/{version}")
def recipe_page(request: Request, portal: PortalOf, name: str, version: str) -> Response:
    """What a recipe is, what it can do, and what vouches for it."""
    recipe = portal.bench.recipe(f"{name}/{version}")
    runs = portal.bench.store.runs(5, recipe=recipe.id)
    return page(
        request,
        "recipe.html",
        recipe=recipe,
        versions=versions_of(portal.bench, name),
        evidence=evidence_of(recipe),
        citations=[(*citation_link(item), item.note) for item in recipe.citations],
        screenshot=screenshot_of(recipe) is not None,
        runs=runs,
        grades=latest_grades(portal.bench, runs),
    )


@router.get("/recipes/{name}/{version}/screenshot.png")
def screenshot(portal: PortalOf, name: str, version: str) -> Response:
    """The picture of a recipe."""
    path = screenshot_of(portal.bench.recipe(f"{name}/{version}"))
    if path is None:
        raise NotFound("this recipe has no screenshot")
    return FileResponse(path, media_type="image/png")
