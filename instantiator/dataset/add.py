"""Registers datasets: hash or keep the files, then give the content a name and a version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from instantiator.dataset.errors import DatasetUnreadable
from instantiator.dataset.files import tree_at
from instantiator.dataset.names import check_name, free_name
from provenance.digest import Digest, Tree
from provenance.digest import hash_files as hash_in_place
from provenance.store import Dataset, NewDataset, Store
from provenance.vault import Vault


def add_dataset(
    path: Path,
    *,
    vault: Vault,
    store: Store,
    now: datetime,
    name: str | None = None,
    keep: bool = True,
    title: str = "",
    origin: str = "",
    licence: str = "",
    progress: Callable[[int], None] | None = None,
) -> Dataset:
    """Register the file or folder at `path`, and keep its bytes in the vault unless `keep` is false.

    Content that is registered already is not registered twice: it gives the dataset there is. Other content
    under a name there is becomes its next version. With no name, the path keeps the name it was added under,
    or gets one made from its last part. `progress` is told how many more bytes are done.
    """
    if name is not None:
        check_name(name)
    path = path.resolve()
    tree = read_files(path, vault=vault, store=store, now=now, keep=keep, progress=progress)
    described = bool(title or origin or licence)
    standing = None if described else find_same(tree, path, name, keep=keep, store=store)
    if standing is not None:
        return standing
    new = NewDataset(
        name=name or _choose_name(path, store),
        path=path,
        kept=keep,
        added=now,
        title=title,
        origin=origin,
        licence=licence,
    )
    return store.add_dataset(new, tree, vault)


def read_files(
    path: Path,
    *,
    vault: Vault,
    store: Store,
    now: datetime,
    keep: bool,
    progress: Callable[[int], None] | None = None,
) -> Tree:
    """The tree at `path`; with `keep` every file of it is in the vault afterwards."""

    def keep_files(paths: Sequence[Path]) -> list[tuple[Digest, int]]:
        return vault.put_files(paths, progress=progress)

    def read_in_place(paths: Sequence[Path]) -> list[tuple[Digest, int]]:
        return hash_in_place(paths, progress=progress)

    tree = tree_at(
        path,
        store=store,
        now=now,
        hash_files=keep_files if keep else read_in_place,
        may_reuse=vault.has if keep else lambda _digest: True,
    )
    if not tree.entries:
        raise DatasetUnreadable(
            "a dataset needs a file: the folder holds none",
            where=str(path),
            hint="name a folder that holds files",
        )
    return tree


def find_same(tree: Tree, path: Path, name: str | None, *, keep: bool, store: Store) -> Dataset | None:
    """The dataset that has this content and serves as well as a new one, if any; best one of this path."""
    found = [
        dataset for dataset in store.datasets_with_tree(tree.digest) if _serves(dataset, path, keep=keep)
    ]
    if name is not None:
        found = [dataset for dataset in found if (dataset.name, dataset.path) == (name, path)]
        found = [dataset for dataset in found if _is_latest(dataset, store)]
    return max(found, key=lambda dataset: (dataset.path == path, dataset.added), default=None)


def _serves(dataset: Dataset, path: Path, *, keep: bool) -> bool:
    return dataset.kept or (not keep and dataset.path == path)


def _is_latest(dataset: Dataset, store: Store) -> bool:
    latest = store.dataset(dataset.name)
    return latest is not None and latest.version == dataset.version


def _choose_name(path: Path, store: Store) -> str:
    same_path = store.datasets_at(path)
    if same_path:
        return same_path[-1].name
    return free_name(path, {dataset.name for dataset in store.datasets()})
