"""Build again and compare: law 1, checked."""

from __future__ import annotations

from dataclasses import dataclass

from instantiator.image.build import BuiltLayer, Workshop, built_layer
from instantiator.image.ensure import locked_image
from instantiator.image.lock import Lock, LockedImage
from instantiator.image.manifest import differing_paths, manifest_from_bytes
from instantiator.progress import Progress
from provenance.digest import Digest
from provenance.vault import Vault

_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """What a second build gave.

    `paths` says what differs, one line each, the first 200; empty where it could not be looked up.
    """

    image: str
    locked: str
    is_identical: bool
    paths: tuple[str, ...] = ()
    explanation: str = ""


def rebuild_image(lock: Lock, workshop: Workshop, progress: Progress) -> Rebuild:
    """Build `lock` from the vault once more and compare with the locked image; the engine's images stay as they are."""
    locked = locked_image(lock)
    with built_layer(lock, workshop, progress) as built:
        return compare_built(built, locked, workshop.vault)


def compare_built(built: BuiltLayer, locked: LockedImage, vault: Vault) -> Rebuild:
    """What a build gave beside the locked image: the same, or what differs as far as this vault can tell."""
    if built.image.id == locked.id:
        return Rebuild(image=built.image.id, locked=locked.id, is_identical=True)
    paths, explanation = _explain(built, locked, vault)
    return Rebuild(
        image=built.image.id, locked=locked.id, is_identical=False, paths=paths, explanation=explanation
    )


def _explain(built: BuiltLayer, locked: LockedImage, vault: Vault) -> tuple[tuple[str, ...], str]:
    if built.image.layer == locked.layer:
        return (), "the same files; the configuration differs"
    manifest = Digest(locked.manifest)
    if not vault.has(manifest):
        return (), "the locked image's list of files is not in this vault, so the paths cannot be named"
    former = manifest_from_bytes(vault.read_bytes(manifest, used_by=f"file manifest of {locked.id}"))
    paths = tuple(differing_paths(former, built.entries))
    if not paths:
        return (), "the same files; the layer's archive holds them in another order or form"
    more = len(paths) - _SHOWN
    return paths[:_SHOWN], f"and {more} more paths" if more > 0 else ""
