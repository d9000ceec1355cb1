"""Retire a recipe: it leaves the lists and names its successor. Nothing is deleted, and it still runs."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from instantiator.atomic import replace_bytes, replace_text
from instantiator.catalog import catalog_file, catalog_text, read_catalog
from instantiator.recipe.errors import RecipeUnknown
from instantiator.recipe.find import find_recipe
from instantiator.recipe.keep import keep_recipe
from instantiator.recipe.load import load_recipe
from instantiator.recipe.model import Recipe
from provenance.vault import Vault

WHY = "superseded"
_OURS = re.compile(r"^(?:retired|superseded_by):.*\n", re.MULTILINE)
_VERSION = re.compile(r"^version:.*\n", re.MULTILINE)


def retire_recipe(recipe: Recipe, vault: Vault, *, superseded_by: str = "", why: str = "") -> Recipe:
    """Write down that a recipe is retired, why and by what it is superseded; its catalogue entry follows.

    The recipe as it was is kept in the vault first: records name it by that digest. Raises `RecipeUnknown` for a
    successor that is not there, or is the recipe itself.
    """
    if superseded_by:
        refuse_wrong_successor(recipe, superseded_by)
    keep_recipe(recipe, vault)
    former = recipe.file.read_bytes()
    replace_text(recipe.file, retired_text(former.decode(), superseded_by=superseded_by, why=why))
    try:
        retired = load_recipe(recipe.folder)
        _mark_entry(retired)
    except BaseException:
        replace_bytes(recipe.file, former)
        raise
    return retired


def retired_text(text: str, *, superseded_by: str, why: str) -> str:
    """The text of a recipe.yaml with the keys that say it is retired, behind its version; all else untouched."""
    lines = [f"retired: {json.dumps(why or WHY, ensure_ascii=False)}\n"]
    lines += [f"superseded_by: {superseded_by}\n"] if superseded_by else []
    bare = _OURS.sub("", text)
    return _VERSION.sub(lambda match: match[0] + "".join(lines), bare, count=1)


def refuse_wrong_successor(recipe: Recipe, superseded_by: str) -> None:
    """Raise `RecipeUnknown` where the successor is not there, or is the recipe itself."""
    folder = find_recipe(recipe.folder.parent.parent, superseded_by)
    if folder.resolve() == recipe.folder.resolve():
        raise RecipeUnknown(
            f"{recipe.id} cannot be superseded by itself",
            where=str(recipe.file),
            hint="name the recipe to use instead, as NAME or NAME/VERSION",
        )


def _mark_entry(recipe: Recipe) -> None:
    """Only what is published has an entry to mark; the rest of it stays as it was published."""
    recipes_dir = recipe.folder.parent.parent
    entries = read_catalog(recipes_dir)
    marked = tuple(
        replace(entry, retired=recipe.retired, superseded_by=recipe.superseded_by)
        if entry.id == recipe.id
        else entry
        for entry in entries
    )
    if marked != entries:
        replace_text(catalog_file(recipes_dir), catalog_text(marked))
