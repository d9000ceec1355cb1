"""The JSON Schema (2020-12) of recipe.yaml, for editors; only the loader sees whether names exist."""

from __future__ import annotations

from collections.abc import Callable

from instantiator.recipe.fields import RECIPE
from instantiator.recipe.kinds import (
    Anything,
    Boolean,
    Choice,
    Duration,
    Field,
    Integer,
    Kind,
    ListOf,
    MapOf,
    Mapping,
    Number,
    Size,
    Text,
    Value,
)
from instantiator.recipe.scalars import DURATION_PATTERN, SIZE_PATTERN

Schema = dict[str, object]


def recipe_schema() -> Schema:
    """The schema of a recipe. The schema and the loader are made from one description, `fields.py`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Thaw recipe, format 1",
        **_mapping(RECIPE),
    }


def _of_kind(kind: Kind) -> Schema:
    return _SCHEMAS[type(kind)](kind)


def _mapping(kind: Mapping) -> Schema:
    rules = [*map(_exactly_one, kind.exactly_one), *map(_at_least_one, kind.at_least_one)]
    schema: Schema = {
        "description": kind.help,
        "type": "object",
        "properties": {field.key: _property(field) for field in kind.fields},
        "required": [field.key for field in kind.fields if field.required],
        "additionalProperties": _of_kind(kind.others) if kind.others else False,
    }
    if kind.together:
        schema["dependentRequired"] = {key: list(others) for key, others in kind.together}
    return {**schema, "allOf": rules} if rules else schema


def _property(field: Field) -> Schema:
    return {**_of_kind(field.kind), "description": field.help}


def _exactly_one(keys: tuple[str, ...]) -> Schema:
    return {"oneOf": [{"required": [key]} for key in keys]}


def _at_least_one(keys: tuple[str, ...]) -> Schema:
    return {"anyOf": [{"required": [key]} for key in keys]}


def _map_of(kind: MapOf) -> Schema:
    return {
        "type": "object",
        "propertyNames": {"pattern": _whole(kind.key.pattern), "maxLength": kind.key.max_length},
        "additionalProperties": _of_kind(kind.item),
        "minProperties": kind.minimum,
    }


def _list_of(kind: ListOf) -> Schema:
    return {
        "type": "array",
        "items": _of_kind(kind.item),
        "minItems": kind.minimum,
        "uniqueItems": kind.unique,
    }


def _text(kind: Text) -> Schema:
    """Numbers are allowed where the loader takes their text; white space at both ends does not count."""
    schema: Schema = {"type": ["string", "number"] if kind.number else "string"}
    if kind.pattern:
        schema["pattern"] = _whole(kind.pattern if kind.exact else rf"\s*(?:{kind.pattern})\s*")
    elif not kind.empty:
        schema["pattern"] = r"[\s\S]" if kind.exact else r"\S"
    if kind.pattern and kind.number:
        schema["minimum"] = 0
    if kind.regex:
        schema["format"] = "regex"
    return {**schema, "maxLength": kind.max_length}


def _integer(kind: Integer) -> Schema:
    return {"type": "integer", **_bounds(kind)}


def _number(kind: Number) -> Schema:
    return {"type": "number", **_bounds(kind)}


def _bounds(kind: Integer | Number) -> Schema:
    bounds = {"minimum": kind.minimum, "maximum": kind.maximum}
    return {key: bound for key, bound in bounds.items() if bound is not None}


def _boolean(_: Boolean) -> Schema:
    return {"type": "boolean"}


def _choice(kind: Choice) -> Schema:
    return {"enum": [str(word) for word in kind.words]}


def _duration(_: Duration) -> Schema:
    return {"type": "string", "pattern": _whole(DURATION_PATTERN)}


def _size(_: Size) -> Schema:
    return {"type": "string", "pattern": _whole(SIZE_PATTERN)}


def _value(_: Value) -> Schema:
    return {"type": ["string", "number", "boolean"]}


def _anything(_: Anything) -> Schema:
    return {"type": ["string", "number", "boolean", "array", "object"]}


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"


_SCHEMAS: dict[type, Callable[..., Schema]] = {
    Mapping: _mapping,
    MapOf: _map_of,
    ListOf: _list_of,
    Text: _text,
    Integer: _integer,
    Number: _number,
    Boolean: _boolean,
    Choice: _choice,
    Duration: _duration,
    Size: _size,
    Value: _value,
    Anything: _anything,
}
