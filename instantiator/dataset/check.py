"""Reads a dataset again, every byte of it, and says what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from instantiator.dataset.errors import DatasetChanged, DatasetUnreadable
from instantiator.dataset.files import tree_at
from instantiator.dataset.open import changed, is_at_its_path
from provenance.digest import Digest, Tree, hash_files
from provenance.store import Dataset, Store
from provenance.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCheck:
    """What was found at a dataset's path: the files by path, sorted. `found` is None where none is there."""

    dataset: Dataset
    found: Digest | None
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def is_unchanged(self) -> bool:
        """Whether the path holds what was registered; a kept dataset may be gone from its path."""
        return self.found in (None, self.dataset.digest)

    def error(self) -> DatasetChanged | None:
        """What to raise for it, None where it is unchanged."""
        return None if self.found in (None, self.dataset.digest) else changed(self.dataset, self.found)


def check_dataset(
    dataset: Dataset,
    *,
    vault: Vault,
    store: Store,
    now: datetime,
    progress: Callable[[int], None] | None = None,
) -> DatasetCheck:
    """Hash every file at the dataset's path, and, for a kept dataset, every object of it in the vault.

    Raises `ObjectRotten` or `ObjectMissing` where the vault's copy is wrong, `DatasetUnreadable` where a
    reference is gone. What is at the path is only reported.
    """
    registered = vault.read_tree(dataset.digest)
    if dataset.kept:
        vault.verify_many(
            {entry.digest: f"dataset {dataset.reference}, file {entry.path}" for entry in registered.entries}
        )
    if dataset.kept and not is_at_its_path(dataset, store):
        return DatasetCheck(dataset=dataset, found=None)
    if not dataset.path.exists():
        raise _gone(dataset)
    found = tree_at(
        dataset.path,
        store=store,
        now=now,
        hash_files=lambda paths: hash_files(paths, progress=progress),
        may_reuse=lambda _digest: False,
    )
    return compare_trees(dataset, registered, found)


def compare_trees(dataset: Dataset, registered: Tree, found: Tree) -> DatasetCheck:
    """Which files differ between what was registered and what is there."""
    before = {entry.path: entry for entry in registered.entries}
    after = {entry.path: entry for entry in found.entries}
    return DatasetCheck(
        dataset=dataset,
        found=found.digest,
        changed=tuple(sorted(path for path in before.keys() & after.keys() if before[path] != after[path])),
        missing=tuple(sorted(before.keys() - after.keys())),
        added=tuple(sorted(after.keys() - before.keys())),
    )


def _gone(dataset: Dataset) -> DatasetUnreadable:
    return DatasetUnreadable(
        f"dataset {dataset.reference} is a reference, and its path is gone",
        where=str(dataset.path),
        hint="bring it back: Thaw does not have its bytes",
    )
