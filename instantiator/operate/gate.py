"""The gate of a service that is ending: what is under way may go on, nothing new is begun."""

from __future__ import annotations

import re
import threading

from provenance.errors import ThawError

RETRY_S = 30
"""What a client that is refused is told to wait."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_GOES_ON = re.compile(
    r"/internal/.*|/logout|/login/.*"
    r"|/api/watch/[^/]+/ticket|/api/work/.*"
    r"|/api/(v1/)?sessions/[^/]+(/.*)?|/sessions/[^/]+/.*"
    r"|/api/v1/runs/[^/]+(/cancel)?|/api/v1/uploads/[^/]+/.*"
)
_BEGINS_BY_GET = re.compile(r"/uws/(.*/)?sync")
_ENDS_A_JOB = frozenset({"DELETE"})


class ServiceEnding(ThawError):
    """The service is being stopped and takes no new work."""

    code = "service-ending"


class Gate:
    """Open until the service is told to end."""

    def __init__(self) -> None:
        self._closed = threading.Event()
        self._ended = threading.Event()

    @property
    def is_closed(self) -> bool:
        """Whether nothing new is begun any more."""
        return self._closed.is_set()

    def close(self) -> None:
        """Take nothing new from now on."""
        self._closed.set()

    @property
    def is_ended(self) -> bool:
        """Whether what was under way had its time: an answer that waits for more says how things stand."""
        return self._ended.is_set()

    def end(self) -> None:
        """Wait for nothing any more, from now on."""
        self._closed.set()
        self._ended.set()

    def check(self, method: str, path: str) -> None:
        """Raise `ServiceEnding` for a request that would begin something, once the gate is closed."""
        if self.is_closed and begins_something(method, path):
            raise ServiceEnding(
                "the service is being stopped: it takes nothing new",
                hint=f"send it again in {RETRY_S} s; runs and sessions under way are not lost",
            )


def begins_something(method: str, path: str) -> bool:
    """Whether a request is refused by a service that ends: every write but those that look after what lives."""
    if method in _SAFE:
        return _BEGINS_BY_GET.fullmatch(path) is not None
    return method not in _ENDS_A_JOB and _GOES_ON.fullmatch(path) is None
