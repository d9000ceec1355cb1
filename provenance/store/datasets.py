"""The SQL about datasets and about files whose digest is known. Every function works within a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from provenance.digest import Digest, parse_digest
from provenance.record import format_time, parse_time
from provenance.store.rows import Dataset, FileStat, KnownFile
from provenance.store.uses import from_blob, to_blob

_COLUMNS = "name, version, tree, path, kept, files, size, added, title, origin, licence"


def put_dataset(connection: sqlite3.Connection, dataset: Dataset) -> None:
    """Add one version of a dataset, or put its description right."""
    connection.execute(
        f"INSERT OR REPLACE INTO datasets ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(dataset.name, dataset.version, dataset.digest, str(dataset.path), dataset.kept),
            *(dataset.files, dataset.size, format_time(dataset.added)),
            *(dataset.title, dataset.origin, dataset.licence),
        ),
    )


def get_dataset(connection: sqlite3.Connection, name: str, version: int | None) -> Dataset | None:
    """One version of a dataset, the latest where `version` is None."""
    if version is None:
        found = _select(connection, "WHERE name = ? ORDER BY version DESC LIMIT 1", (name,))
    else:
        found = _select(connection, "WHERE name = ? AND version = ?", (name, version))
    return next(iter(found), None)


def list_datasets(connection: sqlite3.Connection) -> tuple[Dataset, ...]:
    """All versions of all datasets, by name and version."""
    return tuple(_select(connection, "ORDER BY name, version", ()))


def datasets_with_tree(connection: sqlite3.Connection, tree: Digest) -> tuple[Dataset, ...]:
    """The datasets that have exactly this content."""
    return tuple(_select(connection, "WHERE tree = ? ORDER BY name, version", (tree,)))


def datasets_at(connection: sqlite3.Connection, path: Path) -> tuple[Dataset, ...]:
    """The datasets that were added from this path, oldest first."""
    return tuple(_select(connection, "WHERE path = ? ORDER BY added, name, version", (str(path),)))


def known_files(connection: sqlite3.Connection, folder: Path) -> dict[str, KnownFile]:
    """Files of a folder that were hashed before, by relative path, with what they looked like then."""
    rows = connection.execute(
        "SELECT path, inode, size, mtime_ns, ctime_ns, digest FROM known_files WHERE folder = ?",
        (str(folder),),
    )
    return {
        row[0]: KnownFile(
            stat=FileStat(inode=row[1], size=row[2], mtime_ns=row[3], ctime_ns=row[4]),
            digest=from_blob(row[5]),
        )
        for row in rows
    }


def put_known_files(connection: sqlite3.Connection, folder: Path, files: Mapping[str, KnownFile]) -> None:
    """Remember the digests of files of a folder."""
    connection.executemany(
        "INSERT OR REPLACE INTO known_files VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (
                *(str(folder), path, known.stat.inode, known.stat.size),
                *(known.stat.mtime_ns, known.stat.ctime_ns, to_blob(known.digest)),
            )
            for path, known in files.items()
        ),
    )


def forget_files(connection: sqlite3.Connection, folder: Path, paths: Iterable[str]) -> None:
    """Forget files of a folder, for they are gone or look different."""
    connection.executemany(
        "DELETE FROM known_files WHERE folder = ? AND path = ?", ((str(folder), path) for path in paths)
    )


def _select(connection: sqlite3.Connection, tail: str, values: tuple[object, ...]) -> list[Dataset]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM datasets {tail}", values)
    return [_dataset(row) for row in rows]


def _dataset(row: tuple[str, int, str, str, int, int, int, str, str, str, str]) -> Dataset:
    return Dataset(
        name=row[0],
        version=row[1],
        digest=parse_digest(row[2]),
        path=Path(row[3]),
        kept=bool(row[4]),
        files=row[5],
        size=row[6],
        added=parse_time(row[7]),
        title=row[8],
        origin=row[9],
        licence=row[10],
    )
