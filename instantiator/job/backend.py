"""What executes jobs: Docker on this host, later a cluster. One contract suite holds them all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from instantiator.job.spec import JobResult, JobSpec, RunId

Observe = Callable[[str, JobSpec], Callable[[], Mapping[str, object]]]
"""Begins to observe a container that has not started yet; what is given ends it and says what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A job the backend still holds. One whose owner is not alive is a leftover: nobody waits for it."""

    run: RunId
    container: str
    owner_is_alive: bool


class Backend(Protocol):
    """Executes jobs, bounded as law 4 says, and leaves nothing behind."""

    def execute(
        self,
        job: JobSpec,
        *,
        log: BinaryIO,
        cancel: threading.Event,
        on_start: Callable[[str], None] | None = None,
    ) -> JobResult:
        """Execute a job to its end, whatever that is, writing its output to `log` as it comes.

        `on_start` hears the container's ID once the program runs. Raises a `ThawError` only where nothing was
        begun: no engine, no image, a mount that may not be. Whatever is raised, nothing of the job lives on.
        """
        ...

    def running(self) -> tuple[RunningJob, ...]:
        """The jobs of this home that the backend still holds, leftovers of killed processes included."""
        ...

    def remove_leftovers(self, run: RunId) -> int:
        """Remove what a killed process left of a run; how many containers. Never touches a live owner's."""
        ...
