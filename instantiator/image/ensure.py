"""Have an image ready: found in the engine, or fetched and built, with every wait named."""

from __future__ import annotations

from instantiator.engine.values import ImageDigest
from instantiator.image.build import Workshop, build_image
from instantiator.image.builder import builder_lock
from instantiator.image.errors import LockMissing
from instantiator.image.fetch import Mirrors, fetch_lock, fetch_packages, refuse_awaited
from instantiator.image.lock import Lock, LockedImage
from instantiator.progress import Progress


def find_built(lock: Lock, workshop: Workshop) -> LockedImage | None:
    """The locked image where the engine holds it; None where it has to be built."""
    if lock.image is None:
        return None
    image = ImageDigest(lock.image.id)
    return lock.image if workshop.engine.has_image(image, lock.image_name, (lock.image.layer,)) else None


def ensure_image(lock: Lock, workshop: Workshop, mirrors: Mirrors, progress: Progress) -> LockedImage:
    """The image of `lock`: as the engine holds it, else fetched, built and loaded now."""
    return find_built(lock, workshop) or fetch_and_build(lock, workshop, mirrors, progress)


def fetch_and_build(lock: Lock, workshop: Workshop, mirrors: Mirrors, progress: Progress) -> LockedImage:
    """Bring what the vault lacks, then build offline."""
    refuse_awaited(lock, workshop.vault)
    fetch_lock(lock, workshop.vault, mirrors, progress)
    fetch_packages(builder_lock(), workshop.vault, mirrors, progress)
    return build_image(lock, workshop, progress)


def locked_image(lock: Lock) -> LockedImage:
    """The image a lock names; raises `LockMissing` where it was never built."""
    if lock.image is None:
        raise LockMissing(
            f"the lock of {lock.recipe} names no image yet",
            where=lock.recipe,
            hint=f"build it once: thaw recipe build {lock.recipe.split('/')[0]}",
        )
    return lock.image
