"""One SQLite file: opened at first use, safe under threads, forks, other processes and kill -9."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import RLock

from provenance.errors import DiskFull, ThawError
from provenance.store.errors import StoreBusy, StoreDamaged, StoreUnusable
from provenance.store.schema import STEPS, Step, bring_up_to_date, refuse_newer, schema_version

BUSY_TIMEOUT_S = 30.0
_LITTLE_BYTES = 1 << 20


class Database:
    """A connection that is made when it is first needed, and anew in a forked child."""

    def __init__(self, path: Path, steps: Sequence[Step] = STEPS) -> None:
        self.path = path
        self._steps = steps
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None
        self._opened_by = 0

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The connection, for SELECTs; other threads wait."""
        with self._lock, self._errors_named():
            yield self._opened()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """The connection within one transaction: all of it happens, or, where the body raises, nothing."""
        with self._lock, self._errors_named():
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself; a second ROLLBACK would be an error too.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Give the file back; it is opened again at the next use."""
        with self._lock:
            if self._connection is not None and self._opened_by == os.getpid():
                self._connection.close()
            self._connection = None

    def copy_to(self, target: Path) -> None:
        """A copy of the file as it is at one moment, while others read and write it."""
        with self.read() as connection, closing(sqlite3.connect(target, isolation_level=None)) as copy:
            connection.backup(copy)

    def check_sound(self) -> None:
        """Raise `StoreDamaged` where SQLite finds the file damaged."""
        with self.read() as connection:
            said = [row[0] for row in connection.execute("PRAGMA integrity_check(1000000)")]
            found = [words for words in dict.fromkeys(said) if words != "ok" and _is_so(words, connection)]
        if found:
            raise StoreDamaged(
                f"the file is damaged: {'; '.join(found[:3])}",
                where=str(self.path),
                hint="take an older copy of it",
            )

    def set_aside(self) -> Path:
        """Move a damaged file out of the way, to `<name>.damaged`; the next use makes a new one."""
        self.close()
        aside = self.path.with_name(self.path.name + ".damaged")
        self.path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        return aside

    def _opened(self) -> sqlite3.Connection:
        # A connection must not cross fork(): the child leaves the parent's alone and makes its own.
        if self._connection is None or self._opened_by != os.getpid():
            self._connection = self._open()
            self._opened_by = os.getpid()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        self._make_folder()
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            # A commit is on the disk at the next checkpoint. What a power cut takes, the journal gives back.
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous = NORMAL")
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnusable(
                f"the state folder cannot be made: {error.strerror}",
                where=str(self.path.parent),
                hint="set THAW_HOME to a folder you may write",
            ) from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        found = schema_version(connection)
        refuse_newer(found, self._steps, str(self.path))
        if found == len(self._steps):
            return
        # SQLite does not wait when two processes turn on the write-ahead log at once, so they queue here.
        with self.path.with_name(self.path.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            connection.execute("PRAGMA journal_mode = WAL")
            bring_up_to_date(connection, self._steps)

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise self._named(error) from error

    def _named(self, error: sqlite3.Error) -> ThawError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and self._has_no_space()):
            return DiskFull(
                "no space left to write the store",
                where=str(self.path),
                hint="free some space, then try again",
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreBusy(
                f"another process kept the store locked for more than {BUSY_TIMEOUT_S:.0f} s",
                where=str(self.path),
                hint=f"see which process holds it (fuser {self.path}), then try again",
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return StoreDamaged(
                f"the store is damaged: {error}",
                where=str(self.path),
                hint=f"move it away: mv {self.path} {self.path}.damaged; the next command makes it again",
            )
        return StoreUnusable(
            f"the store cannot be used: {error}",
            where=str(self.path),
            hint=f"check the rights and the disk of {self.path.parent}",
        )

    def _has_no_space(self) -> bool:
        return shutil.disk_usage(self.path.parent).free < _LITTLE_BYTES


def _is_so(words: str, connection: sqlite3.Connection) -> bool:
    """Whether SQLite is right: 3.40 sees NULLs in tables WITHOUT ROWID that are not there."""
    null = re.fullmatch(r"NULL value in (\w+)\.(\w+)", words)
    if null is None:
        return True
    table, column = null.groups()
    (count,) = connection.execute(f"SELECT count(*) FROM {table} WHERE {column} IS NULL").fetchone()
    return bool(count)
