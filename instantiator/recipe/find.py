"""Recipes by name: which folders there are, and which one is meant. Reads no recipe, so it is quick to import."""

from __future__ import annotations

from pathlib import Path

from instantiator.recipe.errors import RecipeUnknown
from instantiator.recipe.versions import version_key
from instantiator.recipe.words import suggest

RECIPE_FILE = "recipe.yaml"


def find_recipes(recipes_dir: Path) -> tuple[Path, ...]:
    """The folders of all recipes, by name, then from the oldest to the newest version."""
    files = recipes_dir.glob(f"*/*/{RECIPE_FILE}")
    return tuple(sorted((file.parent for file in files), key=lambda f: (f.parent.name, version_key(f.name))))


def find_recipe(recipes_dir: Path, name: str) -> Path:
    """The folder of `NAME` (newest version) or `NAME/VERSION`; raises `RecipeUnknown` naming the nearest."""
    folders = find_recipes(recipes_dir)
    wanted, _, version = name.partition("/")
    for folder in reversed(folders):
        if folder.parent.name == wanted and version in ("", folder.name):
            return folder
    known = {folder.parent.name: None for folder in folders}
    if wanted in known:
        known = {f"{wanted}/{folder.name}": None for folder in folders if folder.parent.name == wanted}
    raise RecipeUnknown(
        f"there is no recipe {name!r}{suggest(name, known)}",
        where=str(recipes_dir),
        hint="thaw list shows every recipe; a new one begins with: thaw recipe new NAME",
    )
