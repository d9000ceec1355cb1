"""The values a service answers with. What it says beyond what is named here is left alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from instantiator.client.errors import AnswerInvalid
from provenance.record import RunState, parse_time

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeEntry:
    """An entry of the catalogue. `status` is what the service derived, `verified` when that was last shown."""

    recipe: str
    name: str
    version: str
    title: str
    mission: tuple[str, ...]
    threads: tuple[str, ...]
    guis: tuple[str, ...]
    status: str
    verified: datetime | None = None
    details: tuple[str, ...] = ()
    image: str | None = None
    awaits: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    retired: str = ""
    superseded_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A recipe in all its parts; `image` is empty where its lock pins none."""

    recipe: str
    digest: str
    title: str
    description: str
    homepage: str
    licence: str
    mission: tuple[str, ...]
    citations: tuple[str, ...]
    threads: tuple[str, ...]
    datasets: tuple[str, ...]
    versions: tuple[str, ...]
    image: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A thread; `parameters` is the JSON Schema of an object that holds them."""

    recipe: str
    thread: str
    title: str
    help: str
    inputs: tuple[Mapping[str, Any], ...]
    parameters: Mapping[str, Any]
    outputs: tuple[Mapping[str, Any], ...]
    time_limit_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One version of a dataset; `dataset` is its reference, `name@version`."""

    dataset: str
    name: str
    version: int
    digest: str
    files: int
    size: int
    kept: bool
    added: str
    title: str
    origin: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a run: `state`, `step` or `log`, numbered from 1."""

    number: int
    name: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A run as the service last said. `answered_from` names the run whose outputs it was given."""

    run: str
    kind: str
    user: str
    label: str
    recipe: str
    thread: str
    parameters: Mapping[str, Any]
    datasets: Mapping[str, str]
    state: RunState
    message: str
    submitted: datetime
    started: datetime | None
    ended: datetime | None
    exit_status: int | None
    position: int | None
    attempts: int
    record: str | None
    answered_from: str | None
    repeats: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """One output of a run."""

    number: int
    name: str
    path: str
    digest: str
    size: int
    media_type: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictEntry:
    """That a run was repeated and judged."""

    run: str
    repeated_by: str
    grade: str
    judged: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session; `page` is where it is seen, below the service's address."""

    session: str
    recipe: str
    gui: str
    title: str
    kind: str
    state: str
    is_over: bool
    message: str
    workspace: str
    created: str
    expires: str
    page: str


def read_json(content: bytes) -> Mapping[str, Any]:
    """The object an answer holds; raises `AnswerInvalid`."""
    try:
        value = json.loads(content)
    except ValueError as error:
        raise _invalid("it is not JSON") from error
    if not isinstance(value, dict):
        raise _invalid("it is no object")
    return value


def read_value(kind: type[Value], value: object) -> Value:
    """A value from its JSON: a key for each field; raises `AnswerInvalid` where one is missing."""
    if not isinstance(value, Mapping):
        raise _invalid(f"expected a {kind.__name__}")
    names = [item.name for item in fields(kind)]  # type: ignore[arg-type]  # kinds are the dataclasses above
    try:
        return kind(**{name: _plain(value[name]) for name in names if name in value})
    except TypeError as error:
        raise _invalid(f"of a {kind.__name__} {sorted(set(names) - set(value))} is missing") from error


def read_values(kind: type[Value], content: bytes, key: str) -> tuple[Value, ...]:
    """The values of a list, from an answer that holds it under `key`."""
    return tuple(read_value(kind, item) for item in items_of(read_json(content), key))


def items_of(value: Mapping[str, Any], key: str) -> list[Any]:
    """The list under a key; raises `AnswerInvalid`."""
    found = value.get(key)
    if not isinstance(found, list):
        raise _invalid(f"it has no list {key!r}")
    return found


def read_recipe(content: bytes) -> Recipe:
    """A recipe, with the image its evidence names."""
    value = read_json(content)
    evidence = value.get("evidence")
    image = evidence.get("image", "") if isinstance(evidence, dict) else ""
    return read_value(Recipe, {**value, "image": image})


def read_entries(content: bytes) -> tuple[RecipeEntry, ...]:
    """The entries of the catalogue."""
    return tuple(_read_entry(item) for item in items_of(read_json(content), "recipes"))


def _read_entry(value: object) -> RecipeEntry:
    told = value.get("verified") if isinstance(value, Mapping) else None
    try:
        verified = parse_time(told) if told else None
    except (ValueError, TypeError) as error:
        raise _invalid(f"of an entry 'verified' is {told!r}") from error
    return read_value(RecipeEntry, {**value, "verified": verified} if isinstance(value, Mapping) else value)


def read_status(value: Mapping[str, Any]) -> RunStatus:
    """A run."""
    try:
        given = {
            **value,
            "state": RunState(value["state"]),
            "submitted": parse_time(value["submitted"]),
            **{key: parse_time(value[key]) if value[key] else None for key in ("started", "ended")},
        }
    except (KeyError, ValueError, TypeError) as error:
        raise _invalid(f"it is no run ({error})") from error
    return read_value(RunStatus, given)


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _invalid(why: str) -> AnswerInvalid:
    return AnswerInvalid(
        f"the answer cannot be understood: {why}",
        hint="is this the address of a Thaw? A newer service may need a newer client",
    )
