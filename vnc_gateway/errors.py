"""The one shape of every refusal of the gateway, over HTTP and as the close code of a WebSocket."""

from __future__ import annotations

from enum import IntEnum


class Close(IntEnum):
    """The close codes a page can meet on `/ws/`; the reason beside it is a sentence for the user."""

    FINISHED = 1000
    BINARY_ONLY = 1003
    TOO_BIG = 1009
    RESTARTING = 1012
    BROKEN_RFB = 4400
    TICKET_REFUSED = 4403
    IDLE = 4408
    DISPLAY_GONE = 4410
    LIMIT = 4429
    PORTAL_DOWN = 4502


class GatewayError(Exception):
    """Something the person at the browser or the one who runs the gateway can act on.

    The same shape as Thaw's own errors, which the gateway must not import. `code` is kebab-case and stable.
    """

    code = "gateway-error"
    status = 400
    close = Close.BROKEN_RFB

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.message}"]
        lines += [f"  at   {self.where}"] if self.where else []
        lines += [f"  hint {self.hint}"] if self.hint else []
        return "\n".join(lines)

    def to_json(self) -> dict[str, str]:
        """The error as data: keys `code`, `message`, `where`, `hint`."""
        return {"code": self.code, "message": self.message, "where": self.where, "hint": self.hint}


class RequestRefused(GatewayError):
    """A request that no browser following the portal's pages would send."""

    code = "request-refused"


class NotFound(GatewayError):
    """Nothing is served under this path."""

    code = "not-found"
    status = 404


class WrongHost(GatewayError):
    """The Host header names another site than the gateway serves."""

    code = "wrong-host"
    status = 421


class WrongOrigin(GatewayError):
    """A page of another site sent the request."""

    code = "wrong-origin"
    status = 403


class TicketRefused(GatewayError):
    """Unknown, used, expired, someone else's: one answer for all, so that nothing can be learnt from it."""

    code = "ticket-refused"
    status = 403
    close = Close.TICKET_REFUSED

    def __init__(self) -> None:
        super().__init__("this ticket does not open this session: reload the page to get a new one")


class LabRefused(GatewayError):
    """No lab of that session for this user; the same answer whether the session exists or not."""

    code = "lab-refused"
    status = 403

    def __init__(self) -> None:
        super().__init__("no such lab, or not yours", hint="log in at the portal, then open it from there")


class LimitReached(GatewayError):
    """One connection more than the gateway holds."""

    code = "limit-reached"
    status = 429
    close = Close.LIMIT

    def __init__(self, limit: str, value: int) -> None:
        super().__init__(f"limit reached: {limit} is {value}; close another tab and reload")


class DisplayGone(GatewayError):
    """The session's display does not answer, or no longer."""

    code = "display-gone"
    status = 502
    close = Close.DISPLAY_GONE


class PortalDown(GatewayError):
    """The portal does not answer on its socket."""

    code = "portal-down"
    status = 503
    close = Close.PORTAL_DOWN

    def __init__(self) -> None:
        super().__init__(
            "the portal does not answer at the moment: it may be restarting", hint="wait a moment"
        )


class LabDown(GatewayError):
    """The web lab does not answer on its socket."""

    code = "lab-down"
    status = 502


class RfbRefused(GatewayError):
    """A client message that is no RFB, or that a view-only viewer may not send."""

    code = "rfb-refused"


class SettingsRefused(GatewayError):
    """The gateway cannot start with these options."""

    code = "settings-refused"


class NovncMissing(GatewayError):
    """noVNC cannot be installed, or is not the release the lock names."""

    code = "novnc-missing"
