"""Users, what they may do, and what was done, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

EVERYONE = "everyone"
"""The group all users are in."""


class Scope(StrEnum):
    """One thing a user may be allowed."""

    READ = "read"
    RUN = "run"
    SESSION = "session"
    DATASET = "dataset"
    CURATE = "curate"
    OPERATE = "operate"


class Role(StrEnum):
    """What a user is here."""

    SCIENTIST = "scientist"
    CURATOR = "curator"
    OPERATOR = "operator"


_SCIENTIST = frozenset({Scope.READ, Scope.RUN, Scope.SESSION, Scope.DATASET})
SCOPES: Mapping[Role, frozenset[Scope]] = MappingProxyType(
    {
        Role.SCIENTIST: _SCIENTIST,
        Role.CURATOR: _SCIENTIST | {Scope.CURATE},
        Role.OPERATOR: frozenset(Scope),
    }
)
"""What each role may do. No role means nothing."""


def scopes_of(roles: Iterable[Role]) -> frozenset[Scope]:
    """All that these roles may do."""
    return frozenset(scope for role in roles for scope in SCOPES[role])


class Thing(StrEnum):
    """What can be somebody's, and be shared."""

    RUN = "run"
    DATASET = "dataset"
    SESSION = "session"


class Event(StrEnum):
    """What is written into the audit log."""

    LOGIN = "login"
    LOGOUT = "logout"
    TOKEN_NEW = "token-new"
    TOKEN_REVOKE = "token-revoke"
    SUBMIT = "submit"
    CANCEL = "cancel"
    SESSION_OPEN = "session-open"
    SESSION_END = "session-end"
    SHARE = "share"
    UNSHARE = "unshare"
    DOWNLOAD = "download"
    UPLOAD = "upload"
    DELETE = "delete"
    USER = "user"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks, and what this one may do now. `token` names the token used; None with a browser's cookie."""

    user: str
    roles: frozenset[Role]
    groups: frozenset[str]
    scopes: frozenset[Scope]
    token: str | None = None
    expires: datetime | None = None

    def may(self, scope: Scope) -> bool:
        """Whether this scope is allowed."""
        return scope in self.scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLimits:
    """How much one user may have at once. Queue, sessions and uploads read these."""

    queued: int = 2_000
    executing: int = 8
    sessions: int = 4
    upload_bytes: int = 20_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user. `is_external`: logs in by the identity provider, whose `subject` this is once bound."""

    name: str
    roles: frozenset[Role]
    groups: frozenset[str]
    added: datetime
    is_external: bool = False
    subject: str = ""
    limits: UserLimits = field(default_factory=UserLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it is kept: its secret is not."""

    id: str
    user: str
    scopes: frozenset[Scope]
    label: str
    made: datetime
    expires: datetime
    used: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token just made; `text` is shown this once and kept nowhere."""

    token: Token
    text: str

    def __repr__(self) -> str:
        return f"NewToken({self.token.id}, ****)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """That somebody else may look at a thing: one user, or a group."""

    kind: Thing
    id: str
    with_user: str = ""
    with_group: str = ""

    @property
    def told(self) -> str:
        """`user NAME` or `group NAME`."""
        return f"group {self.with_group}" if self.with_group else f"user {self.with_user}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the audit log; `hash` holds it and everything before it."""

    number: int
    when: datetime
    event: Event
    user: str
    subject: str
    detail: str
    hash: str
