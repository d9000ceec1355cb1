"""Writes what is made from the description of the language: `python -m instantiator.recipe.publish`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from instantiator.recipe.reference import render_reference
from instantiator.recipe.schema import recipe_schema

SCHEMA_FILE = Path("recipes/recipe.schema.json")
REFERENCE_FILE = Path("docs/recipe-reference.md")


def published_files() -> dict[Path, str]:
    """The generated files of the repository, by path, with what they have to hold."""
    schema = json.dumps(recipe_schema(), indent=1, ensure_ascii=False) + "\n"
    return {SCHEMA_FILE: schema, REFERENCE_FILE: render_reference()}


def publish(root: Path) -> None:
    """Write the generated files below `root`."""
    for path, text in published_files().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        temporary = root / path.with_name(path.name + ".new")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, root / path)  # noqa: PTH105 (the call every atomic write here uses)


if __name__ == "__main__":
    publish(Path.cwd())
