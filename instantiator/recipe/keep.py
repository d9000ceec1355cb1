"""Keep a recipe's own files in the vault: law 5 says that a record is enough, also to say what its software was."""

from __future__ import annotations

from instantiator.recipe.model import Recipe
from provenance.digest import TreeEntry, make_tree
from provenance.vault import Vault
from provenance.vault_tree import tree_to_bytes


def keep_recipe(recipe: Recipe, vault: Vault) -> None:
    """Have the files of a recipe in the vault under its digest: then a run is told of when the recipe is gone."""
    if vault.has(recipe.digest) or not recipe.file.is_file():
        return
    from instantiator.recipe.load import (
        DIGESTED_FOLDERS,  # here: a recipe that is kept already needs no reader
    )

    folders = [recipe.folder / name for name in DIGESTED_FOLDERS]
    files = [recipe.file, *(path for folder in folders for path in folder.rglob("*") if path.is_file())]
    kept = vault.put_files(files)
    tree = make_tree(
        TreeEntry(
            path=file.relative_to(recipe.folder).as_posix(),
            digest=digest,
            size=size,
            executable=file != recipe.file and bool(file.stat().st_mode & 0o100),
        )
        for file, (digest, size) in zip(files, kept, strict=True)
    )
    if tree.digest == recipe.digest:  # else somebody is editing it
        vault.put_bytes(tree_to_bytes(tree))
