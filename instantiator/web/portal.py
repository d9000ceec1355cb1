"""What the portal works with: the bench of the commands, the sessions, and who may do what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from anyio import CapacityLimiter

from instantiator.operate.gate import Gate
from instantiator.operate.health import Readiness
from instantiator.operate.metrics import Meters
from instantiator.queue.bench import QueueBench
from instantiator.queue.queue import Queue
from instantiator.session.model import OpenSession, Session, SessionId
from instantiator.session.tickets import Tickets
from instantiator.users import Users
from instantiator.web.oidc import Provider
from instantiator.web.taken import Taken
from instantiator.web.verified import Verified
from instantiator.web.work import Works
from provenance.errors import ThawError

if TYPE_CHECKING:
    pass


class NotFound(ThawError):
    """There is no such thing, or it is somebody else's: both answer the same."""

    code = "not-found"


Bench = QueueBench
"""The bench of the commands (instantiator.commands.common), as far as the portal needs it."""


class Sessions(Protocol):
    """What the portal asks of instantiator.session.sessions.Sessions."""

    def open(self, asked: OpenSession, /) -> Session:
        """Begin a session; returns at once."""

    def get(self, session: SessionId, /) -> Session:
        """One session; raises `session-unknown`."""

    def list(self, user: str | None = None) -> tuple[Session, ...]:
        """The sessions of a user."""

    def touch(self, session: SessionId, /) -> object:
        """Somebody is looking."""

    def extend(self, session: SessionId, /) -> object:
        """Put the end off."""

    def restart_application(self, session: SessionId, /) -> object:
        """Start the program again on the same display."""

    def end(self, session: SessionId, reason: str, /) -> Session:
        """End it: its files are kept, its record is written."""

    def read_log(self, session: SessionId, /) -> tuple[tuple[str, str], ...]:
        """What its display and its program last printed, each line with who says it."""

    def own(self, session: SessionId, path: Path, /) -> object:
        """A file put into the workspace becomes the session's own."""

    def workspace_dir(self, session: SessionId, /) -> Path:
        """The session's files on this host."""


def now_utc() -> datetime:
    """The clock of the portal."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """One portal: everything its pages need, handed in by `thaw serve` or a test."""

    bench: Bench
    sessions: Sessions
    tickets: Tickets
    users: Users
    queue: Queue
    user: str
    provider: Provider | None = None
    works: Works = field(default_factory=Works)
    verified: Verified = field(default_factory=Verified)
    taken: Taken = field(default_factory=Taken)
    packing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    gate: Gate = field(default_factory=Gate)
    meters: Meters = field(default_factory=Meters)
    readiness: Readiness = field(default_factory=Readiness)
    clock: Callable[[], datetime] = now_utc
    cookie_name: str = "thaw"
    gateway_gid: int | None = None
    upload_limit: int = 20 * 1024**3
    dataset_folders: tuple[Path, ...] = ()

    def session_of(self, user: str, session: str) -> Session:
        """A session of this user; raises `NotFound` for an unknown one and for another's alike."""
        try:
            found = self.sessions.get(SessionId(session))
        except ThawError as error:
            raise _no_session() from error
        if found.user != user:
            raise _no_session()
        return found


def _no_session() -> NotFound:
    return NotFound("there is no session of yours with this name", hint="your sessions are listed: /sessions")
