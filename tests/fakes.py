"""Fakes that keep the contracts of the real thing, without an engine and without waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from instantiator.engine.containers import ContainerState
from instantiator.job.backend import RunningJob
from instantiator.job.bounds import Stop, explain_program, find_stop, judge_end
from instantiator.job.meter import Usage, measure_folder
from instantiator.job.spec import JobEnd, JobResult, JobSpec, RunId

_MIB = 1 << 20


class FakeProcess:
    """What a fake program may do: print, write, wait, take memory. Its clock is its own: no test waits."""

    def __init__(self, job: JobSpec, log: BinaryIO, cancel: threading.Event) -> None:
        self.job = job
        self.elapsed_s = 0.0
        self.memory_bytes = 0
        self._log = log
        self._cancel = cancel
        self._room = job.limits.log_mb * _MIB

    def print(self, text: str) -> None:
        """Write to standard output or error: both end in the log."""
        output = text.encode()
        self._log.write(output[: self._room])
        is_full, self._room = len(output) > self._room, max(0, self._room - len(output))
        self._check(log_is_full=is_full)

    def write(self, path: str, content: bytes) -> bool:
        """Write a file at a path of the container; False where that is read-only or no mount."""
        for mount in self.job.mounts:
            if path.startswith(f"{mount.target}/"):
                if mount.read_only:
                    return False
                file = mount.source / path.removeprefix(f"{mount.target}/")
                file.write_bytes(content)
                self._check()
                return True
        return False

    def wait(self, seconds: float) -> None:
        """Let time pass, unless the job is stopped first."""
        self.elapsed_s += seconds
        self._check()

    def take_memory(self, size: int) -> None:
        """Fill memory; the kernel kills what takes more than its limit."""
        self.memory_bytes += size
        if self.memory_bytes > self.job.limits.memory_mb * _MIB:
            raise _Killed(None)

    def measure_disk(self) -> int:
        """The bytes in the writable mounts."""
        return sum(measure_folder(mount.source) for mount in self.job.mounts if not mount.read_only)

    def _check(self, *, log_is_full: bool = False) -> None:
        stop = find_stop(
            self.job.limits,
            elapsed_s=self.elapsed_s,
            disk_bytes=self.measure_disk(),
            log_is_full=log_is_full,
            is_cancelled=self._cancel.is_set(),
        )
        if stop is not None:
            raise _Killed(stop)


FakeProgram = Callable[[FakeProcess], int]


class _Killed(Exception):
    """A fake program is ended from outside: by a bound, or without a `stop` by the kernel, for its memory."""

    def __init__(self, stop: Stop | None) -> None:
        super().__init__()
        self.stop = stop


class FakeBackend:
    """Executes jobs whose last argument names one of `programs`; may hold a killed process's `leftovers`."""

    def __init__(self, programs: Mapping[str, FakeProgram], *, leftovers: tuple[RunId, ...] = ()) -> None:
        self._programs = dict(programs)
        self._leftovers = list(leftovers)
        self._running: dict[str, RunId] = {}
        self.executed: list[JobSpec] = []

    def execute(
        self,
        job: JobSpec,
        *,
        log: BinaryIO,
        cancel: threading.Event,
        on_start: Callable[[str], None] | None = None,
    ) -> JobResult:
        """Execute a job as `Backend.execute` promises."""
        self.executed.append(job)
        program = self._programs.get(job.command[-1])
        if program is None:
            message = explain_program(job.command[0], "no such file")
            return JobResult(end=JobEnd.NOT_STARTED, exit_status=None, message=message, wall_s=0.0)
        container = f"fake-{len(self.executed)}"
        self._running[container] = job.run
        try:
            if on_start is not None:
                on_start(container)
            return _judge(FakeProcess(job, log, cancel), program)
        finally:
            del self._running[container]

    def running(self) -> tuple[RunningJob, ...]:
        """The jobs that execute now, and the leftovers."""
        alive = [
            RunningJob(run=run, container=container, owner_is_alive=True)
            for container, run in self._running.items()
        ]
        dead = [
            RunningJob(run=run, container=f"leftover-{run}", owner_is_alive=False) for run in self._leftovers
        ]
        return tuple(sorted([*alive, *dead], key=lambda job: (job.run, job.container)))

    def remove_leftovers(self, run: RunId) -> int:
        """Forget the leftovers of a run; how many."""
        count = self._leftovers.count(run)
        self._leftovers = [leftover for leftover in self._leftovers if leftover != run]
        return count


def _judge(process: FakeProcess, program: FakeProgram) -> JobResult:
    stop, status, oom_killed = None, 137, False
    try:
        status = program(process)
    except _Killed as killed:
        stop, oom_killed = killed.stop, killed.stop is None
    usage = Usage(
        cpu_s=0.01,
        peak_memory_bytes=process.memory_bytes or 1,
        oom_kills=int(oom_killed),
        disk_bytes=process.measure_disk(),
    )
    state = ContainerState(
        is_running=False,
        pid=0,
        exit_status=status,
        oom_killed=oom_killed,
        error="",
        started=None,
        finished=None,
    )
    return judge_end(
        process.job.limits, stop=stop, state=state, usage=usage, last_words=b"", wall_s=process.elapsed_s
    )


def program_writing(files: Mapping[str, bytes], *, output: str = "", exit_status: int = 0) -> FakeProgram:
    """A program that writes files (path in the container: content), prints, and ends."""

    def run(process: FakeProcess) -> int:
        for path, content in files.items():
            _make_folder_of(process, path)
            process.write(path, content)
        process.print(output)
        return exit_status

    return run


def _make_folder_of(process: FakeProcess, path: str) -> None:
    for mount in process.job.mounts:
        if path.startswith(f"{mount.target}/") and not mount.read_only:
            Path(mount.source, path.removeprefix(f"{mount.target}/")).parent.mkdir(
                parents=True, exist_ok=True
            )
