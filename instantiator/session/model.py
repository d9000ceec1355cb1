"""What a session is, as values. Its truth on disk is `session.json` (`files.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NewType

from provenance.digest import Digest

SessionId = NewType("SessionId", str)

STEPS = ("image", "display", "application", "first frame")
"""The named steps of every launch, in their order."""


class SessionState(StrEnum):
    """Where a session stands."""

    LAUNCHING = "launching"
    READY = "ready"
    APPLICATION_ENDED = "application-ended"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"

    def is_over(self) -> bool:
        """Whether nothing of the session lives any more, or soon will."""
        return self in (SessionState.ENDING, SessionState.ENDED, SessionState.FAILED)

    def has_screen(self) -> bool:
        """Whether there is a display to look at."""
        return self in (SessionState.READY, SessionState.APPLICATION_ENDED)


class StepState(StrEnum):
    """Where a step of a launch stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchStep:
    """One named step of a launch: `image`, `display`, `application`, `first frame`."""

    name: str
    state: StepState = StepState.PENDING
    detail: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """How long a session may be idle, how long it may live, how long before the end it is warned."""

    idle_s: int = 3600
    absolute_s: int = 28800
    warn_s: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """What a user asks for: a GUI of a recipe, datasets by name, the name of a workspace, the screen's size."""

    user: str
    recipe: str
    gui: str | None = None
    datasets: tuple[str, ...] = ()
    workspace: str = "default"
    geometry: tuple[int, int] = (1280, 800)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One GUI of one user: all that is known of it now."""

    id: SessionId
    user: str
    recipe: str
    gui: str
    title: str
    kind: str
    state: SessionState
    created: datetime
    ready: datetime | None
    ended: datetime | None
    display: str
    workspace: str
    datasets: tuple[str, ...]
    steps: tuple[LaunchStep, ...]
    message: str
    exit_status: int | None
    log_tail: tuple[str, ...]
    limits: SessionLimits
    last_active: datetime
    expires: datetime
    rfb_socket: Path | None
    web_socket: Path | None
    record: Digest | None
    end_reason: str
