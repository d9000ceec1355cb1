"""A backend that has every job traced by another backend: the same container, the tracer mounted beside its image."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from instantiator.job.backend import Backend, RunningJob
from instantiator.job.spec import JobResult, JobSpec, Limits, Mount, RunId
from instantiator.trace.tree import INSIDE, TREE, tracer_command

TRACE = "/thaw/trace"
BUNDLE = "run.rpz"
LIMITS = (
    "the tracer runs as the same user as the program: a program that means to could forge what is told here",
    "packing counts as time and memory of the run; the limits of a traced run are wider than the recipe's",
    "not seen: programs with more rights than the run's own, what was done through memory shared with others",
)
_SLOWER = 30
_MORE_MB = 1024
_MORE_DISK_MB = 16 * 1024
_MORE_PROCESSES = 8


class TracingBackend:
    """Executes one job, traced. `folder` is an empty folder that gets the trace and the bundle."""

    def __init__(self, inner: Backend, *, tree: Path, folder: Path) -> None:
        self._inner = inner
        self._tree = tree
        self._folder = folder

    @property
    def bundle(self) -> Path:
        """The packed run; missing where packing failed or the run was cut off."""
        return self._folder / BUNDLE

    def execute(
        self,
        job: JobSpec,
        *,
        log: BinaryIO,
        cancel: threading.Event,
        on_start: Callable[[str], None] | None = None,
    ) -> JobResult:
        """Execute a job as `Backend.execute` promises; what was observed comes from the trace."""
        traced = trace_job(job, tree=self._tree, folder=self._folder)
        result = self._inner.execute(traced, log=log, cancel=cancel, on_start=on_start)
        return replace(result, observed=read_observed(self._folder))

    def running(self) -> tuple[RunningJob, ...]:
        """The jobs the other backend holds."""
        return self._inner.running()

    def remove_leftovers(self, run: RunId) -> int:
        """Remove what a killed process left of a run."""
        return self._inner.remove_leftovers(run)


def trace_job(job: JobSpec, *, tree: Path, folder: Path) -> JobSpec:
    """The job that does the same, traced: the tracer's tree to read, a folder to leave the trace in, more room."""
    return replace(
        job,
        command=tracer_command(TRACE, job.command),
        mounts=(
            *job.mounts,
            Mount(source=tree, target=TREE),
            Mount(source=INSIDE, target=f"{TREE}/inside.py"),
            Mount(source=folder, target=TRACE, read_only=False),
        ),
        limits=_widen(job.limits),
    )


def _widen(limits: Limits) -> Limits:
    return replace(
        limits,
        time_s=limits.time_s * _SLOWER,
        memory_mb=limits.memory_mb + _MORE_MB,
        disk_mb=limits.disk_mb + _MORE_DISK_MB,
        processes=limits.processes + _MORE_PROCESSES,
    )


def read_observed(folder: Path) -> Mapping[str, object]:
    """What the trace says was read, written and executed. It was written in the container: nothing is trusted."""
    try:
        seen = json.loads((folder / "observed.json").read_bytes())
        told = {
            key: [_entry(item) for item in seen[key]] for key in ("files_read", "files_written", "programs")
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {
            "mechanism": "none",
            "limits": ["nothing was observed: the run was cut off before its trace ended"],
        }
    why = "reprozip: the run was traced, every system call that opens or executes a file"
    return {"mechanism": "reprozip", **told, "lost_events": 0, "limits": list(LIMITS), "why": why}


def _entry(item: Mapping[str, object]) -> dict[str, object]:
    return {"path": str(item["path"]), "times": int(str(item["times"])), "first": None}
