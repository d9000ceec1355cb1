"""The JSON Schema and the loader are made from one description, and agree on what a recipe is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from instantiator.recipe.fields import RECIPE
from instantiator.recipe.kinds import (
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
)
from instantiator.recipe.nodes import ScalarNode, read_nodes
from instantiator.recipe.publish import published_files
from instantiator.recipe.reader import read_language
from instantiator.recipe.reference import _find_mappings
from instantiator.recipe.scalars import read_duration, read_size
from instantiator.recipe.schema import recipe_schema
from tests.unit.recipe.samples import MIDAS, change
from tests.unit.recipe.test_mistakes import CASES

ROOT = Path(__file__).parents[3]
VALIDATOR = jsonschema.Draft202012Validator(recipe_schema())
SAMPLE = yaml.load(MIDAS, Loader=yaml.BaseLoader)


def is_read(value: object) -> bool:
    """Whether the loader finds no structural mistake in a value, written as JSON."""
    text = json.dumps(value, ensure_ascii=False)
    return not read_language(read_nodes(text.encode()), RECIPE).mistakes


def typed(text: str) -> object:
    """A YAML text as an editor's reader (YAML 1.2) has it: no dates, no yes and no."""

    class Reader(yaml.SafeLoader):
        pass

    drop = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")
    Reader.yaml_implicit_resolvers = {
        sign: [pair for pair in pairs if pair[0] not in drop]
        for sign, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Reader.add_implicit_resolver("tag:yaml.org,2002:bool", __import__("re").compile("true|false"), list("tf"))
    return yaml.load(text, Loader=Reader)


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(recipe_schema())


@pytest.mark.parametrize("file", [None, *sorted(ROOT.glob("recipes/*/*/recipe.yaml"))], ids=str)
def test_valid_recipes_are_valid_to_both(file: Path | None) -> None:
    value = typed(file.read_text() if file else MIDAS)
    assert (is_read(value), VALIDATOR.is_valid(value)) == (True, True)


STRUCTURAL = [
    c for c in CASES if "stands twice" not in c[3] and "octal" not in c[3] and "control" not in c[3]
]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"), STRUCTURAL, ids=[case[3][:60] for case in STRUCTURAL]
)
def test_broken_recipes_are_broken_to_both_or_to_cross_checks_alone(
    old: str, new: str, line: str, message: str
) -> None:
    value = typed(change(old, new))
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return  # JSON has no such number, so the schema never sees one
    if "regular expression" in message or "true or false" in message or " ways" in message:
        return  # of a pattern the schema only says that it is one; and yes, 1_000 are texts to YAML 1.2
    assert is_read(value) == VALIDATOR.is_valid(value)


# Values for any place of a recipe. White space at ends and control characters are left to the loader's own tests.
_WORDS = st.sampled_from(
    [
        "midas",
        "Midas",
        "22SEP",
        "https://a.org",
        "ftp://",
        "GPL-2.0-only",
        "(MIT OR",
        "a/b",
        "../a",
        "/a",
        "10 min",
        "10",
        "2 GiB",
        "2 GB",
        "fits",
        "int",
        "network",
        "amd64",
        "x" * 1100,
        "text/csv",
        "10.1051/1",
        "a==1",
        "0" * 64,
        "2026-11-20",
        "",
    ]
)
_ANY = st.recursive(
    st.one_of(_WORDS, st.integers(-3, 300), st.booleans(), st.sampled_from([0.5, 2.25])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(_WORDS.filter(lambda word: len(word) < 1000), inner, max_size=2),
    ),
    max_leaves=4,
)


def _paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a value."""
    found: list[tuple[str | int, ...]] = [path]
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        found += _paths(inner, (*path, key))
    return found


def _replace(value: object, path: tuple[str | int, ...], new: object) -> object:
    if not path:
        return new
    key, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {k: _replace(v, rest, new) if k == key else v for k, v in value.items()}
    assert isinstance(value, list)
    return [_replace(v, rest, new) if i == key else v for i, v in enumerate(value)]


def _add(value: object, path: tuple[str | int, ...], key: str, new: object) -> object:
    """The value with a key more in the mapping at (or next above) a path."""
    place = value
    for part in path:
        place = place[part]  # type: ignore[index]  # a path of this value
    if not isinstance(place, dict):
        return value
    return _replace(value, path, {**place, key: new})


_KEYS = st.sampled_from(
    sorted({field.key for kind in _find_mappings(RECIPE) for field in kind.fields} | {"comand"})
)
_FULL = typed((ROOT / "recipes/rosetta-eps/9.3.35/recipe.yaml").read_text())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_schema_and_the_loader_agree_on_recipes_broken_anywhere(data: st.DataObject) -> None:
    value = data.draw(st.sampled_from([_FULL, typed(MIDAS)]))
    path = data.draw(st.sampled_from(_paths(value)))
    new = data.draw(_ANY)
    changed = (
        _add(value, path, data.draw(_KEYS), new) if data.draw(st.booleans()) else _replace(value, path, new)
    )
    assert is_read(changed) == VALIDATOR.is_valid(changed), list(VALIDATOR.iter_errors(changed))[:3]


@pytest.mark.parametrize("path", published_files())
def test_the_published_files_are_up_to_date(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == published_files()[path], (
        "run: python -m instantiator.recipe.publish"
    )


@pytest.mark.parametrize("kind", _find_mappings(RECIPE), ids=lambda kind: kind.noun)
def test_every_key_has_help_and_goes_to_an_attribute_of_the_model(kind: Mapping) -> None:
    assert all(field.help for field in kind.fields)
    if dataclasses.is_dataclass(kind.make):
        attributes = {attribute.name for attribute in dataclasses.fields(kind.make)}
        assert {field.target for field in kind.fields if field.key != "format"} <= attributes


def _as_default(kind: Kind, text: str) -> object:
    """A default as the reference writes it, in the type of the model."""
    if isinstance(kind, (Duration, Size)):
        node = ScalarNode(line=1, text=text, plain=True)
        return read_duration(node, kind) if isinstance(kind, Duration) else read_size(node, kind)
    if isinstance(kind, (Text, Choice)):
        return text
    value = yaml.safe_load(text)
    if isinstance(kind, (Integer, Number)):
        return value
    named = isinstance(kind, MapOf) and isinstance(kind.item, Mapping)
    return tuple(value) if named or isinstance(kind, ListOf) else value


DEFAULTS = [
    (kind, field)
    for kind in _find_mappings(RECIPE)
    for field in kind.fields
    if field.default and dataclasses.is_dataclass(kind.make) and not isinstance(field.kind, Mapping)
]


@pytest.mark.parametrize(
    ("kind", "field"), DEFAULTS, ids=lambda item: getattr(item, "noun", None) or item.key
)
def test_the_defaults_of_the_reference_are_those_of_the_model(kind: Mapping, field: Field) -> None:
    assert dataclasses.is_dataclass(kind.make)
    (attribute,) = [a for a in dataclasses.fields(kind.make) if a.name == field.target]
    expected = _as_default(field.kind, field.default)
    if attribute.default is not dataclasses.MISSING:
        assert attribute.default == expected
    elif attribute.default_factory is not dataclasses.MISSING:
        assert attribute.default_factory() == expected
    else:
        assert expected == () or isinstance(field.kind, (MapOf, ListOf))
