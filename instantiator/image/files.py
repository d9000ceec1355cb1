"""What only the recipe's folder has: the files that go into its image, and the recipe itself."""

from __future__ import annotations

from instantiator.image.lock import Lock
from instantiator.recipe.keep import keep_recipe
from instantiator.recipe.model import Recipe
from provenance.digest import parse_digest
from provenance.vault import Vault


def keep_files(recipe: Recipe, lock: Lock, vault: Vault) -> None:
    """Put them into the vault, on whatever host the recipe lies; raises where one is not the locked one."""
    keep_recipe(recipe, vault)
    for file in lock.files:
        vault.put_file(recipe.folder / "files" / file.path, expected=parse_digest(f"sha256:{file.sha256}"))
