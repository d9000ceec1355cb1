"""Trees into folders: read-only, all at once, sharing the vault's bytes where the file system can."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.digest import Digest, Tree, TreeEntry, hash_files
from provenance.errors import FolderTaken, SourceRefused
from provenance.vault_files import (
    EXECUTABLE_MODE,
    FOLDER_MODE,
    OBJECT_MODE,
    OBJECT_TIME,
    Temp,
    link_file,
    lock_file,
    seal_temp,
    telling_disk_full,
    write_stream,
)
from provenance.vault_state import Fault, ObjectState, tell_wrong
from provenance.vault_tree import check_paths, scan_folder

if TYPE_CHECKING:
    from provenance.vault import Vault

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def materialise(vault: Vault, tree: Tree, folder: Path, *, verify: bool) -> None:
    """Make `folder` hold exactly the files of `tree`; all at once, and read-only (0444, executables 0555).

    A file is another name of its object. Executables are copies, since all names of an object share its mode;
    so is every file where the file system will not link. A folder that holds the tree is left as it is; one
    that holds anything else raises `FolderTaken`. `verify` hashes what is otherwise judged by its size.
    """
    check_paths(tree)
    if _holds(folder, tree, verify=verify):
        return
    _check_objects(vault, tree, folder, verify=verify)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with telling_disk_full(folder.parent, needed=tree.size), _staging_folder(folder) as staging:
        _fill_folder(vault, tree, staging)
        try:
            staging.rename(folder)
        except OSError:
            if not _holds(folder, tree, verify=verify):  # another process was quicker
                raise


def _holds(folder: Path, tree: Tree, *, verify: bool) -> bool:
    """Whether the folder is the tree; False where nothing is there, `FolderTaken` where anything else is."""
    if not os.path.lexists(folder) or (folder.is_dir() and tree.entries and not any(folder.iterdir())):
        return False
    try:
        found = scan_folder(folder)
    except SourceRefused as error:
        raise _taken(folder, error.message) from error
    shape = {(file.path, file.size, file.executable) for file in found}
    wrong = shape ^ {(entry.path, entry.size, entry.executable) for entry in tree.entries}
    if not wrong and verify:
        hashed = hash_files([file.source for file in found])
        wrong = {
            (entry.path, entry.size, entry.executable)
            for entry, (digest, _size) in zip(tree.entries, hashed, strict=True)
            if entry.digest != digest
        }
    if wrong:
        names = sorted({path for path, _size, _executable in wrong})
        raise _taken(
            folder, f"these are not the tree's: {', '.join(map(repr, names[:10]))} ({len(names)} in all)"
        )
    return True


def _taken(folder: Path, what: str) -> FolderTaken:
    return FolderTaken(
        f"folder {folder.name!r} holds something else than the tree it should hold: {what}",
        where=str(folder),
        hint="move the folder away, or name another one",
    )


def _check_objects(vault: Vault, tree: Tree, folder: Path, *, verify: bool) -> None:
    used = {entry.digest: f"{entry.path!r} of {folder.name!r}" for entry in tree.entries}
    if verify:
        return vault.verify_many(used)
    sizes = {entry.digest: entry.size for entry in tree.entries}
    wrong = [state for digest in used if (state := _compare_size(vault, digest, sizes[digest]))]
    if wrong:
        raise tell_wrong(vault, wrong, used)
    return None


def _compare_size(vault: Vault, digest: Digest, expected: int) -> ObjectState | None:
    try:
        size = vault.path(digest).stat().st_size
    except FileNotFoundError:
        return ObjectState(digest=digest, fault=Fault.MISSING)
    if size == expected:
        return None
    reason = f"expected {expected} bytes, found {size}"
    return ObjectState(digest=digest, fault=Fault.ROTTEN, size=size, reason=reason)


@contextmanager
def _staging_folder(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to fill, then rename; what a killed process left of such is removed first."""
    prefix = f".thaw-{folder.name[:100]}-"
    for other in folder.parent.glob(f"{escape(prefix)}*"):
        _discard_if_dead(other)
    staging, descriptor = _make_staging(folder.parent, prefix)
    try:
        yield staging
    finally:
        discard_folder(staging)
        os.close(descriptor)


def _make_staging(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        staging = parent / f"{prefix}{os.urandom(8).hex()}"
        staging.mkdir()
        try:
            staging.chmod(FOLDER_MODE)
            descriptor = os.open(staging, _OPEN_FOLDER)
        except FileNotFoundError:  # a sweeper took it for a dead process's before it was locked
            continue
        lock_file(descriptor, wait=True)
        if os.fstat(descriptor).st_nlink:
            return staging, descriptor
        os.close(descriptor)


def _discard_if_dead(staging: Path) -> None:
    try:
        descriptor = os.open(staging, _OPEN_FOLDER)
    except OSError:  # gone meanwhile
        return
    try:
        if lock_file(descriptor, wait=False):
            discard_folder(staging)
    finally:
        os.close(descriptor)


def discard_folder(folder: Path) -> None:
    """Remove a folder that `materialise` made, read-only as it is. Removing what is gone already is fine."""
    if not folder.is_dir():
        return
    for path, _folders, _files in os.walk(folder):
        Path(path).chmod(FOLDER_MODE)
    shutil.rmtree(folder)


def _fill_folder(vault: Vault, tree: Tree, staging: Path) -> None:
    folders = {staging} | {folder for entry in tree.entries for folder in _folders_of(entry, staging)}
    for folder in sorted(folders):
        folder.mkdir(exist_ok=True)
    for entry in tree.entries:
        target = staging / entry.path
        if entry.executable or not link_file(vault.path(entry.digest), target):
            _copy_object(vault, entry, target)
    for folder in sorted(folders, reverse=True):
        os.utime(folder, (OBJECT_TIME, OBJECT_TIME))
        folder.chmod(EXECUTABLE_MODE)


def _folders_of(entry: TreeEntry, staging: Path) -> list[Path]:
    parts = entry.path.split("/")
    return [staging.joinpath(*parts[:depth]) for depth in range(1, len(parts))]


def _copy_object(vault: Vault, entry: TreeEntry, target: Path) -> None:
    """Copy an object, verified, and onto the disk: a folder that is there already is judged by sizes."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    copy = Temp(path=target, descriptor=descriptor)
    try:
        with vault.open(entry.digest, used_by=repr(entry.path)) as stream:
            write_stream(copy, stream, expected=entry.digest, expected_size=entry.size)
        seal_temp(copy, mode=EXECUTABLE_MODE if entry.executable else OBJECT_MODE)
    finally:
        os.close(descriptor)
