"""Checked sections to the values of the model. Runs only where a file has no structural mistake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any  # the values of a section have the types `fields.py` says, which Python cannot see

from instantiator.recipe.kinds import Mapping
from instantiator.recipe.model import Location, Parameter, Recipe, SmokeTest, Thread
from instantiator.recipe.parameters import parse_parameters, parse_value
from instantiator.recipe.reader import Section
from provenance.digest import Digest


def build_recipe(root: Section, *, folder: Path, digest: Digest, lines: dict[str, int]) -> Recipe:
    """The recipe that a checked file describes."""
    values = _attributes(root, folder / "recipe.yaml")
    del values["format"]
    required = {"mission": (), "citations": ()}
    recipe = Recipe(folder=folder, digest=digest, lines=lines, **{**required, **values})
    return replace(recipe, smoke=tuple(_type_smoke_test(test, recipe.threads) for test in recipe.smoke))


def build_section(section: Section, file: Path, *, name: str | None = None) -> Any:
    """The model's value of one section; `name` where a section is called by its key."""
    assert isinstance(section.kind, Mapping)
    values = _attributes(section, file)
    if section.kind.located:
        values["location"] = Location(file=file, line=section.line)
    if name is not None:
        values["name"] = name
    made = section.kind.make(**values)
    return _type_default(made) if isinstance(made, Parameter) else made


def _attributes(section: Section, file: Path) -> dict[str, Any]:
    assert isinstance(section.kind, Mapping)
    known = section.kind.by_key
    return {
        known[key].target if key in known else key: _build(value, file)
        for key, value in section.values.items()
    }


def _build(value: object, file: Path) -> Any:
    """A mapping by names becomes a tuple of named values, or a dict where it holds plain texts."""
    if isinstance(value, tuple):
        return tuple(_build(item, file) for item in value)
    if not isinstance(value, Section):
        return value
    if isinstance(value.kind, Mapping):
        return build_section(value, file)
    if not isinstance(value.kind.item, Mapping):
        return dict(value.values)
    sections = value.values.items()
    return tuple(build_section(s, file, name=name) for name, s in sections if isinstance(s, Section))


def _type_default(parameter: Parameter) -> Parameter:
    if parameter.default is None:
        return parameter
    return replace(parameter, default=parse_value(parameter, parameter.default))


def _type_smoke_test(test: SmokeTest, threads: tuple[Thread, ...]) -> SmokeTest:
    """The parameters of a smoke test in their own types; those it leaves out stay left out."""
    if test.gui:
        return test
    thread = next(thread for thread in threads if thread.name == test.thread)
    typed = parse_parameters(thread, test.parameters)
    given = {name: typed[name] for name in test.parameters}
    return replace(test, parameters={name: value for name, value in given.items() if value is not None})
