"""A dataset's files on this host: which there are, and their digests, hashed no more often than needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from instantiator.dataset.errors import DatasetUnreadable
from provenance.digest import Digest, Tree, TreeEntry, make_tree
from provenance.errors import SourceChanged, SourceRefused
from provenance.store import FileStat, KnownFile, Store
from provenance.vault_tree import scan_folder

Hash = Callable[[Sequence[Path]], list[tuple[Digest, int]]]
"""Gives digest and size of each file: by reading it, or by keeping it in the vault."""

SETTLED_NS = 2_000_000_000
"""A file changed this shortly before it was hashed may change again under the same time: FAT counts 2 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file of a dataset: its path in the tree, where its bytes are, and how it looks from outside."""

    path: str
    source: Path
    executable: bool
    stat: FileStat


def tree_at(
    path: Path, *, store: Store, now: datetime, hash_files: Hash, may_reuse: Callable[[Digest], bool]
) -> Tree:
    """The tree of the file or folder at `path`.

    Files that look as they did when they were hashed are not read, where `may_reuse` agrees to their digest.
    Raises `DatasetUnreadable`, also where a file is written to meanwhile.
    """
    with _told_unreadable(path):
        files = find_files(path)
        known = store.known_files(_root(path))
        fresh = [file for file in files if not _is_known(file, known, may_reuse)]
        hashed = hash_files([file.source for file in fresh]) if fresh else []
        _check_untouched(fresh, hashed)
    digests = {file.path: digest for file, (digest, _) in zip(fresh, hashed, strict=True)}
    _remember(path, files, fresh, digests, known, store, now)
    return make_tree(
        TreeEntry(
            path=file.path,
            digest=digests.get(file.path) or known[file.path].digest,
            size=file.stat.size,
            executable=file.executable,
        )
        for file in files
    )


def find_files(path: Path) -> tuple[FoundFile, ...]:
    """The files at `path`, by name: those of a folder, or the file itself."""
    if path.is_dir():
        return tuple(_found_file(file.path, file.source) for file in scan_folder(path))
    if not path.is_file() and path.exists():
        raise SourceRefused(
            f"{path.name!r} is neither a file nor a folder", where=str(path), hint="name a file or folder"
        )
    return (_found_file(path.name, path),)


def stat_file(path: str | Path) -> FileStat:
    """How a file looks from outside."""
    return _file_stat(os.stat(path))  # noqa: PTH116  # a third of the time of Path.stat, for every file of a run


def _found_file(path: str, source: Path) -> FoundFile:
    found = source.stat()
    return FoundFile(path=path, source=source, executable=bool(found.st_mode & 0o100), stat=_file_stat(found))


def _file_stat(found: os.stat_result) -> FileStat:
    return FileStat(
        inode=found.st_ino, size=found.st_size, mtime_ns=found.st_mtime_ns, ctime_ns=found.st_ctime_ns
    )


def _root(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _is_known(file: FoundFile, known: Mapping[str, KnownFile], may_reuse: Callable[[Digest], bool]) -> bool:
    before = known.get(file.path)
    return before is not None and before.stat == file.stat and may_reuse(before.digest)


def _check_untouched(files: Sequence[FoundFile], hashed: Sequence[tuple[Digest, int]]) -> None:
    for file, (_, size) in zip(files, hashed, strict=True):
        if size != file.stat.size or stat_file(file.source) != file.stat:
            raise SourceChanged(
                f"{file.path!r} was written to while it was read: it had {file.stat.size} bytes, then {size}",
                where=str(file.source),
                hint="wait until whatever writes it has ended, then do it again",
            )


def _remember(
    path: Path,
    files: Sequence[FoundFile],
    fresh: Sequence[FoundFile],
    digests: Mapping[str, Digest],
    known: Mapping[str, KnownFile],
    store: Store,
    now: datetime,
) -> None:
    settled = int(now.timestamp() * 1_000_000_000) - SETTLED_NS
    hashed = {
        file.path: KnownFile(stat=file.stat, digest=digests[file.path])
        for file in fresh
        if max(file.stat.mtime_ns, file.stat.ctime_ns) <= settled
    }
    outdated = {file.path for file in fresh if file.path in known and file.path not in hashed}
    gone = set(known) - {file.path for file in files} if path.is_dir() else set()
    if hashed or outdated or gone:
        store.update_known_files(_root(path), hashed=hashed, forgotten=sorted(outdated | gone))


@contextmanager
def _told_unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DatasetUnreadable(
            f"there is no file or folder {error.filename or path!s}", where=str(path), hint="check the path"
        ) from error
    except OSError as error:
        raise DatasetUnreadable(
            f"{error.filename or path!s} cannot be read: {error.strerror}",
            where=str(path),
            hint="check the rights of the file and of the folders it is in",
        ) from error
    except (SourceRefused, SourceChanged) as error:
        raise DatasetUnreadable(error.message, where=error.where, hint=error.hint) from error
