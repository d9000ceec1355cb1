"""A small whole recipe that tests change in one place, and helpers to read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from instantiator.recipe.errors import RecipeInvalid
from instantiator.recipe.load import load_recipe
from instantiator.recipe.model import Location, Parameter, ParameterType, ParameterValue, Recipe, Thread

MIDAS = """\
format: 1
name: midas
version: 22SEP
title: ESO-MIDAS
description: ESO's Munich Image Data Analysis System, which reduced most of La Silla's data in its time.
homepage: https://www.eso.org/sci/software/esomidas/
licence: GPL-2.0-or-later
citations:
  - ascl: ascl:1302.017
maintainers:
  - name: Thaw catalogue
base:
  debian: bookworm
packages: [eso-midas]
threads:
  flatfield:
    title: Divide an image by a flat field
    inputs:
      image: {type: fits, help: the raw image}
    parameters:
      gain: {type: float, unit: e-/ADU, min: 0.1, max: 10, default: 1.0, help: the gain of the CCD}
      mode: {type: choice, choices: [median, mean], default: median, help: how frames are combined}
      start: {type: time, help: the start of the exposure}
    command: [flat, "{{ inputs.image }}", "{{ params.gain }}", "{{ params.mode }}", "{{ params.start }}"]
    outputs:
      flat: {path: flat.fits, media_type: image/fits, compare: {rule: fits}}
datasets:
  m31:
    title: A field in M31
    origin: observed for this test
    licence: CC0-1.0
    path: data/m31
smoke:
  m31:
    thread: flatfield
    inputs: {image: m31}
    parameters: {gain: 2}
    expect:
      - output: flat
        contains: [SIMPLE]
"""

GUI = """\
guis:
  midas:
    title: MIDAS
    command: [xterm, -e, inmidas]
    window_class: XTerm
    opengl: software
    parameter_files: ["FORGR*.KEY"]
    logs: ["FORGR*.LOG"]
threads:
"""
GUI_TEST = """\
  window:
    gui: midas
    datasets: [m31]
    reference: screenshot.png
"""
WITH_GUI = MIDAS.replace("threads:\n", GUI, 1) + GUI_TEST
"""The sample with a GUI, and a smoke test of it."""


def write_recipe(root: Path, text: str = MIDAS, *, name: str = "midas", version: str = "22SEP") -> Path:
    """The folder of a recipe with one small dataset."""
    folder = root / "recipes" / name / version
    (folder / "data/m31").mkdir(parents=True, exist_ok=True)
    (folder / "data/m31/m31.fits").write_bytes(b"SIMPLE  =")
    (folder / "screenshot.png").write_bytes(b"\x89PNG")
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return folder


def load(root: Path, text: str = MIDAS) -> Recipe:
    """The recipe of a text."""
    return load_recipe(write_recipe(root, text))


def mistakes_of(root: Path, text: str) -> list[str]:
    """Every mistake of a text, as `line: message`; none where it loads."""
    try:
        load(root, text)
    except RecipeInvalid as error:
        return [f"{mistake.location.line}: {mistake.message}" for mistake in error.mistakes]
    return []


def change(old: str, new: str, *, text: str = MIDAS) -> str:
    """The sample with one place changed, which has to be there."""
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the sample"
    return text.replace(old, new)


def line_of(text: str, part: str) -> int:
    """The line `part` stands in."""
    return text[: text.index(part)].count("\n") + 1


def refusal(root: Path, text: str) -> RecipeInvalid:
    """The error a text is refused with."""
    with pytest.raises(RecipeInvalid) as caught:
        load(root, text)
    return caught.value


def parameter(
    kind: ParameterType,
    *,
    name: str = "step",
    default: ParameterValue | None = None,
    bounds: tuple[float | None, float | None] = (None, None),
    **texts: str,
) -> Parameter:
    """A parameter of a thread."""
    place = Location(file=Path("recipe.yaml"), line=1)
    least, most = bounds
    return Parameter(
        location=place,
        name=name,
        type=kind,
        default=default,
        minimum=least,
        maximum=most,
        choices=("median", "mean") if kind is ParameterType.CHOICE else (),
        unit=texts.get("unit", ""),
        pattern=texts.get("pattern", ""),
        required=texts.get("required") == "yes",
    )


def thread(*parameters: Parameter) -> Thread:
    """A thread with these parameters."""
    place = Location(file=Path("recipe.yaml"), line=1)
    return Thread(location=place, name="simulate", title="Simulate", parameters=parameters)
