"""What sessions really read and run: a hook for an observer, from before a program starts until it has ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from instantiator.job.backend import Observe
from instantiator.job.spec import JobSpec
from provenance.errors import ThawError


class Observing:
    """The observations under way, of sessions whose program this process started.

    A service that is restarted meanwhile has lost them: the record then says nothing, rather than half of it.
    """

    def __init__(self, observe: Observe | None) -> None:
        self._observe = observe
        self._running: dict[str, Callable[[], Mapping[str, object]]] = {}
        self._seen: dict[str, list[Mapping[str, object]]] = {}
        self._lock = threading.Lock()

    def begin(self, container: str, job: JobSpec) -> None:
        """Observe a session's application, whose container is there and has not started."""
        if self._observe is None:
            return
        try:
            stop = self._observe(container, job)
        except ThawError as error:
            failed = {"mechanism": "none", "limits": [error.message]}
            stop = lambda: failed  # noqa: E731  # an observation that says why there is none
        with self._lock:
            self._running[job.run] = stop

    def pause(self, session: str) -> None:
        """The application has ended, and its container is about to go."""
        with self._lock:
            stop = self._running.pop(session, None)
        if stop is not None:
            self._seen.setdefault(session, []).append(stop())

    def finish(self, session: str) -> Mapping[str, object] | None:
        """What was seen; one that was started again has a list of `applications`. None where nobody looked."""
        self.pause(session)
        seen = self._seen.pop(session, [])
        if len(seen) > 1:
            return {"applications": seen}
        return seen[0] if seen else None
