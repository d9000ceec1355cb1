"""Short-lived rights: tickets to join a session, tokens to log in, cookies, links to watch. Only digests are kept."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from provenance.errors import ThawError

TICKET_LIFE = timedelta(seconds=60)


class TicketRefused(ThawError):
    """A ticket is unknown, was used, is too old, or is for another session: which one is not said."""

    code = "ticket-refused"


class RightKind(StrEnum):
    """What a right is for."""

    TICKET = "ticket"
    TOKEN = "token"
    COOKIE = "cookie"
    SHARE = "share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """Who may do what until when. `session` is empty where a right is bound to none."""

    kind: RightKind
    user: str
    session: str
    view_only: bool
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A right to join one session, once; `text` is given out and kept nowhere."""

    text: str
    expires: datetime


_TABLE = """CREATE TABLE IF NOT EXISTS rights (
    digest BLOB PRIMARY KEY, kind TEXT NOT NULL, user TEXT NOT NULL, session TEXT NOT NULL,
    view_only INTEGER NOT NULL, expires REAL NOT NULL) WITHOUT ROWID"""


class Tickets:
    """The rights one service gave out; safe under threads and processes. Without the file, all log in again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        with self._write() as connection:
            connection.execute(_TABLE)

    def issue_ticket(self, user: str, session: str, *, view_only: bool, now: datetime) -> Ticket:
        """A new ticket for this user and this session, good for one use within a minute."""
        right = Right(
            kind=RightKind.TICKET,
            user=user,
            session=session,
            view_only=view_only,
            expires=now + TICKET_LIFE,
        )
        return Ticket(text=self.issue(right, now=now), expires=right.expires)

    def redeem_ticket(self, ticket: str, session: str, *, now: datetime) -> Right:
        """Use a ticket up. Raises `TicketRefused`; a ticket shown for another session is used up all the same."""
        right = self.take(RightKind.TICKET, ticket, now=now)
        if right is None or right.session != session:
            raise TicketRefused(
                "the ticket is not valid for this session: it was used, is too old, or is for another",
                hint="reload the session's page: it asks for a new one",
            )
        return right

    def issue(self, right: Right, *, now: datetime) -> str:
        """Keep a right and give its secret; what has expired is forgotten meanwhile."""
        text = secrets.token_urlsafe(32)
        with self._write() as connection:
            connection.execute("DELETE FROM rights WHERE expires <= ?", (now.timestamp(),))
            connection.execute(
                "INSERT INTO rights VALUES (?, ?, ?, ?, ?, ?)",
                (
                    *(_digest(text), right.kind.value, right.user),
                    *(right.session, right.view_only, right.expires.timestamp()),
                ),
            )
        return text

    def look(self, kind: RightKind, text: str, *, now: datetime) -> Right | None:
        """The right a secret gives, which stays; None where it gives none."""
        with closing(self._connect()) as connection:
            row = connection.execute(
                "SELECT kind, user, session, view_only, expires FROM rights"
                " WHERE digest = ? AND kind = ? AND expires > ?",
                (_digest(text), kind.value, now.timestamp()),
            ).fetchone()
        return _right(row)

    def take(self, kind: RightKind, text: str, *, now: datetime) -> Right | None:
        """The right a secret gives, which is used up by it: of two who take it at once, one gets it."""
        with self._write() as connection:
            row = connection.execute(
                "DELETE FROM rights WHERE digest = ? AND kind = ?"
                " RETURNING kind, user, session, view_only, expires",
                (_digest(text), kind.value),
            ).fetchone()
        right = _right(row)
        return right if right is not None and right.expires > now else None

    def withdraw(self, session: str) -> None:
        """Forget every right to a session: it has ended, or its links are to lead nowhere."""
        with self._write() as connection:
            connection.execute("DELETE FROM rights WHERE session = ?", (session,))

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=10, isolation_level=None)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _right(row: tuple[str, str, str, int, float] | None) -> Right | None:
    if row is None:
        return None
    kind, user, session, view_only, expires = row
    return Right(
        kind=RightKind(kind),
        user=user,
        session=session,
        view_only=bool(view_only),
        expires=datetime.fromtimestamp(expires, UTC),
    )
