"""What can go wrong with users and tokens, each with its code."""

from __future__ import annotations

from provenance.errors import ThawError


class ScopeMissing(ThawError):
    """Who asks is known, and may not do this: which scope is missing is said."""

    code = "scope-missing"


class TokenRefused(ThawError):
    """The request carries a token that is unknown, revoked, or whose user is gone: which one is not said."""

    code = "token-refused"


class TokenExpired(ThawError):
    """The token was good once; what was begun with it goes on."""

    code = "token-expired"


class UserUnknown(ThawError):
    """There is no such user, group, role, scope or token."""

    code = "user-unknown"


class UserRefused(ThawError):
    """A user, group, token or share cannot be made like this."""

    code = "user-refused"


class LoginRefused(ThawError):
    """A login by the identity provider did not go as begun; nobody was logged in."""

    code = "login-refused"
