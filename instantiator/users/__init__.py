"""Who may do what: users, roles, groups, tokens, shares, limits, and an account of it that only grows.

One file, `<home>/users.sqlite`. The user who runs `thaw serve` needs no entry in it: that one is the operator.
"""

from instantiator.users.errors import (
    LoginRefused,
    ScopeMissing,
    TokenExpired,
    TokenRefused,
    UserRefused,
    UserUnknown,
)
from instantiator.users.model import (
    EVERYONE,
    AuditEntry,
    Event,
    NewToken,
    Person,
    Principal,
    Role,
    Scope,
    Share,
    Thing,
    Token,
    UserLimits,
    scopes_of,
)
from instantiator.users.users import Users

__all__ = [
    "EVERYONE",
    "AuditEntry",
    "Event",
    "LoginRefused",
    "NewToken",
    "Person",
    "Principal",
    "Role",
    "Scope",
    "ScopeMissing",
    "Share",
    "Thing",
    "Token",
    "TokenExpired",
    "TokenRefused",
    "UserLimits",
    "UserRefused",
    "UserUnknown",
    "Users",
    "scopes_of",
]
