"""The file of users: its tables, as the steps that led to them, and its errors in words."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from provenance.errors import ThawError
from provenance.store import StoreDamaged
from provenance.store.database import Database

_STEP_1 = (
    """
    CREATE TABLE people (
        name TEXT PRIMARY KEY, added TEXT NOT NULL, removed TEXT, external INTEGER NOT NULL DEFAULT 0,
        subject TEXT NOT NULL DEFAULT '', queued INTEGER, executing INTEGER, sessions INTEGER,
        upload_bytes INTEGER
    ) WITHOUT ROWID
    """,
    "CREATE UNIQUE INDEX people_by_subject ON people (subject) WHERE subject <> ''",
    # `external`: said by the identity provider, hence replaced at each login; the others are given here.
    """
    CREATE TABLE roles (user TEXT NOT NULL, role TEXT NOT NULL, external INTEGER NOT NULL,
        PRIMARY KEY (user, role, external)) WITHOUT ROWID
    """,
    """
    CREATE TABLE members (user TEXT NOT NULL, name TEXT NOT NULL, external INTEGER NOT NULL,
        PRIMARY KEY (user, name, external)) WITHOUT ROWID
    """,
    """
    CREATE TABLE tokens (
        digest BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL, scopes TEXT NOT NULL,
        label TEXT NOT NULL, made TEXT NOT NULL, expires TEXT NOT NULL, used TEXT
    ) WITHOUT ROWID
    """,
    "CREATE INDEX tokens_by_user ON tokens (user, made)",
    """
    CREATE TABLE owners (kind TEXT NOT NULL, id TEXT NOT NULL, user TEXT NOT NULL, PRIMARY KEY (kind, id))
    WITHOUT ROWID
    """,
    """
    CREATE TABLE shares (kind TEXT NOT NULL, id TEXT NOT NULL, user TEXT NOT NULL, name TEXT NOT NULL,
        PRIMARY KEY (kind, id, user, name)) WITHOUT ROWID
    """,
    "CREATE INDEX shares_by_user ON shares (user, name, kind)",
    """
    CREATE TABLE logins (digest BLOB PRIMARY KEY, state TEXT NOT NULL, nonce TEXT NOT NULL,
        verifier TEXT NOT NULL, next TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID
    """,
    """
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY, time TEXT NOT NULL, event TEXT NOT NULL, user TEXT NOT NULL,
        subject TEXT NOT NULL, detail TEXT NOT NULL, hash TEXT NOT NULL
    )
    """,
    """
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END
    """,
    """
    CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END
    """,
)


class UsersFile(Database):
    """The SQLite file; only its owner may read it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, (_STEP_1,))

    def _make_folder(self) -> None:
        super()._make_folder()
        self.path.touch(mode=0o600)

    def _named(self, error: sqlite3.Error) -> ThawError:
        named = super()._named(error)
        if isinstance(named, StoreDamaged):
            named.hint = "restore it from a backup: without it nobody but the local user gets in"
        return named
