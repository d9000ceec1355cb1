"""Folders into trees: what of a folder is kept, and what is refused.

A tree holds regular files: their paths, bytes and executable bits. Not kept: times, owners, empty folders.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.digest import Digest, Tree, TreeEntry, canonical_json, make_tree, tree_from_json
from provenance.errors import DigestMismatch, SourceRefused, TreeInvalid


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FolderFile:
    """A file found in a folder: its path there, and where its bytes are (elsewhere for a symbolic link)."""

    path: str
    source: Path
    size: int
    executable: bool


def scan_folder(folder: Path) -> tuple[FolderFile, ...]:
    """Every file of a folder, by path. Symbolic links are followed as long as they stay inside the folder.

    Raises `SourceRefused` naming all that cannot be kept: pipes, sockets, devices; links that lead outside,
    nowhere or back to a folder above; names that are not UTF-8; folders that cannot be listed.
    """
    root = folder.resolve()
    if not root.is_dir():
        raise SourceRefused(
            f"{folder.name!r} is not a folder", where=str(folder), hint="name a folder of files"
        )
    found: list[FolderFile] = []
    refused: list[str] = []
    pending: list[tuple[str, tuple[Path, ...]]] = [("", (root,))]
    while pending:
        prefix, chain = pending.pop()
        for name, real, status in _list_folder(chain[-1], refused, prefix):
            if problem := _find_problem(name, real, status, chain):
                refused.append(f"{prefix + name!r}: {problem}")
            elif stat.S_ISDIR(status.st_mode):
                pending.append((f"{prefix}{name}/", (*chain, real)))
            else:
                executable = bool(status.st_mode & stat.S_IXUSR)
                size = status.st_size
                found.append(FolderFile(path=prefix + name, source=real, size=size, executable=executable))
    if refused:
        raise _refused(folder, refused)
    return tuple(sorted(found))


def _list_folder(folder: Path, refused: list[str], prefix: str) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Each name of a folder, where its bytes are and their status; what has none is added to `refused`."""
    try:
        with os.scandir(folder) as listing:
            entries = list(listing)
    except OSError as error:
        refused.append(f"{prefix!r}: cannot be listed: {error.strerror}")
        return
    for entry in entries:
        try:
            real = Path(entry.path).resolve(strict=True) if entry.is_symlink() else Path(entry.path)
            yield entry.name, real, entry.stat()
        except (
            OSError,
            RuntimeError,
        ) as error:  # RuntimeError: how pathlib of Python 3.11 tells a loop of links
            refused.append(f"{prefix + entry.name!r}: leads nowhere: {error}")


def _find_problem(name: str, real: Path, status: os.stat_result, chain: tuple[Path, ...]) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        return "the name is not UTF-8"
    if not real.is_relative_to(chain[0]):
        return f"a symbolic link that leads out of the folder, to {real}"
    if real in chain:
        return "a symbolic link to a folder it is in"
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return "neither a file nor a folder (a pipe, socket or device)"
    return ""


def _refused(folder: Path, refused: Sequence[str]) -> SourceRefused:
    return SourceRefused(
        "\n  ".join([f"{len(refused)} names of folder {folder.name!r} cannot be kept:", *sorted(refused)]),
        where=str(folder),
        hint="rename or remove them, or put the file a link leads to in its place",
    )


def tree_of(found: Sequence[FolderFile], kept: Sequence[tuple[Digest, int]]) -> Tree:
    """The tree of files that were found and then hashed, in the same order."""
    return make_tree(
        TreeEntry(path=file.path, digest=digest, size=size, executable=file.executable)
        for file, (digest, size) in zip(found, kept, strict=True)
    )


def tree_to_bytes(tree: Tree) -> bytes:
    """The object a tree is kept as: its digest is the tree's."""
    return canonical_json(tree.to_json())


def tree_from_bytes(content: bytes, where: Digest) -> Tree:
    """The tree in an object; raises `TreeInvalid`."""
    try:
        value = json.loads(content)
        found = value["format"]
        if found != 1:
            raise _invalid(f"it is of format {found!r}, this Thaw reads format 1", where)
        tree = tree_from_json(value)
        check_paths(tree)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        AssertionError,
        RecursionError,
        DigestMismatch,
    ) as error:
        raise _invalid(f"{type(error).__name__}: {error}", where) from error
    if tree_to_bytes(tree) != content:
        raise _invalid("it is not written as Thaw writes trees, so that its digest is not the tree's", where)
    return tree


def check_paths(tree: Tree) -> None:
    """Raise `TreeInvalid` where a path could lead out of a folder, or two cannot be in one folder."""
    paths = {entry.path for entry in tree.entries}
    folders = {path[:at] for path in paths for at, letter in enumerate(path) if letter == "/"}
    wrong = sorted(path for path in paths if not _is_plain(path) or path in folders)
    if wrong or len(paths) != len(tree.entries):
        raise _invalid(f"no folder can have these paths: {wrong or 'one is there twice'}", tree.digest)


def _is_plain(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in path and all(part not in ("", ".", "..") for part in path.split("/"))


def _invalid(reason: str, where: Digest) -> TreeInvalid:
    return TreeInvalid(f"not a tree: {reason}", where=where, hint="check the vault: thaw vault audit")
