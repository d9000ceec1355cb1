"""When a job is stopped and how its end is called, decided without an engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instantiator.engine.containers import ContainerState
from instantiator.job.bounds import Stop, explain_refusal, find_stop, judge_end, may_hide_oom
from instantiator.job.meter import Usage
from instantiator.job.spec import JobEnd, JobResult, Limits

MIB = 1 << 20
LIMITS = Limits(memory_mb=1024, cpus=1, processes=64, disk_mb=2048, log_mb=16, time_s=600)
ENDED = ContainerState(
    is_running=False, pid=0, exit_status=0, oom_killed=False, error="", started=None, finished=None
)
USAGE = Usage(cpu_s=0.1, peak_memory_bytes=5 * MIB, oom_kills=0, disk_bytes=3 * MIB)


def stop(
    *, elapsed_s: float = 1, disk_bytes: int = 0, log_is_full: bool = False, is_cancelled: bool = False
) -> JobEnd | None:
    """How a job in this state is to be ended; None where it may go on."""
    found = find_stop(
        LIMITS,
        elapsed_s=elapsed_s,
        disk_bytes=disk_bytes,
        log_is_full=log_is_full,
        is_cancelled=is_cancelled,
    )
    return found.end if found else None


def judge(
    state: ContainerState = ENDED, usage: Usage = USAGE, why: Stop | None = None, words: bytes = b""
) -> JobResult:
    """The result of a job that ended like this."""
    return judge_end(LIMITS, stop=why, state=state, usage=usage, last_words=words, wall_s=1.5)


def test_a_job_within_its_bounds_goes_on() -> None:
    assert stop(elapsed_s=600, disk_bytes=2048 * MIB) is None


def test_each_bound_ends_a_job_in_its_own_way() -> None:
    assert stop(elapsed_s=600.1) is JobEnd.TIMED_OUT
    assert stop(disk_bytes=2048 * MIB + 1) is JobEnd.DISK_LIMIT
    assert stop(log_is_full=True) is JobEnd.LOG_LIMIT
    assert stop(is_cancelled=True) is JobEnd.CANCELLED


def test_what_fills_a_disk_is_killed_at_once_and_all_else_may_tidy_up() -> None:
    full = find_stop(LIMITS, elapsed_s=1, disk_bytes=1 << 40, log_is_full=False, is_cancelled=True)
    late = find_stop(LIMITS, elapsed_s=1e9, disk_bytes=0, log_is_full=False, is_cancelled=False)
    assert full is not None and full.grace_s == 0
    assert late is not None and late.grace_s > 0


def test_a_program_that_ends_by_itself_keeps_its_status_and_what_it_used() -> None:
    assert judge(replace(ENDED, exit_status=3)) == JobResult(
        end=JobEnd.EXITED,
        exit_status=3,
        message="it ended with exit status 3",
        wall_s=1.5,
        cpu_s=0.1,
        peak_memory_bytes=5 * MIB,
    )


def test_a_job_that_was_stopped_is_called_by_the_reason() -> None:
    late = Stop(end=JobEnd.TIMED_OUT, message="it ran longer than its time limit of 600 s")
    found = judge(replace(ENDED, exit_status=143), why=late)
    assert (found.end, found.exit_status, found.message) == (JobEnd.TIMED_OUT, None, late.message)


@pytest.mark.parametrize("status", [0, 1, 137])
def test_a_memory_kill_is_one_even_where_the_program_went_on_and_ended_well(status: int) -> None:
    by_engine = judge(replace(ENDED, exit_status=status, oom_killed=True))
    by_kernel = judge(replace(ENDED, exit_status=status), replace(USAGE, oom_kills=1))
    assert by_engine.end is by_kernel.end is JobEnd.OUT_OF_MEMORY


def test_an_end_by_sigkill_nobody_here_sent_may_be_a_memory_kill_still_unheard_of() -> None:
    killed = replace(ENDED, exit_status=137)
    cancelled = Stop(end=JobEnd.CANCELLED, message="it was cancelled")
    assert may_hide_oom(killed, None)
    assert not may_hide_oom(killed, cancelled)
    assert not may_hide_oom(ENDED, None)


def test_a_file_that_met_the_size_limit_is_the_disk_limit() -> None:
    assert judge(replace(ENDED, exit_status=153)).end is JobEnd.DISK_LIMIT


def test_outputs_found_too_large_at_the_end_are_the_disk_limit_too() -> None:
    found = judge(usage=replace(USAGE, disk_bytes=3000 * MIB))
    assert (found.end, found.exit_status) == (JobEnd.DISK_LIMIT, None)
    assert found.message == "it wrote 3000 MiB, more than the 2048 MiB of its disk limit"


@pytest.mark.parametrize(
    ("status", "words", "message"),
    [
        (
            127,
            b"[FATAL tini (7)] exec osve failed: No such file or directory\n",
            "there is no program 'osve' in the image, or its interpreter is missing",
        ),
        (
            126,
            b"[FATAL tini (7)] exec /work/session.json failed: Permission denied\n",
            "'/work/session.json' may not be executed: it is not an executable file",
        ),
        (
            126,
            b"[FATAL tini (7)] exec /opt/midas/inmidas failed: Exec format error\n",
            "'/opt/midas/inmidas' cannot be executed: exec format error",
        ),
    ],
)
def test_a_program_that_init_could_not_start_is_named(status: int, words: bytes, message: str) -> None:
    found = judge(replace(ENDED, exit_status=status), words=words)
    assert (found.end, found.exit_status, found.message) == (JobEnd.NOT_STARTED, None, message)


def test_a_program_that_itself_ends_with_127_has_been_started() -> None:
    found = judge(replace(ENDED, exit_status=127), words=b"sh: 1: osve: not found\n")
    assert (found.end, found.exit_status) == (JobEnd.EXITED, 127)


def test_the_engines_words_on_a_missing_program_are_made_plain() -> None:
    words = (
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
        'process: exec: "osve": executable file not found in $PATH: unknown'
    )
    assert explain_refusal(words) == "there is no program 'osve' in the image, or its interpreter is missing"


def test_words_nobody_knows_are_passed_on() -> None:
    assert explain_refusal("no space left") == "the engine cannot start it: no space left"
