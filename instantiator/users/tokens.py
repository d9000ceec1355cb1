"""Tokens: what a script shows instead of a cookie. Only their digests are kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from instantiator.users.database import UsersFile
from instantiator.users.errors import TokenExpired, TokenRefused, UserRefused, UserUnknown
from instantiator.users.model import NewToken, Scope, Token
from provenance.record import format_time, parse_time

PREFIX = "thaw_"
LONGEST = timedelta(days=366)
_USED_AGAIN = timedelta(minutes=1)
"""That a token was used is written down at most this often."""


class Tokens:
    """The tokens of all users."""

    def __init__(self, file: UsersFile) -> None:
        self._file = file

    def new(
        self, user: str, scopes: Iterable[Scope], *, label: str, expires: datetime, now: datetime
    ) -> NewToken:
        """Make a token; its text is in the answer and nowhere else."""
        asked = frozenset(scopes)
        if not asked:
            raise UserRefused("a token needs a scope", hint=f"one of {', '.join(Scope)}")
        if not now < expires <= now + LONGEST:
            raise UserRefused(
                f"a token cannot expire on {format_time(expires)}: expected a time within the next {LONGEST.days} days"
            )
        text = PREFIX + secrets.token_urlsafe(32)
        token = Token(
            id=secrets.token_hex(6), user=user, scopes=asked, label=label[:80], made=now, expires=expires
        )
        with self._file.write() as sql:
            sql.execute(
                "INSERT INTO tokens (digest, id, user, scopes, label, made, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(_digest(text), token.id, user, " ".join(sorted(asked)), token.label),
                    *(format_time(now), format_time(expires)),
                ),
            )
        return NewToken(token=token, text=text)

    def find(self, text: str, *, now: datetime) -> Token:
        """The token with this text; raises `TokenExpired` and `TokenRefused`."""
        with self._file.read() as sql:
            row = sql.execute("SELECT * FROM tokens WHERE digest = ?", (_digest(text),)).fetchone()
        if row is None:
            raise TokenRefused(
                "the token is not known here: it was revoked, or is another service's",
                hint="make a new one: thaw token new, or the page /tokens",
            )
        token = _token(row)
        if token.expires <= now:
            raise TokenExpired(
                f"the token {token.label or token.id} expired on {format_time(token.expires)}",
                hint="what was begun with it goes on; make a new one: thaw token new, or the page /tokens",
            )
        if token.used is None or now - token.used > _USED_AGAIN:
            with self._file.write() as sql:
                sql.execute("UPDATE tokens SET used = ? WHERE id = ?", (format_time(now), token.id))
        return token

    def of(self, user: str | None) -> tuple[Token, ...]:
        """The tokens of a user, or of all, newest first; the expired ones too."""
        where, values = ("WHERE user = ?", (user,)) if user is not None else ("", ())
        with self._file.read() as sql:
            rows = sql.execute(f"SELECT * FROM tokens {where} ORDER BY made DESC, id", values).fetchall()
        return tuple(_token(row) for row in rows)

    def revoke(self, user: str, token: str) -> None:
        """Make a token worthless at once; raises `UserUnknown`."""
        with self._file.write() as sql:
            gone = sql.execute("DELETE FROM tokens WHERE id = ? AND user = ?", (token, user)).rowcount
        if not gone:
            raise UserUnknown(
                f"there is no token {token!r} of {user}", hint="they are listed: thaw token list"
            )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _token(row: Any) -> Token:
    return Token(
        id=row["id"],
        user=row["user"],
        scopes=frozenset(Scope(item) for item in row["scopes"].split()),
        label=row["label"],
        made=parse_time(row["made"]),
        expires=parse_time(row["expires"]),
        used=parse_time(row["used"]) if row["used"] else None,
    )
