"""What a backend is asked to execute. A JobSpec is complete: nothing has to be looked up on this host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from instantiator.engine.values import ImageDigest as ImageDigest
from instantiator.engine.values import Mount as Mount

RunId = NewType("RunId", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one job. MiB are 1024 * 1024 bytes; `disk_mb` bounds what the writable mounts may hold."""

    memory_mb: int
    cpus: float
    processes: int
    disk_mb: int
    log_mb: int
    time_s: float

    @classmethod
    def of_record(cls, limits: Mapping[str, float]) -> Limits:
        """The bounds as a record keeps them, by the same names."""
        return cls(
            memory_mb=int(limits["memory_mb"]),
            cpus=limits["cpus"],
            processes=int(limits["processes"]),
            disk_mb=int(limits["disk_mb"]),
            log_mb=int(limits["log_mb"]),
            time_s=limits["time_s"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """Everything a backend needs, and nothing it has to look up.

    `image_layers` are the digests of the image's layers: an engine that does not name images by `image` finds
    it by `image_name`, and these prove that it is the right one.
    """

    run: RunId
    image: ImageDigest
    image_name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    limits: Limits
    working_dir: str = "/work"
    uid: int = 64000
    network: bool = False
    writable_root: bool = False
    capabilities: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    image_layers: tuple[str, ...] = ()


class JobEnd(StrEnum):
    """How a job ended. Only EXITED has an exit status chosen by the program."""

    EXITED = "exited"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"
    OUT_OF_MEMORY = "out-of-memory"
    DISK_LIMIT = "disk-limit"
    LOG_LIMIT = "log-limit"
    NOT_STARTED = "not-started"
    ENGINE_LOST = "engine-lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What became of a job. Times are seconds; `message` says why in words where it did not exit by itself.

    `observed` is what it read, wrote and executed, where the backend looked.
    """

    end: JobEnd
    exit_status: int | None
    message: str
    wall_s: float
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None
    observed: Mapping[str, object] | None = None
