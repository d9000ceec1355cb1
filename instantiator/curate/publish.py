"""Put a recipe into the catalogue: only one whose lock answers it, and whose checks find no error."""

from __future__ import annotations

from instantiator.atomic import replace_text
from instantiator.catalog import CatalogEntry, catalog_file, catalog_text, read_catalog
from instantiator.image.lock import Lock, refuse_unlocked
from instantiator.recipe.errors import Mistake, RecipeInvalid
from instantiator.recipe.lint import Severity, run_checks
from instantiator.recipe.model import Recipe


def publish_recipe(recipe: Recipe) -> CatalogEntry:
    """Write or renew the catalogue's entry of a recipe; other entries stay. Raises where it is not fit to publish."""
    lock = refuse_unlocked(recipe)
    errors = [finding for finding in run_checks(recipe) if finding.severity is Severity.ERROR]
    if errors:
        raise RecipeInvalid([Mistake(location=error.location, message=error.message) for error in errors])
    entry = entry_of(recipe, lock)
    recipes_dir = recipe.folder.parent.parent
    others = [
        item for item in read_catalog(recipes_dir) if (item.name, item.version) != (entry.name, entry.version)
    ]
    replace_text(catalog_file(recipes_dir), catalog_text((*others, entry)))
    return entry


def entry_of(recipe: Recipe, lock: Lock) -> CatalogEntry:
    """What the catalogue says of a recipe."""
    return CatalogEntry(
        name=recipe.name,
        version=recipe.version,
        title=recipe.title,
        mission=recipe.mission,
        threads=tuple(thread.name for thread in recipe.threads),
        guis=tuple(gui.name for gui in recipe.guis),
        image=lock.image.id if lock.image else None,
        awaits=tuple(deposit.name for deposit in lock.awaited),
    )
