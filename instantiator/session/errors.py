"""What can go wrong with a session, in words a user can act on."""

from __future__ import annotations

from provenance.errors import ThawError


class SessionUnknown(ThawError):
    """There is no such session, or it is somebody else's: the two are not told apart."""

    code = "session-unknown"


class SessionLimit(ThawError):
    """A user, or this Thaw, has as many sessions as allowed."""

    code = "session-limit"


class SessionRefused(ThawError):
    """What was asked for cannot be opened: no such GUI, no possible name."""

    code = "session-refused"


class SessionStateWrong(ThawError):
    """The session is in a state in which that cannot be done."""

    code = "session-state"


class LaunchFailed(ThawError):
    """A step of a launch failed."""

    code = "launch-failed"


def unknown_session(session: str) -> SessionUnknown:
    """The one answer for no such session and for somebody else's."""
    return SessionUnknown(
        f"there is no session {session!r} of yours", hint="see which there are: thaw sessions"
    )
