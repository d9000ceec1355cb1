"""Write one recipe with all its bytes: what builds it again, what proves it, on a machine that has nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from instantiator.curate.preserve.errors import PreserveRefused
from instantiator.curate.preserve.index import FILE, Index, Kept
from instantiator.curate.preserve.packaging import Packaging, wrap
from instantiator.curate.preserve.readme import render_readme
from instantiator.image.builder import builder_lock
from instantiator.image.ensure import locked_image
from instantiator.image.fetch import refuse_awaited
from instantiator.image.files import keep_files
from instantiator.image.lock import Lock, lock_to_json, refuse_unlocked
from instantiator.image.repository import link_object
from instantiator.image.scratch import scratch_folder
from instantiator.progress import Progress, megabytes, step
from instantiator.recipe.keep import keep_recipe
from instantiator.recipe.model import Recipe
from instantiator.thread.verify import read_record
from provenance.compare import Grade
from provenance.digest import Digest, canonical_json
from provenance.record import Record
from provenance.store import JudgedRun, Store
from provenance.vault import Vault
from provenance.vault_tree import scan_folder

RECIPE_FOLDER = "recipe"
_LOOKED_AT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelves:
    """What a recipe is preserved from: its bytes, its runs, and room for work."""

    vault: Vault
    store: Store
    scratch: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A run that was verified, the run that repeated it, and the verdict."""

    run: Record
    repeat: Record
    judged: JudgedRun


def export_recipe(
    recipe: Recipe,
    shelves: Shelves,
    target: Path,
    progress: Progress,
    *,
    packaging: Packaging,
    with_deposits: bool = False,
) -> Index:
    """Write `recipe` into the new folder `target`; it appears whole, or not at all.

    Raises `PreserveRefused` where the recipe was never built or `target` is there already, `DepositMissing` where a
    file is still waited for, `ObjectMissing` and `ObjectRotten` where the vault is not sound.
    """
    lock = refuse_unlocked(recipe)
    refuse_unfit(recipe, lock, target, with_deposits=with_deposits)
    refuse_awaited(lock, shelves.vault)
    keep_files(recipe, lock, shelves.vault)
    keep_recipe(recipe, shelves.vault)
    index = make_index(recipe, lock, shelves)
    check_index(index, shelves.vault, progress)
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(shelves.scratch, "preserve-") as room, step(progress, f"write {target}") as current:
        content = room / "content"
        lay_out(recipe, index, shelves.vault, content)
        about = f"Thaw recipe {recipe.id}, image {index.image}"
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            wrap(packaging, content, partial, name=f"thaw:{recipe.id}:{index.recipe_digest}", about=about)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        current.detail = f"{len(index.objects)} objects, {megabytes(index.size)}"
    return index


def refuse_unfit(recipe: Recipe, lock: Lock, target: Path, *, with_deposits: bool) -> None:
    """Raise where there is nothing to preserve yet, no room for it, or no right to pass it on."""
    locked_image(lock)
    if target.exists():
        raise PreserveRefused(
            f"{target} is there already", where=str(target), hint="name a folder that is not there yet"
        )
    if lock.deposits and not with_deposits:
        names = ", ".join(deposit.name for deposit in lock.deposits)
        raise PreserveRefused(
            f"{recipe.id} holds what was handed in under a licence of its own: {names}",
            where=recipe.id,
            hint="add --with-deposits where you may pass these files on",
        )


