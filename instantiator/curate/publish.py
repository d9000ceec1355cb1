"""Put a recipe into the catalogue: only one whose lock answers it, and whose checks find no error.

A draft, which says itself what is missing, needs no lock: it stands there so that somebody finds what it lacks.
"""

from __future__ import annotations

from instantiator.atomic import replace_text
from instantiator.catalog import CatalogEntry, catalog_file, catalog_text, read_catalog
from instantiator.image.lock import Lock, refuse_unlocked
from instantiator.recipe.errors import Mistake, RecipeInvalid
from instantiator.recipe.lint import Severity, run_checks
from instantiator.recipe.model import Deposit, Recipe


def publish_recipe(recipe: Recipe) -> CatalogEntry:
    """Write or renew the catalogue's entry of a recipe; other entries stay. Raises where it is not fit to publish."""
    lock = None if recipe.missing else refuse_unlocked(recipe)
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


def entry_of(recipe: Recipe, lock: Lock | None) -> CatalogEntry:
    """What the catalogue says of a recipe; `lock` is None for a draft."""
    image = lock.image if lock else None
    return CatalogEntry(
        name=recipe.name,
        version=recipe.version,
        title=recipe.title,
        mission=recipe.mission,
        threads=tuple(thread.name for thread in recipe.threads),
        guis=tuple(gui.name for gui in recipe.guis),
        image=image.id if image else None,
        awaits=()
        if image
        else tuple(describe_deposit(deposit) for deposit in awaited_deposits(recipe, lock)),
        missing=recipe.missing,
        retired=recipe.retired,
        superseded_by=recipe.superseded_by,
    )


def awaited_deposits(recipe: Recipe, lock: Lock | None) -> tuple[Deposit, ...]:
    """The deposits nobody has handed in, as far as recipe and lock tell.

    A digest that only the lock has was pinned by handing the file in; one the recipe names was only known before.
    """
    pinned = {item.name for item in (lock.deposits if lock else ()) if item.sha256 is not None}
    return tuple(item for item in recipe.deposits if item.sha256 is not None or item.name not in pinned)


def describe_deposit(deposit: Deposit) -> str:
    """Which file is waited for, where it is found, and how its bytes are known."""
    known = f"sha256 {deposit.sha256}" if deposit.sha256 else "pinned by its sha256 when it is handed in"
    size = f", {deposit.size:,} bytes" if deposit.size else ""
    return f"{deposit.name}: {deposit.file}{size}, from {deposit.found_at}; {known}"
