"""Logins under way at the identity provider: each may come back once, within ten minutes."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from instantiator.users.database import UsersFile

LIFE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingLogin:
    """What the answer of the identity provider has to fit."""

    state: str
    nonce: str
    verifier: str
    next: str


class Logins:
    """Logins that were begun."""

    def __init__(self, file: UsersFile) -> None:
        self._file = file

    def begin(self, next_page: str, *, now: datetime) -> tuple[str, PendingLogin]:
        """A new one, and the secret the browser keeps meanwhile."""
        text = secrets.token_urlsafe(32)
        pending = PendingLogin(
            state=secrets.token_urlsafe(24),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            next=next_page,
        )
        with self._file.write() as sql:
            sql.execute("DELETE FROM logins WHERE expires <= ?", (now.timestamp(),))
            sql.execute(
                "INSERT INTO logins VALUES (?, ?, ?, ?, ?, ?)",
                (
                    *(_digest(text), pending.state, pending.nonce, pending.verifier, pending.next),
                    (now + LIFE).timestamp(),
                ),
            )
        return text, pending

    def take(self, text: str, *, now: datetime) -> PendingLogin | None:
        """The login this browser began; it is used up."""
        with self._file.write() as sql:
            row = sql.execute(
                "DELETE FROM logins WHERE digest = ? RETURNING state, nonce, verifier, next, expires",
                (_digest(text),),
            ).fetchone()
        if row is None or row["expires"] <= now.timestamp():
            return None
        return PendingLogin(
            state=row["state"], nonce=row["nonce"], verifier=row["verifier"], next=row["next"]
        )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
