"""What the store keeps of runs that wait their turn, as values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from provenance.record import RunState
from provenance.store.rows import Owner, RunRow


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """What was asked of a service with a run, beside what is in its row and draft.

    `is_safe`: it may be executed again where its worker died. `content` is the digest of all that was asked.
    `cancelled` is the reason, once somebody wants its end. `notes` says what became of failed attempts.
    `to_judge`: it repeats another run and waits for its verdict. `user` is empty for the service itself.
    """

    run: str
    user: str
    priority: int
    time_limit_s: int
    cpus: float
    memory_mb: int
    is_safe: bool
    is_fresh: bool
    label: str = ""
    idempotency_key: str = ""
    content: str = ""
    destruction: datetime | None = None
    destroyed: bool = False
    cancelled: str | None = None
    attempts: int = 0
    notes: str = ""
    to_judge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRow:
    """A run with its entry in the queue; a run that never was in one has none."""

    run: RunRow
    entry: QueueEntry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How many runs wait: in all, and of one user."""

    together: int
    of_user: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsAsked:
    """Which runs a list shows; what is None or empty asks for nothing. `below` is where a page begins.

    None among the `users` stands for the runs that are nobody's.
    """

    users: Sequence[str | None] = ()
    states: Collection[RunState] = ()
    recipe: str | None = None
    thread: str | None = None
    after: datetime | None = None
    below: tuple[str, str] | None = None
    """Time of submission, as text, and id of the last run of the page before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claiming:
    """A worker asks for work: who it is, what it executes already, how much all workers may execute."""

    owner: Owner
    active: Collection[str]
    is_alive: Callable[[Owner], bool]
    now: datetime
    leased_until: datetime
    cpus: float
    memory_mb: int
    may_execute: Callable[[str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A worker process: since when it works, and when it last said so."""

    owner: Owner
    started: datetime
    beat: datetime
