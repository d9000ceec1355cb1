"""Workspaces: named folders of a user that outlive sessions, each version of them kept as a tree."""

from __future__ import annotations

import json
import mimetypes
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from instantiator.atomic import replace_text
from provenance.compare.globs import matches_glob
from provenance.digest import Digest, Tree, TreeEntry, canonical_json, make_tree, parse_digest
from provenance.record import RecordedOutput, Rule, format_time
from provenance.vault import Vault

_EMPTY = make_tree(())


class FileRole(StrEnum):
    """What a file of a workspace is to its session; the name of the output in the record."""

    FILE = "workspace"
    PARAMETER_FILE = "parameter-file"
    LOG = "log"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFiles:
    """The globs by which a GUI names its parameter files and logs."""

    parameter_files: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()

    def role_of(self, path: str) -> FileRole:
        """What a file is; a parameter file where it is named as both."""
        for role, globs in ((FileRole.PARAMETER_FILE, self.parameter_files), (FileRole.LOG, self.logs)):
            if any(matches_glob(path, glob) for glob in globs):
                return role
        return FileRole.FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptWorkspace:
    """A version of a workspace, and what of the folder no tree can hold (links, pipes, odd names)."""

    tree: Tree
    left_out: tuple[str, ...]


def workspace_folder(home: Path, user: str, recipe: str, name: str) -> Path:
    """Where a workspace lies: one for all versions of an application."""
    return home / "workspaces" / user / recipe.partition("/")[0] / name


def keep_workspace(folder: Path, vault: Vault) -> KeptWorkspace:
    """Put every regular file of a workspace into the vault; whatever else lies there stays there alone.

    To be called when no program of the session runs any more.
    """
    left_out: list[str] = []
    files = sorted(_list_files(folder, left_out))
    kept = vault.put_files([file for _, file in files])
    tree = make_tree(
        TreeEntry(path=path, digest=digest, size=size, executable=bool(file.stat().st_mode & stat.S_IXUSR))
        for (path, file), (digest, size) in zip(files, kept, strict=True)
    )
    vault.put_bytes(canonical_json(tree.to_json()))
    return KeptWorkspace(tree=tree, left_out=tuple(sorted(left_out)))


def _list_files(folder: Path, left_out: list[str]) -> Iterator[tuple[str, Path]]:
    for root, folders, names in os.walk(folder):
        for name in [*names, *(one for one in folders if Path(root, one).is_symlink())]:
            file = Path(root, name)
            path = file.relative_to(folder).as_posix()
            if stat.S_ISREG(file.lstat().st_mode) and _is_text(path):
                yield path, file
            else:
                left_out.append(repr(os.fsencode(path))[1:])


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def open_workspace(folder: Path, vault: Vault) -> Digest:
    """Make the folder where it is new; gives the tree of its last version.

    One that was never versioned, and is not empty (its session was lost with its host), is versioned now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = read_version(folder)
    if found is not None:
        return found
    if not any(folder.iterdir()):
        return vault.put_bytes(canonical_json(_EMPTY.to_json()))
    return keep_workspace(folder, vault).tree.digest


def read_version(folder: Path) -> Digest | None:
    """The tree of a workspace's last version; None where it has none."""
    try:
        return parse_digest(json.loads(_version_file(folder).read_text())["tree"])
    except FileNotFoundError:
        return None


def write_version(folder: Path, tree: Digest, *, session: str, now: datetime) -> None:
    """Say which version a workspace has now, and which session left it so."""
    target = _version_file(folder)
    target.parent.mkdir(exist_ok=True)
    replace_text(target, json.dumps({"tree": tree, "session": session, "saved": format_time(now)}))


def forget_workspace(folder: Path) -> None:
    """Remove a workspace that nobody will go on with; its versions stay in the vault, where records name them."""
    shutil.rmtree(folder, ignore_errors=True)
    _version_file(folder).unlink(missing_ok=True)


def _version_file(folder: Path) -> Path:
    return folder.parent / ".versions" / f"{folder.name}.json"


def list_outputs(before: Tree, after: Tree, named: NamedFiles) -> tuple[RecordedOutput, ...]:
    """The files created or changed, as outputs of a session: by role, then by path.

    Parameter files are listed though they did not change: they say with what the session worked.
    """
    known = {entry.path: entry.digest for entry in before.entries}
    roles = [(named.role_of(entry.path), entry) for entry in after.entries]
    listed = [
        (role, entry)
        for role, entry in roles
        if role is FileRole.PARAMETER_FILE or known.get(entry.path) != entry.digest
    ]
    order = list(FileRole)
    return tuple(
        RecordedOutput(
            name=role.value,
            path=entry.path,
            digest=entry.digest,
            size=entry.size,
            media_type=mimetypes.guess_type(entry.path)[0] or "application/octet-stream",
            rule=Rule(),
        )
        for role, entry in sorted(listed, key=lambda item: (order.index(item[0]), item[1].path))
    )
