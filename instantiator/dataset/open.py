"""Gives a run its dataset: checked against what was registered, as a folder to mount read-only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from instantiator.dataset.add import add_dataset, read_files
from instantiator.dataset.errors import DatasetChanged, DatasetUnreadable
from instantiator.dataset.names import find_registered, unknown
from instantiator.dataset.serve import serve_link, serve_tree
from provenance.digest import Digest, Tree
from provenance.store import Dataset, Store
from provenance.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDataset:
    """A dataset ready to be mounted: `mount_source` is a folder that holds the tree, and nothing else."""

    dataset: Dataset
    tree: Tree
    mount_source: Path

    @property
    def reference(self) -> str:
        """`name@version`."""
        return self.dataset.reference

    @property
    def digest(self) -> Digest:
        """The digest of the tree."""
        return self.dataset.digest

    @property
    def files(self) -> int:
        """How many files there are."""
        return self.dataset.files

    @property
    def size(self) -> int:
        """The sum of their bytes."""
        return self.dataset.size


def open_dataset(
    asked: str | Path,
    *,
    vault: Vault,
    store: Store,
    trees_dir: Path,
    now: datetime,
    keep: bool = True,
    progress: Callable[[int], None] | None = None,
) -> OpenDataset:
    """The dataset called `name` or `name@version`, or the file or folder at a path.

    What is at the registered path must still be what was registered, else `DatasetChanged`; files that look
    unchanged are not read again. Where the path is gone, a kept dataset comes from the vault. A path that is
    no dataset yet is registered, kept unless `keep` is false. May also raise `DatasetUnknown`,
    `DatasetUnreadable` and, for a kept one that was tampered with, `ObjectRotten`.
    """
    registered = find_registered(asked, store) if isinstance(asked, str) else None
    if registered is None:
        path = _as_path(asked, store)
        dataset = add_dataset(path, vault=vault, store=store, now=now, keep=keep, progress=progress)
        tree = vault.read_tree(dataset.digest)
    else:
        dataset = registered
        tree = check_content(dataset, vault=vault, store=store, now=now, progress=progress)
    if dataset.kept:
        source = serve_tree(dataset, tree, vault=vault, store=store, trees_dir=trees_dir)
    else:
        source = serve_link(dataset, trees_dir=trees_dir)
    return OpenDataset(dataset=dataset, tree=tree, mount_source=source)


def check_content(
    dataset: Dataset,
    *,
    vault: Vault,
    store: Store,
    now: datetime,
    progress: Callable[[int], None] | None = None,
) -> Tree:
    """The dataset's tree, once what is at its path was found to be that; raises `DatasetChanged`.

    A kept dataset need not be at its path: the path may be gone, or belong to a later version by now.
    """
    if dataset.kept and not is_at_its_path(dataset, store):
        return vault.read_tree(dataset.digest)
    tree = read_files(dataset.path, vault=vault, store=store, now=now, keep=False, progress=progress)
    if tree.digest != dataset.digest:
        raise changed(dataset, tree.digest)
    return tree


def changed(dataset: Dataset, found: Digest) -> DatasetChanged:
    """The error that says a dataset's path holds something else than was registered."""
    return DatasetChanged(
        f"dataset {dataset.name!r} is not the one registered: expected {dataset.digest}, found {found}",
        where=str(dataset.path),
        hint=f"restore the file, or register a new version: thaw dataset add {dataset.path}",
    )


def is_at_its_path(dataset: Dataset, store: Store) -> bool:
    """Whether something is at the dataset's path that should be this version, and not a later one."""
    return dataset.path.exists() and not any(
        other.name == dataset.name and other.version > dataset.version
        for other in store.datasets_at(dataset.path)
    )


def _as_path(asked: str | Path, store: Store) -> Path:
    path = Path(asked)
    if path.exists():
        return path
    if isinstance(asked, str) and "/" not in asked:
        raise unknown(asked, store)
    raise DatasetUnreadable(
        f"there is no file or folder {str(asked)!r}", where=str(asked), hint="check the path"
    )
