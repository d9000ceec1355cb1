"""Take a preserved recipe in: checked whole before the first byte is taken, then built and verified from it alone."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from instantiator.curate.preserve.errors import PreserveRefused
from instantiator.curate.preserve.export import RECIPE_FOLDER, Shelves
from instantiator.curate.preserve.index import Index, object_path, read_index
from instantiator.curate.preserve.packaging import unwrapped
from instantiator.image.lock import refuse_unlocked
from instantiator.image.scratch import scratch_folder
from instantiator.progress import Progress, megabytes, step
from instantiator.recipe.find import RECIPE_FILE
from instantiator.recipe.load import load_recipe
from instantiator.recipe.model import Recipe
from provenance.digest import map_in_threads
from provenance.record import record_from_bytes
from provenance.vault import WRITERS
from provenance.vault_tree import tree_from_bytes
from provenance.verdict import verdict_from_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What was taken in; `is_new` where the recipe was not here before."""

    recipe: Recipe
    index: Index
    is_new: bool
    added: int


def import_recipe(source: Path, shelves: Shelves, recipes_dir: Path, progress: Progress) -> Imported:
    """Take the recipe in `source`, an OCFL object or a bag. A damaged one leaves nothing behind.

    Raises `PreserveRefused` also where another recipe of that name and version is here already.
    """
    with ExitStack() as stack:
        with step(progress, f"check {source}") as current:
            content = stack.enter_context(unwrapped(source, shelves.scratch))
            index = read_index(content)
            current.detail = f"{len(index.objects)} objects"
        recipe = _checked_recipe(
            content, index, stack.enter_context(scratch_folder(shelves.scratch, "recipe-"))
        )
        is_new = _refuse_other(index, recipes_dir)
        with step(progress, "take the objects in") as current:
            added = _take_objects(content, index, shelves)
            current.detail = f"{added} new, {megabytes(index.size)}"
        _take_runs(index, shelves)
        if is_new:
            _take_recipe(recipe.folder, recipes_dir / index.recipe)
    return Imported(recipe=load_recipe(recipes_dir / index.recipe), index=index, is_new=is_new, added=added)


def _checked_recipe(content: Path, index: Index, room: Path) -> Recipe:
    """The recipe among the files, laid out in `room`; raises where it is not the one the index names.

    Executable bits count in its digest, and no packaging keeps them: the tree among the objects does.
    """
    folder = room / index.recipe
    shutil.copytree(content / RECIPE_FOLDER / index.recipe, folder)
    tree = (content / object_path(index.recipe_digest)).read_bytes()
    for entry in tree_from_bytes(tree, index.recipe_digest).entries:
        file = folder / entry.path
        if file.is_file():
            file.chmod(0o755 if entry.executable else 0o644)
    recipe = load_recipe(folder)
    image = refuse_unlocked(recipe).image
    if (recipe.id, recipe.digest) != (index.recipe, index.recipe_digest) or image is None:
        raise _forged(content, f"its recipe is {recipe.id} {recipe.digest}, not {index.recipe}")
    if image.id != index.image:
        raise _forged(content, f"its lock names the image {image.id}, not {index.image}")
    return recipe


def _refuse_other(index: Index, recipes_dir: Path) -> bool:
    """Whether the recipe is new here; raises where another one stands in its place."""
    folder = recipes_dir / index.recipe
    if not (folder / RECIPE_FILE).exists():
        return True
    here = load_recipe(folder)
    if here.digest != index.recipe_digest:
        raise PreserveRefused(
            f"{index.recipe} is here already and is another recipe: {here.digest}, to be imported "
            f"{index.recipe_digest}; nothing was taken",
            where=str(folder),
            hint="import it where THAW_RECIPES names another folder, or remove the one that is here",
        )
    return False


def _take_objects(content: Path, index: Index, shelves: Shelves) -> int:
    """Every object, hashed again as it enters; gives how many were new."""
    new = [item for item in index.objects if not shelves.vault.has(item.digest)]
    lacking = [item for item in index.objects if not (content / item.path).is_file()]
    if lacking:
        raise _forged(content, f"it lacks {lacking[0].what}")
    map_in_threads(
        lambda item: shelves.vault.put_file(content / item.path, expected=item.digest),
        list(index.objects),
        threads=WRITERS,
    )
    return len(new)


def _take_runs(index: Index, shelves: Shelves) -> None:
    """The verified run, its repeat and the verdict, into journal and store."""
    for digest in index.records:
        record = record_from_bytes(shelves.vault.read_bytes(digest, used_by=index.recipe))
        if shelves.store.journal.record_of(record.run) is None:
            shelves.store.finish_run(record, shelves.vault)
    if index.verdict is None:
        return
    verdict = verdict_from_bytes(shelves.vault.read_bytes(index.verdict, used_by=index.recipe))
    if all(one.verdict != index.verdict for one in shelves.store.verdicts(verdict.run)):
        shelves.store.add_verdict(
            verdict.run,
            repeated_by=verdict.repeated_by,
            grade=verdict.grade,
            verdict=index.verdict,
            judged=verdict.judged,
        )


def _take_recipe(source: Path, target: Path) -> None:
    """The recipe's folder, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(target.parent, ".importing-") as room:
        shutil.copytree(source, room / target.name)
        (room / target.name).rename(target)


def _forged(content: Path, reason: str) -> PreserveRefused:
    return PreserveRefused(
        f"it is no preserved recipe of Thaw: {reason}",
        where=str(content),
        hint="export it again: thaw preserve export NAME -o DIR",
    )
