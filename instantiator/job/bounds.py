"""When a job is stopped, and how its end is called. Decides; `backends/` acts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from instantiator.engine.containers import ContainerState
from instantiator.job.meter import Usage
from instantiator.job.spec import JobEnd, JobResult, Limits

GRACE_S = 3.0
_MIB = 1 << 20
_KILLED = 137
_TOO_LARGE_A_FILE = 128 + 25  # SIGXFSZ, on the architectures Thaw knows
_INIT_FAILED = re.compile(r"\[FATAL tini \(\d+\)\] exec (?P<program>.*) failed: (?P<why>.*)")
_ENGINE_FAILED = re.compile(r'exec: "(?P<program>[^"]*)": (?P<why>.*?)(?:: unknown)?$')


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why a job is ended from outside; `grace_s` is the time it has between SIGTERM and SIGKILL."""

    end: JobEnd
    message: str
    grace_s: float = 0.0


def find_stop(
    limits: Limits, *, elapsed_s: float, disk_bytes: int, log_is_full: bool, is_cancelled: bool
) -> Stop | None:
    """The reason to end a running job now, if there is one. What fills a disk gets no grace to fill more."""
    if log_is_full:
        return Stop(
            end=JobEnd.LOG_LIMIT, message=f"it printed more than the {limits.log_mb} MiB a log may hold"
        )
    if disk_bytes > limits.disk_mb * _MIB:
        return Stop(end=JobEnd.DISK_LIMIT, message=explain_disk(limits, disk_bytes))
    if is_cancelled:
        return Stop(end=JobEnd.CANCELLED, message="it was cancelled", grace_s=GRACE_S)
    if elapsed_s > limits.time_s:
        message = f"it ran longer than its time limit of {limits.time_s:g} s"
        return Stop(end=JobEnd.TIMED_OUT, message=message, grace_s=GRACE_S)
    return None


def explain_disk(limits: Limits, disk_bytes: int) -> str:
    """In words: how much was written, and how much may be."""
    return f"it wrote {disk_bytes / _MIB:.0f} MiB, more than the {limits.disk_mb} MiB of its disk limit"


def judge_end(
    limits: Limits,
    *,
    stop: Stop | None,
    state: ContainerState,
    usage: Usage,
    last_words: bytes,
    wall_s: float,
) -> JobResult:
    """How a job that is over has ended."""
    end, message = _name_end(limits, stop, state, usage, last_words)
    return JobResult(
        end=end,
        exit_status=state.exit_status if end is JobEnd.EXITED else None,
        message=message,
        wall_s=wall_s,
        cpu_s=usage.cpu_s,
        peak_memory_bytes=usage.peak_memory_bytes,
    )


def _name_end(
    limits: Limits, stop: Stop | None, state: ContainerState, usage: Usage, last_words: bytes
) -> tuple[JobEnd, str]:
    if stop is not None:
        return stop.end, stop.message
    if state.oom_killed or usage.oom_kills:
        return JobEnd.OUT_OF_MEMORY, f"it needed more than the {limits.memory_mb} MiB of its memory limit"
    if (refusal := explain_init(state, last_words)) is not None:
        return JobEnd.NOT_STARTED, refusal
    if state.exit_status == _TOO_LARGE_A_FILE:
        return JobEnd.DISK_LIMIT, f"it wrote a file larger than the {limits.disk_mb} MiB of its disk limit"
    if usage.disk_bytes > limits.disk_mb * _MIB:
        return JobEnd.DISK_LIMIT, explain_disk(limits, usage.disk_bytes)
    return JobEnd.EXITED, "" if state.exit_status == 0 else f"it ended with exit status {state.exit_status}"


def may_hide_oom(state: ContainerState, stop: Stop | None) -> bool:
    """Whether the engine's word on memory may still be on its way: killed, and nobody here did it."""
    return stop is None and state.exit_status == _KILLED and not state.oom_killed


def explain_init(state: ContainerState, last_words: bytes) -> str | None:
    """Why the container's init could not start the program; None where it could."""
    if state.exit_status not in (126, 127):
        return None
    lines = last_words.decode(errors="replace").splitlines()
    found = _INIT_FAILED.fullmatch(lines[-1]) if lines else None
    return explain_program(found["program"], found["why"]) if found else None


def explain_refusal(words: str) -> str:
    """Why the engine could not start a program, made plain where the words are known."""
    found = _ENGINE_FAILED.search(words)
    return (
        explain_program(found["program"], found["why"]) if found else f"the engine cannot start it: {words}"
    )


def explain_program(program: str, why: str) -> str:
    """One sentence on a program that did not start."""
    plain = why.strip().lower()
    if "not found" in plain or "no such file" in plain:
        return f"there is no program {program!r} in the image, or its interpreter is missing"
    if "permission" in plain:
        return f"{program!r} may not be executed: it is not an executable file"
    return f"{program!r} cannot be executed: {plain}"
