"""The catalogue, datasets and sessions: what there is."""

from __future__ import annotations

from urllib.parse import quote

from instantiator.client.actions import Flow
from instantiator.client.flows.asking import ask, get
from instantiator.client.models import (
    Dataset,
    Recipe,
    RecipeEntry,
    Session,
    Thread,
    read_entries,
    read_json,
    read_recipe,
    read_value,
    read_values,
)


def version() -> Flow[str]:
    """The release of the service: also shows that the token is good."""
    reply = yield from ask(get("/"))
    return str(read_json(reply.content).get("version", ""))


def recipes(*, every: bool = False, retired: bool = False) -> Flow[tuple[RecipeEntry, ...]]:
    """The catalogue: the newest of each, or `every` version, where asked for with those that have left the list."""
    asked = [("every", "true")] if every or retired else []
    reply = yield from ask(get("/recipes", *asked, *([("retired", "true")] if retired else [])))
    return read_entries(reply.content)


def recipe(name: str) -> Flow[Recipe]:
    """A recipe, by `name` or `name/version`."""
    reply = yield from ask(get(_path(name)))
    return read_recipe(reply.content)


def threads(name: str) -> Flow[tuple[Thread, ...]]:
    """The threads of a recipe, by `name` or `name/version`."""
    whole = name if "/" in name else (yield from recipe(name)).recipe
    reply = yield from ask(get(f"{_path(whole)}/threads"))
    return read_values(Thread, reply.content, "threads")


def datasets() -> Flow[tuple[Dataset, ...]]:
    """All versions of all datasets this user may use."""
    found: list[Dataset] = []
    cursor: str | None = ""
    while cursor is not None:
        query = [("limit", "1000"), *([("cursor", cursor)] if cursor else [])]
        reply = yield from ask(get("/datasets", *query))
        found += read_values(Dataset, reply.content, "datasets")
        cursor = read_json(reply.content).get("next")
    return tuple(found)


def dataset(reference: str) -> Flow[Dataset]:
    """One dataset, by `name` or `name@version`."""
    reply = yield from ask(get(f"/datasets/{quote(reference, safe='@')}"))
    return read_value(Dataset, read_json(reply.content))


def sessions() -> Flow[tuple[Session, ...]]:
    """The sessions of this user."""
    reply = yield from ask(get("/sessions"))
    return read_values(Session, reply.content, "sessions")


def _path(name: str) -> str:
    bare, _, version = name.partition("/")
    path = f"/recipes/{quote(bare, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path
