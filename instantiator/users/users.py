"""All about users of one service, in one file."""

from __future__ import annotations

from pathlib import Path

from instantiator.users.audit import Audit
from instantiator.users.database import UsersFile
from instantiator.users.logins import Logins
from instantiator.users.model import EVERYONE, Principal, Role, Scope, scopes_of
from instantiator.users.people import People
from instantiator.users.shares import Shares
from instantiator.users.tokens import Tokens


class Users:
    """`<home>/users.sqlite`, made when it is first needed; safe under threads and processes."""

    def __init__(self, path: Path) -> None:
        self._file = UsersFile(path)
        self.people = People(self._file)
        self.tokens = Tokens(self._file)
        self.shares = Shares(self._file)
        self.audit = Audit(self._file)
        self.logins = Logins(self._file)

    def principal(self, user: str, *, local: str) -> Principal | None:
        """What a user may do; the local user everything; None for a user nobody knows."""
        found = self.people.find(user)
        if user == local:
            groups = found.groups if found else frozenset()
            return Principal(
                user=user, roles=frozenset(Role), groups=groups | {EVERYONE}, scopes=frozenset(Scope)
            )
        if found is None:
            return None
        return Principal(
            user=user, roles=found.roles, groups=found.groups | {EVERYONE}, scopes=scopes_of(found.roles)
        )

    def close(self) -> None:
        """Give the file back; it is opened again at the next use."""
        self._file.close()
