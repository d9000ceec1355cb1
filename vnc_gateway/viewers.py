"""Who is connected: limits on connections, viewers counted by session, activity told to the portal now and then."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vnc_gateway.errors import GatewayError, LimitReached
from vnc_gateway.settings import Limits

log = logging.getLogger(__name__)
REPORT_EVERY_S = 10.0
Report = Callable[[str, int], Awaitable[None]]


@dataclass(slots=True)
class Places:
    """The connections held now, in all and by user."""

    limits: Limits
    total: int = 0
    users: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def take(self) -> Iterator[None]:
        """One of all places; raises `LimitReached`. Taken before a ticket is used up."""
        if self.total >= self.limits.connections:
            raise LimitReached("connections of this gateway (--max-connections)", self.limits.connections)
        self.total += 1
        try:
            yield
        finally:
            self.total -= 1

    @contextmanager
    def take_for(self, user: str) -> Iterator[None]:
        """One of a user's places; raises `LimitReached`."""
        if self.users[user] >= self.limits.connections_per_user:
            raise LimitReached("connections per user (--max-per-user)", self.limits.connections_per_user)
        self.users[user] += 1
        try:
            yield
        finally:
            self.users[user] -= 1
            self.users += Counter()  # forgets users without connections


@dataclass(slots=True)
class _Watched:
    viewers: int = 0
    reported: float = float("-inf")
    pending: asyncio.TimerHandle | None = None


class Activity:
    """Tells the portal how many watch a session, when somebody works in it; at most once per `every_s`."""

    def __init__(self, report: Report, *, every_s: float = REPORT_EVERY_S) -> None:
        self._report = report
        self._every_s = every_s
        self._sessions: dict[str, _Watched] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def count_viewers(self, session: str) -> int:
        """How many are connected to a session now."""
        watched = self._sessions.get(session)
        return watched.viewers if watched else 0

    @contextmanager
    def watch(self, session: str) -> Iterator[None]:
        """One more viewer, for as long as the block lasts."""
        self._sessions.setdefault(session, _Watched()).viewers += 1
        self.touch(session)
        try:
            yield
        finally:
            self._sessions[session].viewers -= 1
            self.touch(session)

    def touch(self, session: str) -> None:
        """Somebody worked in this session just now."""
        watched = self._sessions.get(session)
        if watched is None or watched.pending is not None:
            return
        loop = asyncio.get_running_loop()
        due = max(loop.time(), watched.reported + self._every_s)
        watched.pending = loop.call_at(due, self._send, session, watched)

    def _send(self, session: str, watched: _Watched) -> None:
        loop = asyncio.get_running_loop()
        watched.pending, watched.reported = None, loop.time()
        task = loop.create_task(self._tell(session, watched.viewers))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if not watched.viewers:
            loop.call_later(self._every_s, self._forget, session)

    def _forget(self, session: str) -> None:
        watched = self._sessions.get(session)
        if watched is not None and not watched.viewers and watched.pending is None:
            del self._sessions[session]

    async def _tell(self, session: str, viewers: int) -> None:
        try:
            await self._report(session, viewers)
        except GatewayError as error:
            log.warning("activity not reported", extra={"session": session, "error": error.code})
