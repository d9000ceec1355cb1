"""A dataset as a folder that holds its files and nothing else: that is what gets mounted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from instantiator.dataset.errors import DatasetUnreadable
from instantiator.dataset.files import stat_file
from provenance.digest import Tree, TreeEntry, digest_file
from provenance.store import Dataset, KnownFile, Store
from provenance.vault import Vault
from provenance.vault_folder import discard_folder


def serve_tree(dataset: Dataset, tree: Tree, *, vault: Vault, store: Store, trees_dir: Path) -> Path:
    """The folder of a kept dataset, made of links to the vault's objects, once and for all datasets like it.

    Whoever writes to one of its files writes to the vault. So they are looked at each time, and hashed where
    they look different: raises `ObjectRotten` where an object is no longer sound, else makes the folder anew.
    """
    folder = trees_dir / dataset.digest.removeprefix("sha256:")
    if folder.is_dir():
        if _is_intact(folder, tree, store):
            return folder
        discard_folder(folder)
    vault.verify_many(
        {entry.digest: f"dataset {dataset.reference}, file {entry.path}" for entry in tree.entries}
    )
    vault.materialise(tree, folder)
    store.update_known_files(folder, hashed=_known_as(folder, tree.entries))
    return folder


def _is_intact(folder: Path, tree: Tree, store: Store) -> bool:
    """Whether every file of the tree is there with its bytes, and no other file is."""
    known = store.known_files(folder)
    if _count_files(folder) != len(tree.entries):
        return False
    odd = [entry for entry in tree.entries if not _is_as_known(folder, entry, known)]
    # A further link to an object (another tree has the file too) changes its ctime, and nothing else.
    if any(not _has_its_bytes(folder, entry) for entry in odd):
        return False
    if odd:
        store.update_known_files(folder, hashed=_known_as(folder, odd))
    return True


def _count_files(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


def _is_as_known(folder: Path, entry: TreeEntry, known: Mapping[str, KnownFile]) -> bool:
    before = known.get(entry.path)
    if before is None or before.digest != entry.digest:
        return False
    try:
        return stat_file(f"{folder}/{entry.path}") == before.stat
    except FileNotFoundError:
        return False


def _has_its_bytes(folder: Path, entry: TreeEntry) -> bool:
    try:
        return digest_file(folder / entry.path) == entry.digest
    except FileNotFoundError:
        return False


def _known_as(folder: Path, entries: Iterable[TreeEntry]) -> dict[str, KnownFile]:
    return {
        entry.path: KnownFile(stat=stat_file(folder / entry.path), digest=entry.digest) for entry in entries
    }


def serve_link(dataset: Dataset, *, trees_dir: Path) -> Path:
    """The folder of a reference: its own; for a single file one with a link to it: folders are mounted."""
    if dataset.path.is_dir():
        return dataset.path
    folder = trees_dir / f"link-{dataset.digest.removeprefix('sha256:')}"
    link = folder / dataset.path.name
    if link.exists() and link.samefile(dataset.path):
        return folder
    try:
        _link_again(dataset.path, link)
    except OSError as error:
        raise DatasetUnreadable(
            f"the file cannot be mounted from where it is: {error.strerror}",
            where=str(dataset.path),
            hint=f"keep it: thaw dataset add {dataset.path}; or name a folder that holds nothing else",
        ) from error
    return folder


def _link_again(file: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    aside = link.with_name(f".{os.getpid()}-{link.name}")
    aside.unlink(missing_ok=True)
    os.link(file, aside)
    aside.replace(link)
