"""Ask, and ask again where that is safe: what every other flow is made of."""

from __future__ import annotations

from instantiator.client.actions import Flow, Pause, Reply, Request
from instantiator.client.errors import RemoteError, ServiceUnreachable
from instantiator.client.models import read_json
from provenance.errors import ThawError

ROOT = "/api/v1"
PAUSES = (0.3, 1.0, 2.0, 4.0)
"""How long to wait before each further attempt."""
LONGEST_PAUSE_S = 30.0
AWAY = frozenset({502, 503, 504})
"""What answers for a service that is being started again."""


def get(path: str, *query: tuple[str, str]) -> Request:
    """A request that only looks."""
    return Request(method="GET", path=ROOT + path, query=query)


def ask(request: Request) -> Flow[Reply]:
    """The answer of a request; raises `RemoteError` where the service refuses.

    A request that may be sent twice is sent again where the connection broke or the service is away; any other
    only where it was never sent.
    """
    for pause in (*PAUSES, None):
        wait: float | None
        try:
            reply: Reply = yield request
        except ServiceUnreachable as error:
            if pause is None or (error.was_sent and not request.repeatable):
                raise
            wait = pause
        else:
            wait = away_for(reply, pause) if request.repeatable else None
            if wait is None:
                return accepted(reply)
        yield Pause(wait)
    raise AssertionError("the last attempt returns or raises")


def away_for(reply: Reply, pause: float | None) -> float | None:
    """How long to wait for a service that is away before it is asked again; None: not at all."""
    if reply.status not in AWAY or pause is None:
        return None
    told = reply.headers.get("retry-after", "")
    return min(max(pause, float(told)), LONGEST_PAUSE_S) if told.isdigit() else pause


def accepted(reply: Reply) -> Reply:
    """The reply, where the service agreed; raises `RemoteError` with what it says otherwise."""
    if reply.status < 300:
        return reply
    raise error_of(reply)


def error_of(reply: Reply) -> RemoteError:
    """A refusal as the service words it (RFC 9457), or what its status says."""
    try:
        value = read_json(reply.content)
    except ThawError:
        value = {}
    return error_from(value, reply.status, reply.path)


def error_from(value: object, status: int, where: str) -> RemoteError:
    """A problem as an error."""
    told = value if isinstance(value, dict) else {}
    code = str(told.get("code") or f"http-{status}")
    mistakes = [item for item in told.get("mistakes") or () if isinstance(item, dict)]
    return RemoteError(
        str(told.get("detail") or f"the service answered with status {status}"),
        code=code,
        status=status,
        where=where,
        hint=_hint(code, str(told.get("hint") or "")),
        mistakes=tuple((str(item.get("at", "")), str(item.get("detail", ""))) for item in mistakes),
    )


def _hint(code: str, told: str) -> str:
    if code in ("token-expired", "token-refused", "not-logged-in"):
        return f"{told}; then: thaw login URL" if told else "make a token, then: thaw login URL"
    return told or "is this the address of a Thaw? its log says more"
