"""Which run or dataset uses an object: asked when one is missing or rotten, to say what is hit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from provenance.digest import Digest, Tree
from provenance.record import Record
from provenance.store.rows import Dataset, JudgedRun

Use = tuple[Digest, str]


def uses_of_record(record: Record, digest: Digest) -> list[Use]:
    """What a record needs to be read, shown and repeated, and for what."""
    run = f"run {record.run}"
    found = [
        (digest, f"{run}: record"),
        (record.lock, f"{run}: lock"),
        (record.recipe_digest, f"{run}: recipe"),
    ]
    if record.log is not None:
        found.append((record.log, f"{run}: log"))
    if record.job.script is not None:
        found.append((record.job.script, f"{run}: script"))
    found += [(item.digest, f"{run}: input {item.name} ({item.dataset})") for item in record.inputs]
    found += [(item.digest, f"{run}: output {item.name} ({item.path})") for item in record.outputs]
    return found


def uses_of_verdict(judged: JudgedRun) -> list[Use]:
    """What a verdict needs."""
    return [(judged.verdict, f"run {judged.run}: verdict, repeated by {judged.repeated_by}")]


def uses_of_dataset(dataset: Dataset) -> list[Use]:
    """What a dataset needs, apart from its files."""
    return [(dataset.digest, f"dataset {dataset.reference}")]


def insert_uses(connection: sqlite3.Connection, uses: Iterable[Use]) -> None:
    """Add uses; known ones are passed over."""
    connection.executemany(
        "INSERT OR IGNORE INTO object_uses (digest, used_by) VALUES (?, ?)",
        ((to_blob(digest), used_by) for digest, used_by in uses),
    )


def insert_tree(connection: sqlite3.Connection, tree: Tree, digest: Digest) -> None:
    """Add the files of a tree, once for all that use it."""
    added = connection.execute("INSERT OR IGNORE INTO trees (digest) VALUES (?)", (to_blob(digest),))
    if added.rowcount == 0:
        return
    # Sorted by key: the table is one tree of pages, and pages filled in order are written once.
    rows = sorted((to_blob(entry.digest), added.lastrowid, entry.path) for entry in tree.entries)
    connection.executemany("INSERT OR IGNORE INTO tree_files (digest, tree, path) VALUES (?, ?, ?)", rows)


def find_uses(connection: sqlite3.Connection, digest: Digest) -> tuple[str, ...]:
    """All uses of an object in words: its own, and, for a file of a tree, those of the tree."""
    blob = to_blob(digest)
    direct = connection.execute("SELECT used_by FROM object_uses WHERE digest = ?", (blob,))
    within = connection.execute(
        "SELECT used_by || ', file ' || tree_files.path FROM tree_files"
        " JOIN trees ON trees.id = tree_files.tree"
        " JOIN object_uses ON object_uses.digest = trees.digest WHERE tree_files.digest = ?",
        (blob,),
    )
    return tuple(sorted(row[0] for rows in (direct, within) for row in rows))


def to_blob(digest: Digest) -> bytes:
    """A digest as its 32 bytes."""
    return bytes.fromhex(digest.removeprefix("sha256:"))


def from_blob(blob: bytes) -> Digest:
    """The digest `to_blob` made 32 bytes of."""
    return Digest("sha256:" + blob.hex())
