"""Recipes and their threads."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse, Response

from instantiator.curate.catalog_status import status_of
from instantiator.recipe.errors import RecipeUnknown
from instantiator.recipe.model import Recipe
from instantiator.recipe.parameters import parameter_schema
from instantiator.thread.plan import find_thread
from instantiator.web import shelf
from instantiator.web.api import models, views
from instantiator.web.api.asking import READS, PortalOf
from instantiator.web.api.problems import problems
from instantiator.web.api.wire import RecipeName, ThreadName
from instantiator.web.portal import Portal

router = APIRouter(prefix="/recipes", tags=["recipes"], dependencies=[READS])
Name = Annotated[RecipeName, Path(examples=["rosetta-eps"])]
Version = Annotated[RecipeName, Path(examples=["9.3.35"])]
Thread = Annotated[ThreadName, Path(examples=["simulate"])]
Word = Annotated[str, Query(max_length=200)]


@router.get("", operation_id="list_recipes", responses=problems())
def list_recipes(
    portal: PortalOf,
    words: Word = "",
    mission: Word = "",
    kind: Word = "",
    status: Word = "",
    every: Annotated[bool, Query(description="All versions, not only the newest of each")] = False,
    retired: Annotated[bool, Query(description="Also what has left the list; with `every`")] = False,
) -> models.RecipeList:
    """What is published, each in its newest version, narrowed by words, mission, kind (gui, thread) and status."""
    query = shelf.Query(words=words, mission=mission, kind=kind, status=status)
    entries = (
        shelf.all_entries(portal.bench, retired=retired) if every else shelf.newest_entries(portal.bench)
    )
    found = shelf.find_offers(shelf.offers_of(portal.bench, portal.clock(), entries), query)
    return models.RecipeList(recipes=tuple(views.entry_view(offer.entry, offer.status) for offer in found))


@router.get("/{name}", operation_id="get_recipe", responses=problems())
def get_recipe(portal: PortalOf, name: Name) -> models.RecipeView:
    """The newest version of a recipe."""
    return _view(portal, _recipe(portal, name))


@router.get("/{name}/versions", operation_id="list_versions", responses=problems())
def list_versions(portal: PortalOf, name: Name) -> models.RecipeList:
    """All published versions of a recipe, newest first."""
    from instantiator.catalog import read_catalog

    _recipe(portal, name)
    entries = {
        item.version: item for item in read_catalog(portal.bench.settings.recipes_dir) if item.name == name
    }
    versions = shelf.versions_of(portal.bench, name)
    home = portal.bench.settings.home
    found = tuple(views.entry_view(entries[item], status_of(entries[item], home)) for item in versions)
    return models.RecipeList(recipes=found)


@router.get("/{name}/versions/{version}", operation_id="get_version", responses=problems())
def get_version(portal: PortalOf, name: Name, version: Version) -> models.RecipeView:
    """One version of a recipe."""
    return _view(portal, _recipe(portal, name, version))


@router.get("/{name}/versions/{version}/threads", operation_id="list_threads", responses=problems())
def list_threads(portal: PortalOf, name: Name, version: Version) -> models.ThreadList:
    """What can be run: the threads of a recipe, with the JSON Schema of their parameters."""
    recipe = _recipe(portal, name, version)
    return models.ThreadList(threads=tuple(views.thread_view(recipe, item) for item in recipe.threads))


@router.get("/{name}/versions/{version}/threads/{thread}", operation_id="get_thread", responses=problems())
def get_thread(portal: PortalOf, name: Name, version: Version, thread: Thread) -> models.ThreadView:
    """One thread."""
    recipe = _recipe(portal, name, version)
    return views.thread_view(recipe, find_thread(recipe, thread))


@router.get(
    "/{name}/versions/{version}/threads/{thread}/schema",
    operation_id="get_schema",
    response_class=Response,
    responses={
        200: {
            "description": "The JSON Schema (2020-12) of an object that holds the parameters",
            "content": {"application/schema+json": {"schema": {"type": "object"}}},
        },
        **problems(),
    },
)
def get_schema(portal: PortalOf, name: Name, version: Version, thread: Thread) -> Response:
    """The JSON Schema of a thread's parameters, alone."""
    found = find_thread(_recipe(portal, name, version), thread)
    return JSONResponse(parameter_schema(found), media_type="application/schema+json")


def _view(portal: Portal, recipe: Recipe) -> models.RecipeView:
    versions = shelf.versions_of(portal.bench, recipe.name)
    return views.recipe_view(recipe, shelf.evidence_of(recipe), versions)


def _recipe(portal: Portal, name: str, version: str = "") -> Recipe:
    try:
        return portal.bench.recipe(f"{name}/{version}" if version else name)
    except RecipeUnknown as error:
        hint = "the recipes there are: GET /api/v1/recipes"
        raise RecipeUnknown(error.message, where=name, hint=hint) from error
