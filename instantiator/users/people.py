"""Users, their roles, groups and limits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from instantiator.users.database import UsersFile
from instantiator.users.errors import UserRefused, UserUnknown
from instantiator.users.model import EVERYONE, Person, Role, UserLimits
from provenance.record import format_time, parse_time

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}")
_COLUMNS = "name, added, external, subject, queued, executing, sessions, upload_bytes"


def check_name(name: str, what: str = "user") -> str:
    """The name, where it can be one; raises `UserRefused`."""
    if not _NAME.fullmatch(name) or (what == "group" and name == EVERYONE):
        raise UserRefused(
            f"{name!r} is no name of a {what}: expected a-z, 0-9, '.', '_', '-', '@', at most 63 signs",
            hint=f"{EVERYONE!r} is the group all users are in" if name == EVERYONE else "",
        )
    return name


class People:
    """Who is known. A removed user's name stays taken by what the user left."""

    def __init__(self, file: UsersFile) -> None:
        self._file = file

    def add(self, name: str, roles: Iterable[Role], *, now: datetime, is_external: bool = False) -> Person:
        """Make a user known, or again known; raises `UserRefused` where it is already."""
        check_name(name)
        if self.find(name) is not None:
            raise UserRefused(
                f"there is a user {name!r} already", hint=f"change it: thaw user role {name} ..."
            )
        with self._file.write() as sql:
            sql.execute(
                "INSERT INTO people (name, added, external) VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET removed = NULL, added = excluded.added,"
                " external = excluded.external, subject = ''",
                (name, format_time(now), is_external),
            )
        self.set_roles(name, roles)
        return self.get(name)

    def remove(self, name: str, *, now: datetime) -> None:
        """Forget who it was: tokens, roles, groups and what was shared with the user go; runs and records stay."""
        self.get(name)
        with self._file.write() as sql:
            for table in ("roles", "members", "tokens", "shares"):
                sql.execute(f"DELETE FROM {table} WHERE user = ?", (name,))
            sql.execute(
                "UPDATE people SET removed = ?, subject = '' WHERE name = ?", (format_time(now), name)
            )

    def find(self, name: str) -> Person | None:
        """A user, None where there is none of this name now."""
        found = self._select("AND name = ?", (name,))
        return found[0] if found else None

    def get(self, name: str) -> Person:
        """A user; raises `UserUnknown`."""
        found = self.find(name)
        if found is None:
            raise UserUnknown(f"there is no user {name!r}", hint="add the user: thaw user add NAME")
        return found

    def bound_to(self, subject: str) -> Person | None:
        """The user the identity provider calls this."""
        found = self._select("AND subject = ?", (subject,)) if subject else ()
        return found[0] if found else None

    def was_removed(self, name: str) -> bool:
        """Whether there was such a user: the name is not given to somebody else by itself."""
        with self._file.read() as sql:
            found = sql.execute(
                "SELECT 1 FROM people WHERE name = ? AND removed IS NOT NULL", (name,)
            ).fetchone()
        return found is not None

    def all(self) -> tuple[Person, ...]:
        """All users, by name."""
        return self._select("ORDER BY name", ())

    def bind(self, name: str, subject: str) -> None:
        """From now on this user is the identity provider's `subject`."""
        with self._file.write() as sql:
            sql.execute("UPDATE people SET subject = ?, external = 1 WHERE name = ?", (subject, name))

    def set_roles(self, name: str, roles: Iterable[Role], *, is_external: bool = False) -> None:
        """Give exactly these roles; those of the other origin stay."""
        self._replace("roles", "role", name, [role.value for role in roles], is_external)

    def set_groups(self, name: str, groups: Iterable[str], *, is_external: bool = False) -> None:
        """Put into exactly these groups; those of the other origin stay."""
        checked = [check_name(group, "group") for group in groups]
        self._replace("members", "name", name, checked, is_external)

    def set_limits(self, name: str, limits: UserLimits) -> None:
        """Say how much a user may have at once."""
        self.get(name)
        with self._file.write() as sql:
            sql.execute(
                "UPDATE people SET queued = ?, executing = ?, sessions = ?, upload_bytes = ? WHERE name = ?",
                (limits.queued, limits.executing, limits.sessions, limits.upload_bytes, name),
            )

    def limits_of(self, name: str) -> UserLimits:
        """How much a user may have at once; the default for one who is not known (the local user)."""
        found = self.find(name)
        return found.limits if found else UserLimits()

    def _replace(self, table: str, column: str, name: str, values: list[str], is_external: bool) -> None:
        self.get(name)
        with self._file.write() as sql:
            sql.execute(f"DELETE FROM {table} WHERE user = ? AND external = ?", (name, is_external))
            sql.executemany(
                f"INSERT OR IGNORE INTO {table} (user, {column}, external) VALUES (?, ?, ?)",
                [(name, value, is_external) for value in values],
            )

    def _select(self, tail: str, values: tuple[object, ...]) -> tuple[Person, ...]:
        with self._file.read() as sql:
            rows = sql.execute(
                f"SELECT {_COLUMNS} FROM people WHERE removed IS NULL {tail}", values
            ).fetchall()
            return tuple(
                Person(
                    name=row["name"],
                    roles=frozenset(
                        Role(found["role"])
                        for found in sql.execute("SELECT role FROM roles WHERE user = ?", (row["name"],))
                    ),
                    groups=frozenset(
                        found["name"]
                        for found in sql.execute("SELECT name FROM members WHERE user = ?", (row["name"],))
                    ),
                    added=parse_time(row["added"]),
                    is_external=bool(row["external"]),
                    subject=row["subject"],
                    limits=_limits(row["queued"], row["executing"], row["sessions"], row["upload_bytes"]),
                )
                for row in rows
            )


def _limits(
    queued: int | None, executing: int | None, sessions: int | None, upload_bytes: int | None
) -> UserLimits:
    default = UserLimits()
    return UserLimits(
        queued=default.queued if queued is None else queued,
        executing=default.executing if executing is None else executing,
        sessions=default.sessions if sessions is None else sessions,
        upload_bytes=default.upload_bytes if upload_bytes is None else upload_bytes,
    )
