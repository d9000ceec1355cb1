"""Whose a thing is, and who else may look at it."""

from __future__ import annotations

from instantiator.users.database import UsersFile
from instantiator.users.model import EVERYONE, Principal, Share, Thing


class Shares:
    """Owners and shares. A run's and a session's owner is its own field; a dataset's is kept here."""

    def __init__(self, file: UsersFile) -> None:
        self._file = file

    def own(self, kind: Thing, id: str, user: str) -> None:  # noqa: A002  # the word of the contract
        """Say whose a thing is; the first one who says so counts."""
        with self._file.write() as sql:
            sql.execute("INSERT OR IGNORE INTO owners VALUES (?, ?, ?)", (kind.value, id, user))

    def owner_of(self, kind: Thing, id: str) -> str:  # noqa: A002
        """Whose a thing is; empty where nobody said."""
        with self._file.read() as sql:
            row = sql.execute(
                "SELECT user FROM owners WHERE kind = ? AND id = ?", (kind.value, id)
            ).fetchone()
        return str(row[0]) if row else ""

    def add(self, share: Share) -> None:
        """Let somebody look at a thing."""
        with self._file.write() as sql:
            sql.execute("INSERT OR IGNORE INTO shares VALUES (?, ?, ?, ?)", _row(share))

    def remove(self, share: Share) -> bool:
        """Take that back; whether it was so."""
        with self._file.write() as sql:
            done = sql.execute(
                "DELETE FROM shares WHERE kind = ? AND id = ? AND user = ? AND name = ?", _row(share)
            )
            return done.rowcount > 0

    def of(self, kind: Thing, id: str) -> tuple[Share, ...]:  # noqa: A002
        """With whom a thing is shared."""
        with self._file.read() as sql:
            rows = sql.execute(
                "SELECT user, name FROM shares WHERE kind = ? AND id = ? ORDER BY user, name",
                (kind.value, id),
            ).fetchall()
        return tuple(Share(kind=kind, id=id, with_user=row[0], with_group=row[1]) for row in rows)

    def ids_for(self, principal: Principal, kind: Thing) -> frozenset[str]:
        """All things of a kind that others share with this one."""
        groups = sorted({*principal.groups, EVERYONE})
        marks = ", ".join("?" * len(groups))
        with self._file.read() as sql:
            rows = sql.execute(
                f"SELECT id FROM shares WHERE kind = ? AND (user = ? OR (user = '' AND name IN ({marks})))",
                (kind.value, principal.user, *groups),
            ).fetchall()
        return frozenset(str(row[0]) for row in rows)

    def is_shared(self, principal: Principal, kind: Thing, id: str) -> bool:  # noqa: A002
        """Whether this one may look at this thing though it is somebody else's."""
        return any(
            share.with_user == principal.user or share.with_group in {*principal.groups, EVERYONE}
            for share in self.of(kind, id)
        )


def _row(share: Share) -> tuple[str, str, str, str]:
    return (share.kind.value, share.id, share.with_user, share.with_group)
