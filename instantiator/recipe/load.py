"""Recipes from their folders: found by name, read, checked, and made into values."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from instantiator.recipe.build import build_recipe
from instantiator.recipe.crosscheck import check_across
from instantiator.recipe.errors import Mistake, RecipeInvalid, RecipeUnknown
from instantiator.recipe.fields import RECIPE
from instantiator.recipe.find import RECIPE_FILE
from instantiator.recipe.find import find_recipe as find_recipe
from instantiator.recipe.find import find_recipes as find_recipes
from instantiator.recipe.model import Location, Recipe
from instantiator.recipe.nodes import NotReadable, read_nodes
from instantiator.recipe.reader import Reading, read_language
from provenance.digest import Digest, TreeEntry, digest_bytes, digest_file, make_tree

DIGESTED_FOLDERS = ("data", "files", "smoke")


def load_recipe(folder: Path) -> Recipe:
    """The recipe in `folder`; raises `RecipeInvalid` with every mistake of its file."""
    file = folder / RECIPE_FILE
    content = _read_file(file)
    reading = _read_language(content, file)
    check_across(reading, folder)
    entries = _list_files(folder, reading)
    if reading.mistakes or reading.root is None:
        raise RecipeInvalid([_mistake(file, line, message) for line, message in reading.mistakes])
    digest = _digest_recipe(content, folder, entries)
    return build_recipe(reading.root, folder=folder, digest=digest, lines=reading.lines)


def _read_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RecipeUnknown(
            f"no recipe can be read here: {error.strerror or error}",
            where=str(file),
            hint="a recipe is a folder recipes/<name>/<version>/ with a recipe.yaml",
        ) from error


def _read_language(content: bytes, file: Path) -> Reading:
    try:
        return read_language(read_nodes(content), RECIPE)
    except NotReadable as error:
        raise RecipeInvalid([_mistake(file, error.line, error.message)]) from error


def _mistake(file: Path, line: int, message: str) -> Mistake:
    return Mistake(location=Location(file=file, line=line), message=message)


def _list_files(folder: Path, reading: Reading) -> tuple[os.DirEntry[str], ...]:
    """The files of the folders that count. A link is refused: its digest would be that of something else."""
    entries = []
    for name in DIGESTED_FOLDERS:
        for entry in _walk(folder / name):
            if entry.is_file(follow_symlinks=False):
                entries.append(entry)
            else:
                path = os.path.relpath(entry.path, folder)
                reading.refuse(1, f"{path} is no plain file: a recipe holds files and folders only")
    return tuple(entries)


def _walk(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """Everything below `folder` that is no folder itself."""
    try:
        found = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path)
            else:
                yield entry


def _digest_recipe(content: bytes, folder: Path, entries: tuple[os.DirEntry[str], ...]) -> Digest:
    """The digest of the tree of recipe.yaml (these very bytes) and of all files in data/, files/ and smoke/.

    README.md and recipe.lock.yaml are left out: they change neither the image nor a thread. Paths, bytes and
    executable bits count; times, owners and modes do not.
    """
    recipe = TreeEntry(path=RECIPE_FILE, digest=digest_bytes(content), size=len(content))
    return make_tree([recipe, *(_tree_entry(entry, folder) for entry in entries)]).digest


def _tree_entry(entry: os.DirEntry[str], folder: Path) -> TreeEntry:
    status = entry.stat(follow_symlinks=False)
    return TreeEntry(
        path=Path(entry.path).relative_to(folder).as_posix(),
        digest=digest_file(Path(entry.path)),
        size=status.st_size,
        executable=bool(status.st_mode & 0o100),
    )
