"""The catalogue, and a page for each recipe."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from instantiator.curate.catalog_status import status_of_recipe
from instantiator.curate.publish import awaited_deposits
from instantiator.image.lock import read_lock
from instantiator.recipe.errors import RecipeUnknown
from instantiator.recipe.find import find_recipe
from instantiator.web.access import PrincipalOf, users_seen
from instantiator.web.guard import LOGGED_IN, PortalOf, User
from instantiator.web.pages import page
from instantiator.web.portal import NotFound
from instantiator.web.proofs import last_rebuild, last_verify
from instantiator.web.shelf import (
    Query,
    citation_link,
    evidence_of,
    facets_of,
    find_offers,
    latest_grades,
    offers_of,
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
    verified: str = "",
) -> Response:
    """All there is, narrowed by words and facets."""
    offers = offers_of(portal.bench, portal.clock())
    query = Query(words=q[:200], mission=mission, kind=kind, status=status, verified=verified)
    living = [item for item in portal.sessions.list(user) if not item.state.is_over()]
    return page(
        request,
        "catalogue.html",
        offers=find_offers(offers, query),
        total=len(offers),
        query=query,
        facets=facets_of(offers, query),
        living=living,
        works=portal.works.under_way(user),
    )


@router.get("/recipes/{name}/{version}")
def recipe_page(
    request: Request, portal: PortalOf, principal: PrincipalOf, name: str, version: str
) -> Response:
    """What a recipe is, what it can do, and what vouches for it."""
    recipe = portal.bench.recipe(f"{name}/{version}")
    runs = portal.bench.store.runs(5, recipe=recipe.id, users=users_seen(portal, principal))
    standing = status_of_recipe(recipe, portal.bench.settings.home)
    is_waiting = standing.word == "awaiting deposit"
    return page(
        request,
        "recipe.html",
        recipe=recipe,
        standing=standing,
        deposits=awaited_deposits(recipe, read_lock(recipe)) if is_waiting else (),
        successor=_successor(portal.bench.settings.recipes_dir, recipe.superseded_by),
        versions=versions_of(portal.bench, name),
        evidence=evidence_of(recipe),
        proofs=(
            ("Last rebuild", "rebuild", last_rebuild(portal.bench, recipe.id)),
            ("Last verify", "test", last_verify(portal.bench, recipe.id)),
        ),
        citations=[(*citation_link(item), item.note) for item in recipe.citations],
        screenshot=screenshot_of(recipe) is not None,
        runs=runs,
        grades=latest_grades(portal.bench, runs),
    )


def _successor(recipes_dir: Path, superseded_by: str) -> str:
    """The recipe to use instead as `name/version`; empty where none is named, or it is not here."""
    try:
        folder = find_recipe(recipes_dir, superseded_by) if superseded_by else None
    except RecipeUnknown:
        return ""
    return f"{folder.parent.name}/{folder.name}" if folder else ""


@router.get("/recipes/{name}/{version}/screenshot.png")
def screenshot(portal: PortalOf, name: str, version: str) -> Response:
    """The picture of a recipe."""
    path = screenshot_of(portal.bench.recipe(f"{name}/{version}"))
    if path is None:
        raise NotFound("this recipe has no screenshot")
    return FileResponse(path, media_type="image/png")
