"""What was seen so far, by path. Bounded: a container that opens new names for ever fills no memory of ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from instantiator.observe.model import Observation, ObservedPath

MOST_PATHS = 50_000


class Tally:
    """Paths of one kind with counts and first times; beyond `most` paths only their number is kept."""

    def __init__(self, most: int = MOST_PATHS) -> None:
        self.unlisted = 0
        self._most = most
        self._seen: dict[str, list[int]] = {}
        self._first: dict[str, datetime] = {}

    def add(self, path: str, now: datetime | None, times: int = 1) -> None:
        """Count a path once more."""
        if (entry := self._seen.get(path)) is not None:
            entry[0] += times
        elif len(self._seen) < self._most:
            self._seen[path] = [times]
            if now is not None:
                self._first[path] = now
        else:
            self.unlisted += 1

    def __contains__(self, path: object) -> bool:
        return path in self._seen

    def paths(self) -> tuple[ObservedPath, ...]:
        """All of them, sorted."""
        return tuple(
            ObservedPath(path=path, times=times, first=self._first.get(path))
            for path, (times,) in sorted(self._seen.items())
        )


class Ledger:
    """The three tallies of an observation, and what an observer has to say about their limits."""

    def __init__(self, now: Callable[[], datetime], most: int = MOST_PATHS) -> None:
        self.now = now
        self._most = most
        self.read = Tally(most)
        self.written = Tally(most)
        self.programs = Tally(most)
        self.lost = 0
        self.limits: list[str] = []

    def close(self, mechanism: str) -> Observation:
        """The observation."""
        kinds = {"read": self.read, "written": self.written, "executed": self.programs}
        unlisted = tuple(
            f"{tally.unlisted} more sightings of files {kind} are not listed: only the first {self._most} paths are"
            for kind, tally in kinds.items()
            if tally.unlisted
        )
        return Observation(
            mechanism=mechanism,
            files_read=self.read.paths(),
            files_written=self.written.paths(),
            programs=self.programs.paths(),
            lost_events=self.lost,
            limits=(*self.limits, *unlisted),
        )
