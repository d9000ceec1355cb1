"""Recipes with threads of a test's own: the same lock answers, since threads are no part of an image."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.end_to_end.conftest import RECIPE


def add_threads(folder: Path, threads: Mapping[str, object]) -> Path:
    """A recipes folder in `folder` whose rosetta-eps has these threads too."""
    recipes = folder / "recipes"
    copy = recipes / "rosetta-eps" / RECIPE.name
    shutil.copytree(RECIPE, copy)
    text = (copy / "recipe.yaml").read_text()
    more = yaml.safe_dump(dict(threads), sort_keys=False).replace("\n", "\n  ").rstrip()
    (copy / "recipe.yaml").write_text(text.replace("threads:\n", f"threads:\n  {more}\n", 1))
    return recipes
