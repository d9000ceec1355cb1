"""The tables, as the steps that led to them. A step is never changed once released: a new one is added."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from provenance.store.errors import StoreTooNew

Step = tuple[str, ...]

_STEP_1: Step = (
    """
    CREATE TABLE runs (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, recipe TEXT NOT NULL, thread TEXT NOT NULL,
        parameters TEXT NOT NULL, inputs TEXT NOT NULL, repeats TEXT,
        state TEXT NOT NULL, submitted TEXT NOT NULL, started TEXT, ended TEXT,
        record TEXT, exit_status INTEGER, message TEXT NOT NULL DEFAULT '',
        owner_pid INTEGER, owner_start_ticks INTEGER, owner_boot_id TEXT
    )
    """,
    "CREATE INDEX runs_by_time ON runs (submitted, id)",
    "CREATE INDEX runs_by_state ON runs (state, submitted, id)",
    "CREATE INDEX runs_by_recipe ON runs (recipe, submitted, id)",
    """
    CREATE TABLE verdicts (
        run TEXT NOT NULL, repeated_by TEXT NOT NULL, grade TEXT NOT NULL, verdict TEXT NOT NULL,
        judged TEXT NOT NULL, PRIMARY KEY (run, judged, repeated_by, verdict)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE datasets (
        name TEXT NOT NULL, version INTEGER NOT NULL, tree TEXT NOT NULL, path TEXT NOT NULL,
        kept INTEGER NOT NULL, files INTEGER NOT NULL, size INTEGER NOT NULL, added TEXT NOT NULL,
        title TEXT NOT NULL, origin TEXT NOT NULL, licence TEXT NOT NULL, PRIMARY KEY (name, version)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX datasets_by_tree ON datasets (tree)",
    "CREATE INDEX datasets_by_path ON datasets (path)",
    # What uses an object. Digests are their 32 bytes here: a dataset of 100,000 files has 100,000 rows.
    """
    CREATE TABLE object_uses (digest BLOB NOT NULL, used_by TEXT NOT NULL, PRIMARY KEY (digest, used_by))
    WITHOUT ROWID
    """,
    "CREATE TABLE trees (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE)",
    # The files of a tree once, whatever number of datasets and runs use that tree.
    """
    CREATE TABLE tree_files (digest BLOB NOT NULL, tree INTEGER NOT NULL, path TEXT NOT NULL,
        PRIMARY KEY (digest, tree, path)) WITHOUT ROWID
    """,
    """
    CREATE TABLE known_files (
        folder TEXT NOT NULL, path TEXT NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (folder, path)
    ) WITHOUT ROWID
    """,
)

_STEP_2: Step = (
    "ALTER TABLE runs ADD COLUMN user TEXT",
    "ALTER TABLE runs ADD COLUMN answered_from TEXT",
    "ALTER TABLE runs ADD COLUMN work TEXT",
    # A list is filtered within the index alone; only the rows of one page are then read.
    "CREATE INDEX runs_listed ON runs (submitted, id, user, state, recipe, thread)",
    "CREATE INDEX runs_of_user ON runs (user, submitted, id, state, recipe, thread)",
    "DROP INDEX runs_by_time",
    "CREATE INDEX runs_by_work ON runs (work, submitted) WHERE work IS NOT NULL",
    # What a record does not say of a run that was asked of a service. Not in the journal.
    """
    CREATE TABLE queue (
        run TEXT PRIMARY KEY, user TEXT NOT NULL, priority INTEGER NOT NULL, time_limit_s INTEGER NOT NULL,
        cpus REAL NOT NULL, memory_mb INTEGER NOT NULL, is_safe INTEGER NOT NULL, is_fresh INTEGER NOT NULL,
        label TEXT NOT NULL, idempotency_key TEXT NOT NULL, content TEXT NOT NULL, destruction TEXT,
        destroyed INTEGER NOT NULL DEFAULT 0, cancelled TEXT, attempts INTEGER NOT NULL DEFAULT 0,
        claimed TEXT, leased_until TEXT, notes TEXT NOT NULL DEFAULT '', to_judge INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
    "CREATE UNIQUE INDEX queue_by_key ON queue (user, idempotency_key) WHERE idempotency_key != ''",
    "CREATE INDEX queue_by_user ON queue (user, claimed)",
    "CREATE INDEX queue_by_destruction ON queue (destruction) WHERE destruction IS NOT NULL",
    "CREATE INDEX queue_to_judge ON queue (run) WHERE to_judge",
    """
    CREATE TABLE workers (
        pid INTEGER NOT NULL, start_ticks INTEGER NOT NULL, boot_id TEXT NOT NULL, started TEXT NOT NULL,
        beat TEXT NOT NULL, PRIMARY KEY (pid, start_ticks, boot_id)
    ) WITHOUT ROWID
    """,
)

STEPS: tuple[Step, ...] = (_STEP_1, _STEP_2)


def schema_version(connection: sqlite3.Connection) -> int:
    """How many steps this file has gone."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    return int(found)


def bring_up_to_date(connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
    """Go the steps this file has not gone yet, all or none of them."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[schema_version(connection) :]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(steps)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def refuse_newer(found: int, steps: Sequence[Step], where: str) -> None:
    """Raise `StoreTooNew` for a file that has gone steps this Thaw does not know."""
    if found > len(steps):
        raise StoreTooNew(
            f"the store has schema {found}: this Thaw knows schemas up to {len(steps)}",
            where=where,
            hint="update Thaw, or move the file away: a new store is made from the vault's journal",
        )