def make_index(recipe: Recipe, lock: Lock, shelves: Shelves) -> Index:
    """Name every object that goes with the recipe; the lock itself is put into the vault."""
    vault = shelves.vault
    lock_digest = vault.put_bytes(canonical_json(lock_to_json(lock)))
    proof = find_proof(recipe, lock, shelves)
    objects = {lock_digest: f"lock of {recipe.id}"}
    objects.update(tree_objects(recipe.digest, f"recipe {recipe.id}", vault))
    for part in (lock, builder_lock()):
        objects.update(part.objects())
    records: tuple[Digest, ...] = ()
    if proof is not None:
        records = (proof.run.digest, proof.repeat.digest)
        objects[proof.judged.verdict] = f"verdict on run {proof.run.run}"
        for record in (proof.run, proof.repeat):
            objects.update(record_objects(record, vault))
    return Index(
        recipe=recipe.id,
        recipe_digest=recipe.digest,
        lock=lock_digest,
        image=locked_image(lock).id,
        run=proof.run.run if proof else "",
        records=records,
        verdict=proof.judged.verdict if proof else None,
        objects=tuple(
            Kept(digest=digest, size=vault.size(digest), what=what)
            for digest, what in sorted(objects.items())
            if vault.has(digest) or _refuse_missing(digest, what)
        ),
    )


def _refuse_missing(digest: Digest, what: str) -> bool:
    raise PreserveRefused(
        f"the vault lacks {what}",
        where=digest,
        hint="fetch what recipes are made of: thaw recipe lock NAME; and the tools: thaw recipe build NAME --force",
    )


def find_proof(recipe: Recipe, lock: Lock, shelves: Shelves) -> Proof | None:
    """The newest run of a thread in this very image that was repeated and judged good; None where there is none."""
    image = locked_image(lock).id
    for row in shelves.store.runs(_LOOKED_AT, recipe=recipe.id):
        if row.record is None or row.kind == "session":
            continue
        good = [one for one in shelves.store.verdicts(row.id) if Grade(one.grade).is_repeated()]
        if not good:
            continue
        record = read_record(row, shelves.vault)
        repeat = shelves.store.run(good[-1].repeated_by)
        if record.image == image and repeat.record is not None and _is_whole(record, shelves.vault):
            return Proof(run=record, repeat=read_record(repeat, shelves.vault), judged=good[-1])
    return None


def _is_whole(record: Record, vault: Vault) -> bool:
    """Whether the vault has all of a run; data registered by reference stay where they are, and are not preserved."""
    return all(vault.has(digest) for digest in record_objects(record, vault))


def record_objects(record: Record, vault: Vault) -> dict[Digest, str]:
    """Every object a run needs to be repeated and judged."""
    run = f"run {record.run}"
    objects = {record.digest: f"record of {run}", record.lock: f"lock of {run}"}
    for item in record.inputs:
        objects.update(tree_objects(item.digest, f"input {item.name} of {run}", vault))
    objects.update({output.digest: f"output {output.path} of {run}" for output in record.outputs})
    for digest, what in ((record.job.script, "script"), (record.log, "log")):
        if digest is not None:
            objects[digest] = f"{what} of {run}"
    return objects


def tree_objects(tree: Digest, what: str, vault: Vault) -> Iterator[tuple[Digest, str]]:
    """A tree and its files."""
    yield tree, what
    for entry in vault.read_tree(tree).entries:
        yield entry.digest, f"{entry.path} of {what}"


def check_index(index: Index, vault: Vault, progress: Progress) -> None:
    """Hash every object again before it leaves."""
    with step(progress, "check the vault") as current:
        vault.verify_many({item.digest: item.what for item in index.objects})
        current.detail = f"{len(index.objects)} objects"


def lay_out(recipe: Recipe, index: Index, vault: Vault, content: Path) -> None:
    """The files that are preserved, as a folder of hard links to the vault and copies of the recipe's files."""
    home = content / RECIPE_FOLDER / recipe.id
    home.mkdir(parents=True)
    for file in scan_folder(recipe.folder):
        target = home / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(recipe.folder / file.path, target)
        target.chmod(0o755 if file.executable else 0o644)
    for item in index.objects:
        target = content / item.path
        target.parent.mkdir(parents=True, exist_ok=True)
        link_object(vault.path(item.digest), target)
    (content / FILE).write_bytes(index.to_bytes())
    (content / "README.md").write_text(render_readme(recipe, index), encoding="utf-8")
    (content / "LOCK.json").write_text(
        json.dumps(lock_to_json(refuse_unlocked(recipe)), indent=1), encoding="utf-8"
    )
