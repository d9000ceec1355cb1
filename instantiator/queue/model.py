"""What a queue is asked and what it answers, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from instantiator.job.spec import RunId
from provenance.digest import Digest
from provenance.record import RunState


class Phase(StrEnum):
    """Where a run stands, in the words of IVOA's UWS."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    ABORTED = "ABORTED"

    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in (Phase.COMPLETED, Phase.ERROR, Phase.ABORTED)


_PHASES = {
    RunState.PENDING: Phase.PENDING,
    RunState.QUEUED: Phase.QUEUED,
    RunState.EXECUTING: Phase.EXECUTING,
    RunState.COMPLETED: Phase.COMPLETED,
    RunState.CANCELLED: Phase.ABORTED,
    RunState.TIMED_OUT: Phase.ABORTED,
}


def phase_of(state: RunState) -> Phase:
    """The phase of a state. A run over its time limit is aborted, as UWS has it; other ends are errors."""
    return _PHASES.get(state, Phase.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One run asked for. Datasets are names, never paths; a time limit may lower the thread's, not raise it.

    With `start=False` it stays pending until it is started; `fresh` wants an execution, never an answer from
    the record. The same user's same `idempotency_key` gives the same run.
    """

    user: str
    recipe: str
    thread: str
    datasets: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    start: bool = True
    priority: int = 0
    fresh: bool = False
    time_limit_s: int | None = None
    destruction: datetime | None = None
    idempotency_key: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRun:
    """A run as its user sees it, from submission to record; runs that were never queued are shown alike.

    `position` is how many wait before it, plus one; only `Queue.get` and what returns one run fill it in.
    `user` is empty where nobody is known to have asked. `message` names failed attempts too.
    """

    id: RunId
    user: str
    recipe: str
    thread: str
    parameters: Mapping[str, object]
    inputs: Mapping[str, str]
    state: RunState
    submitted: datetime
    started: datetime | None
    ended: datetime | None
    record: Digest | None
    exit_status: int | None
    message: str
    priority: int
    position: int | None
    time_limit_s: int
    destruction: datetime | None
    label: str
    attempts: int
    answered_from: str | None
    kind: str
    repeats: str | None

    @property
    def phase(self) -> Phase:
        """Its phase in the words of UWS."""
        return phase_of(self.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some runs, newest first; `next` is the cursor of the page after, None where there is none."""

    runs: tuple[QueuedRun, ...]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a run, numbered from 1.

    `name` is `state` (data: state, message, attempt), `step` (step, status begun|done|failed, detail, seconds)
    or `log` (size: bytes there are to read).
    """

    number: int
    when: datetime
    name: str
    data: Mapping[str, object]


class Share(Protocol):
    """How many runs of one user may wait, and how many may execute at a time."""

    @property
    def queued(self) -> int:
        """How many may wait."""

    @property
    def executing(self) -> int:
        """How many may execute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How many runs may wait, and how many of one user may execute at a time. Settings give them."""

    queued_together: int = 10_000
    queued_per_user: int = 2_000
    executing_per_user: int = 64
    reexecuted_percent: float = 1.0
    """The share of answers from the record that are executed again in silence, and judged."""
    shares: Callable[[str], Share] | None = None
    """What one user may have, where that is less than everybody may."""

    def queued_of(self, user: str) -> int:
        """How many runs of this user may wait."""
        return min(self.queued_per_user, self.shares(user).queued if self.shares else self.queued_per_user)

    def executing_of(self, user: str) -> int:
        """How many runs of this user may execute at a time."""
        most = self.executing_per_user
        return min(most, self.shares(user).executing if self.shares else most)
