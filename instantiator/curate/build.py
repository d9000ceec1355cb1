"""Build a recipe: the image of its lock in the engine, pinned by the first build, with its evidence beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from instantiator.curate.lock import pin_image
from instantiator.image.build import Workshop, build_image
from instantiator.image.builder import builder_lock
from instantiator.image.ensure import fetch_and_build, find_built, locked_image
from instantiator.image.errors import FetchFailed, LockMissing, NothingAwaited
from instantiator.image.evidence import render_evidence
from instantiator.image.fetch import Mirrors, missing_objects, refuse_awaited
from instantiator.image.files import keep_files
from instantiator.image.lock import Lock, LockedImage, refuse_unlocked
from instantiator.progress import Progress, step
from instantiator.recipe.model import Recipe
from provenance.digest import Digest
from provenance.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An image in the engine; `is_new` where it was built now, `is_pinned_now` where the lock named none before."""

    recipe: str
    image: LockedImage
    name: str
    is_new: bool
    is_pinned_now: bool = False


def build_recipe(
    recipe: Recipe,
    workshop: Workshop,
    mirrors: Mirrors,
    progress: Progress,
    *,
    is_offline: bool = False,
    is_forced: bool = False,
) -> Built:
    """Have the image of `recipe` in the engine, built from its lock. The first build pins the image in the lock.

    Raises `lock-stale` where the recipe moved on, `image-differs` where the build is not the pinned image.
    """
    lock = refuse_unlocked(recipe)
    keep_files(recipe, lock, workshop.vault)
    found = None if is_forced else find_built(lock, workshop)
    if found is not None:
        return Built(recipe=recipe.id, image=found, name=lock.image_name, is_new=False)
    image = (
        build_offline(lock, workshop, progress)
        if is_offline
        else fetch_and_build(lock, workshop, mirrors, progress)
    )
    is_pinned_now = lock.image is None
    pinned = pin_image(recipe, lock, image) if is_pinned_now else lock
    with step(progress, "keep the evidence"):
        keep_evidence(pinned, workshop.vault)
    return Built(
        recipe=recipe.id, image=image, name=lock.image_name, is_new=True, is_pinned_now=is_pinned_now
    )


def build_up_to_deposit(
    recipe: Recipe, workshop: Workshop, mirrors: Mirrors, progress: Progress, *, is_offline: bool = False
) -> Built:
    """Have an image of all of `recipe` but its deposits and the steps that need them, to look at its environment.

    It is another image under another name, and no lock names it: nothing runs in it, and the recipe goes on waiting.
    """
    lock = up_to_deposit(refuse_unlocked(recipe))
    keep_files(recipe, lock, workshop.vault)
    image = (
        build_offline(lock, workshop, progress)
        if is_offline
        else fetch_and_build(lock, workshop, mirrors, progress)
    )
    return Built(recipe=lock.recipe, image=image, name=lock.image_name, is_new=True)


def up_to_deposit(lock: Lock) -> Lock:
    """What of a lock can be built while its deposits are awaited; raises `NothingAwaited` where it has none."""
    if not lock.deposits:
        raise NothingAwaited(
            f"{lock.recipe} asks for no deposit",
            where=lock.recipe,
            hint=f"build it whole: thaw recipe build {lock.recipe.split('/')[0]}",
        )
    return replace(lock, recipe=f"{lock.recipe}+up-to-deposit", deposits=(), steps=(), image=None)


def build_offline(lock: Lock, workshop: Workshop, progress: Progress) -> LockedImage:
    """Build from the vault alone; raises `fetch-failed` naming what it lacks."""
    refuse_awaited(lock, workshop.vault)
    lacking = [*missing_objects(lock, workshop.vault), *missing_objects(builder_lock(), workshop.vault)]
    if lacking:
        raise FetchFailed(
            f"offline, and the vault lacks {len(lacking)} objects: {', '.join(lacking[:5])}"
            + (" …" if len(lacking) > 5 else ""),
            where=str(workshop.vault.root),
            hint="build once with the network, or bring the bytes in: thaw vault import ARCHIVE",
        )
    return build_image(lock, workshop, progress)


def keep_evidence(lock: Lock, vault: Vault) -> dict[str, Digest]:
    """Put Dockerfile, file manifest, package list and bill of materials into the vault; gives their digests."""
    return {name: vault.put_bytes(content) for name, content in evidence_of(lock, vault).items()}


def evidence_of(lock: Lock, vault: Vault) -> Mapping[str, bytes]:
    """The evidence of a built image by file name. The file manifest is there once the image was built here."""
    image = locked_image(lock)
    manifest = Digest(image.manifest)
    if not vault.has(manifest):
        raise LockMissing(
            f"the file manifest of {image.id} is not in this vault: the image was not built here",
            where=lock.recipe,
            hint=f"build it here: thaw recipe build {lock.recipe.split('/')[0]} --force",
        )
    return render_evidence(lock, vault.read_bytes(manifest, used_by=f"manifest of {lock.recipe}"))
