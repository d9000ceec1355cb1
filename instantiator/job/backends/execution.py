"""One job in one container: started, its output copied, kept in its bounds, judged."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from instantiator.engine import EngineRefused, EngineUnreachable
from instantiator.engine.containers import (
    ContainerMissing,
    ContainerState,
    Demultiplexer,
    attach_container,
    inspect_container,
    kill_container,
    measure_written_bytes,
    start_container,
    wait_for_container,
)
from instantiator.engine.wire import Stream, Wire, parse_answer
from instantiator.job.bounds import Stop, explain_refusal, find_stop, judge_end, may_hide_oom
from instantiator.job.meter import FolderClosed, Meter, measure_folder
from instantiator.job.spec import JobEnd, JobResult, JobSpec

_TICK_S = 0.05
_DEATH_PATIENCE_S = 20.0
_LAST_WORDS = 2048
_MIB = 1 << 20


class Execution:
    """One job in its container, from the attached output to the result."""

    def __init__(
        self, wire: Wire, container: str, job: JobSpec, log: BinaryIO, cancel: threading.Event
    ) -> None:
        self._wire = wire
        self._container = container
        self._job = job
        self._log = log
        self._cancel = cancel
        self._meter = Meter(container, self._measure_disk)
        self._stop: Stop | None = None
        self._stopped_at = 0.0
        self._kill_is_due = False
        self._began = 0.0
        self._room = job.limits.log_mb * _MIB
        self._log_is_full = False
        self._closed_folder = ""
        self._last_words = b""

    def run(self, on_start: Callable[[str], None] | None) -> JobResult:
        """Start the program, copy its output, keep it in bounds, say how it ended."""
        output = attach_container(self._wire, self._container)
        try:
            self._start(on_start)
            self._copy_output(output)
            self._wait_for_end()
            return self._judge()
        except NotStarted as failure:
            return self._end_early(JobEnd.NOT_STARTED, str(failure))
        except (EngineUnreachable, ContainerMissing) as failure:
            return self._end_early(JobEnd.ENGINE_LOST, f"the engine lost it: {failure.message}")
        finally:
            output.close()
            self._meter.stop()

    def _start(self, on_start: Callable[[str], None] | None) -> None:
        self._meter.start()
        self._began = time.monotonic()
        try:
            start_container(self._wire, self._container)
        except EngineRefused as refusal:
            raise NotStarted(explain_refusal(refusal.message)) from refusal
        self._began = time.monotonic()
        if self._meter.usage.cpu_s is None:
            self._meter.look_at_process(inspect_container(self._wire, self._container).pid)
        if on_start is not None:
            on_start(self._container)

    def _copy_output(self, output: Stream) -> None:
        frames = Demultiplexer()
        while received := self._read_in_bounds(output):
            self._write_log(frames.feed(received))

    def _wait_for_end(self) -> None:
        """A program may close its output and live on: the end is the engine's to tell."""
        ending, answer = wait_for_container(self._wire, self._container), b""
        try:
            while received := self._read_in_bounds(ending):
                answer += received
        finally:
            ending.close()
        try:
            parse_answer(answer).json()
        except ValueError as error:
            raise EngineUnreachable("it stopped answering while the job ran") from error

    def _read_in_bounds(self, stream: Stream) -> bytes:
        """The next bytes of a stream; while there are none, and now and then, the bounds are enforced."""
        self._enforce_bounds()
        if not stream.early:
            ready = select.poll()
            ready.register(stream, select.POLLIN)
            while not ready.poll(_TICK_S * 1000):
                self._enforce_bounds()
        return stream.read()

    def _enforce_bounds(self) -> None:
        now = time.monotonic()
        if self._stop is None:
            self._stop = self._find_stop(now)
            if self._stop is None:
                return
            self._stopped_at, self._kill_is_due = now, True
            if self._stop.grace_s:
                self._send("SIGTERM")
        waited = now - self._stopped_at - self._stop.grace_s
        if self._kill_is_due and waited >= 0:
            self._send("SIGKILL")
            self._kill_is_due = False
        if waited > _DEATH_PATIENCE_S:
            raise EngineUnreachable(f"it has not ended the program {_DEATH_PATIENCE_S:.0f} s after a kill")

    def _send(self, signal: str) -> None:
        """Send a signal and go on copying output: the engine answers once that is read to its end."""
        threading.Thread(target=self._kill, args=(signal,), name=f"kill-{signal}", daemon=True).start()

    def _kill(self, signal: str) -> None:
        with suppress(EngineRefused, EngineUnreachable):  # without effect it is found out by impatience
            kill_container(self._wire, self._container, signal)

    def _find_stop(self, now: float) -> Stop | None:
        if self._closed_folder:
            message = f"it closed the folder {self._closed_folder}, so its disk limit could not be watched"
            return Stop(end=JobEnd.DISK_LIMIT, message=message)
        return find_stop(
            self._job.limits,
            elapsed_s=now - self._began,
            disk_bytes=self._meter.usage.disk_bytes,
            log_is_full=self._log_is_full,
            is_cancelled=self._cancel.is_set(),
        )

    def _write_log(self, output: bytes) -> None:
        self._log.write(output[: self._room])
        self._log.flush()
        self._log_is_full = self._log_is_full or len(output) > self._room
        self._room -= min(self._room, len(output))
        self._last_words = (self._last_words + output)[-_LAST_WORDS:]

    def _measure_disk(self) -> int:
        try:
            used = sum(measure_folder(mount.source) for mount in self._job.mounts if not mount.read_only)
        except FolderClosed as closed:
            self._closed_folder = str(closed)
            return 0
        return used + (self._measure_root() if self._job.writable_root else 0)

    def _measure_root(self) -> int:
        try:
            return measure_written_bytes(self._wire, self._container)
        except (EngineRefused, EngineUnreachable):  # it ends, or the engine does: the main thread finds out
            return 0

    def _judge(self) -> JobResult:
        usage = self._meter.stop()
        state = self._settled_state()
        return judge_end(
            self._job.limits,
            stop=self._stop,
            state=state,
            usage=usage,
            last_words=self._last_words,
            wall_s=self._lifetime(state),
        )

    def _settled_state(self) -> ContainerState:
        """The state at the end. The engine hears of memory kills and of ends by two ways: one may be late."""
        state = inspect_container(self._wire, self._container)
        for _ in range(5):
            if not may_hide_oom(state, self._stop) or self._meter.usage.oom_kills:
                break
            time.sleep(_TICK_S)
            state = inspect_container(self._wire, self._container)
        return state

    def _lifetime(self, state: ContainerState) -> float:
        if state.started is None or state.finished is None:
            return time.monotonic() - self._began
        return (state.finished - state.started).total_seconds()

    def _end_early(self, end: JobEnd, message: str) -> JobResult:
        wall_s = 0.0 if end is JobEnd.NOT_STARTED else time.monotonic() - self._began
        usage = self._meter.usage
        return JobResult(
            end=end,
            exit_status=None,
            message=message,
            wall_s=wall_s,
            cpu_s=usage.cpu_s,
            peak_memory_bytes=usage.peak_memory_bytes,
        )


class NotStarted(Exception):
    """The engine would not start the program; the text says why."""
