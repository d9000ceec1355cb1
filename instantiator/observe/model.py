"""What is observed and what an observation says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from provenance.errors import ThawError
from provenance.record import format_time


class ObservationFailed(ThawError):
    """The kernel refuses what an observer needs."""

    code = "observation-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedContainer:
    """A container to be observed: `mounts` are its bind mounts, the path of this host to that in the container.

    `pid` is that of its first process; 0 where it has not started yet, which is when to begin: nothing is missed
    then. `root` is where the engine will mount its root file system on this host, None where that is not known.
    `writable` are those of the host's paths of `mounts` that it may write to.
    """

    container_id: str
    pid: int = 0
    mounts: Mapping[Path, str] = field(default_factory=dict)
    root: Path | None = None
    writable: frozenset[Path] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPath:
    """A path in the container's view; how often it was seen at least, and when first. Times of the reader."""

    path: str
    times: int = 1
    first: datetime | None = None

    def to_json(self) -> dict[str, object]:
        """As it stands in a record. Bytes that are no UTF-8 are written as `\\xNN`."""
        text = os.fsencode(self.path).decode("utf-8", "backslashreplace")
        return {"path": text, "times": self.times, "first": format_time(self.first) if self.first else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen, sorted by path. `lost_events` above 0 means at least so many times something was missed."""

    mechanism: str
    files_read: tuple[ObservedPath, ...] = ()
    files_written: tuple[ObservedPath, ...] = ()
    programs: tuple[ObservedPath, ...] = ()
    lost_events: int = 0
    limits: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """What a record keeps under `observed`."""
        return {
            "mechanism": self.mechanism,
            "files_read": [seen.to_json() for seen in self.files_read],
            "files_written": [seen.to_json() for seen in self.files_written],
            "programs": [seen.to_json() for seen in self.programs],
            "lost_events": self.lost_events,
            "limits": list(self.limits),
        }


class Observer(Protocol):
    """Observes one container, once."""

    def start(self, target: ObservedContainer) -> None:
        """Begin; returns at once. Best called between the container's making and its start."""
        ...

    def stop(self) -> Observation:
        """End, and say what was seen. To be called before the container is removed; never raises for its end."""
        ...
