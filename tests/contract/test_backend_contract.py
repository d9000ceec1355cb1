"""What every backend promises. The same suite holds the fake (milliseconds) and Docker (real containers)."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.job.backend import Backend, RunningJob
from instantiator.job.backends.docker import DockerBackend
from instantiator.job.spec import ImageDigest, JobEnd, JobResult, JobSpec, Limits, Mount, RunId
from tests.fakes import FakeBackend, FakeProcess, FakeProgram

MIB = 1 << 20
RUN = RunId(f"contract-{os.getpid()}")
LIMITS = Limits(memory_mb=64, cpus=1, processes=32, disk_mb=16, log_mb=1, time_s=30)

GREET = "echo one; echo two >&2; exit 3"
TELL = 'echo "$0 $TIME_STEP $HOME_PLANET"'
WRITE = "echo 1130 > /work/power_avg.out"
SPOIL = "echo no > /data/scenario/session.json || exit 7"
SLEEP = "sleep 20"
EAT_MEMORY = "tail /dev/zero"
CHILD_EATS_MEMORY = "tail /dev/zero; exit 0"
FILL_DISK = "i=0; while [ $i -lt 9999 ]; do head -c 1000000 /dev/zero > /work/$i; i=$((i+1)); done"
FILL_LOG = "yes EPS says nothing useful"


def _greet(process: FakeProcess) -> int:
    process.print("one\ntwo\n")
    return 3


def _tell(process: FakeProcess) -> int:
    environment = process.job.environment
    process.print(f"sh {environment.get('TIME_STEP', '')} {environment.get('HOME_PLANET', '')}\n")
    return 0


def _write(process: FakeProcess) -> int:
    return 0 if process.write("/work/power_avg.out", b"1130\n") else 1


def _spoil(process: FakeProcess) -> int:
    return 0 if process.write("/data/scenario/session.json", b"no") else 7


def _sleep(process: FakeProcess) -> int:
    for _ in range(200):
        process.wait(0.1)
    return 0


def _eat_memory(process: FakeProcess) -> int:
    while True:
        process.take_memory(MIB)


def _fill_disk(process: FakeProcess) -> int:
    for number in range(9999):
        process.write(f"/work/{number}", bytes(1_000_000))
    return 0


def _fill_log(process: FakeProcess) -> int:
    while True:
        process.print("EPS says nothing useful\n" * 1000)


PROGRAMS: Mapping[str, FakeProgram] = {
    GREET: _greet,
    TELL: _tell,
    WRITE: _write,
    SPOIL: _spoil,
    SLEEP: _sleep,
    EAT_MEMORY: _eat_memory,
    CHILD_EATS_MEMORY: _eat_memory,
    FILL_DISK: _fill_disk,
    FILL_LOG: _fill_log,
}


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.docker)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "fake":
        return FakeBackend(PROGRAMS)
    return DockerBackend(request.getfixturevalue("engine"), home=tmp_path)


@pytest.fixture
def job(request: pytest.FixtureRequest, tmp_path: Path) -> JobSpec:
    is_real = "docker" in request.node.callspec.params.values()
    image = request.getfixturevalue("tiny_image") if is_real else ImageDigest("sha256:" + 64 * "0")
    for folder in ("work", "scenario"):
        (tmp_path / folder).mkdir()
    return JobSpec(
        run=RUN,
        image=image,
        image_name="thaw-test-tiny",
        command=("sh", "-c", GREET),
        environment={"PATH": "/bin"},
        mounts=(
            Mount(source=tmp_path / "work", target="/work", read_only=False),
            Mount(source=tmp_path / "scenario", target="/data/scenario"),
        ),
        limits=LIMITS,
    )


def execute(
    backend: Backend,
    job: JobSpec,
    script: str,
    *,
    limits: Limits = LIMITS,
    cancel: threading.Event | None = None,
    on_start: Callable[[str], None] | None = None,
) -> tuple[JobResult, bytes]:
    """Execute one shell script as a job; its result and its log."""
    log = io.BytesIO()
    asked = replace(job, command=("sh", "-c", script), limits=limits)
    result = backend.execute(asked, log=log, cancel=cancel or threading.Event(), on_start=on_start)
    return result, log.getvalue()


def test_what_a_program_prints_on_either_stream_is_in_the_log(backend: Backend, job: JobSpec) -> None:
    _, log = execute(backend, job, GREET)
    assert sorted(log.splitlines()) == [b"one", b"two"]


def test_the_exit_status_is_the_programs_own(backend: Backend, job: JobSpec) -> None:
    result, _ = execute(backend, job, GREET)
    assert (result.end, result.exit_status) == (JobEnd.EXITED, 3)


def test_a_program_sees_the_environment_of_its_job(backend: Backend, job: JobSpec) -> None:
    asked = replace(job, environment={"PATH": "/bin", "TIME_STEP": "60 s", "HOME_PLANET": "Mercury"})
    _, log = execute(backend, asked, TELL)
    assert log == b"sh 60 s Mercury\n"


def test_an_output_written_to_a_writable_mount_is_on_the_host(
    backend: Backend, job: JobSpec, tmp_path: Path
) -> None:
    result, log = execute(backend, job, WRITE)
    assert (result.exit_status, log) == (0, b"")
    assert (tmp_path / "work/power_avg.out").read_text() == "1130\n"


def test_an_input_cannot_be_written_to(backend: Backend, job: JobSpec, tmp_path: Path) -> None:
    result, _ = execute(backend, job, SPOIL)
    assert result.exit_status == 7
    assert list((tmp_path / "scenario").iterdir()) == []


def test_a_job_over_its_time_limit_is_ended(backend: Backend, job: JobSpec) -> None:
    result, _ = execute(backend, job, SLEEP, limits=replace(LIMITS, time_s=0.5))
    assert (result.end, result.exit_status) == (JobEnd.TIMED_OUT, None)
    assert "time limit of 0.5 s" in result.message
    assert 0.5 <= result.wall_s < 5


def test_a_cancelled_job_is_ended(backend: Backend, job: JobSpec) -> None:
    cancel = threading.Event()
    result, _ = execute(backend, job, SLEEP, cancel=cancel, on_start=lambda _: cancel.set())
    assert (result.end, result.exit_status) == (JobEnd.CANCELLED, None)
    assert result.wall_s < 5


@pytest.mark.parametrize("script", [EAT_MEMORY, CHILD_EATS_MEMORY])
def test_a_job_over_its_memory_is_ended_whichever_of_its_processes_asked(
    backend: Backend, job: JobSpec, script: str
) -> None:
    result, _ = execute(backend, job, script)
    assert (result.end, result.exit_status) == (JobEnd.OUT_OF_MEMORY, None)
    assert "64 MiB of its memory limit" in result.message


def test_a_job_that_fills_the_disk_is_ended_soon(backend: Backend, job: JobSpec, tmp_path: Path) -> None:
    result, _ = execute(backend, job, FILL_DISK)
    assert (result.end, result.exit_status) == (JobEnd.DISK_LIMIT, None)
    assert "16 MiB of its disk limit" in result.message
    assert sum(file.stat().st_size for file in (tmp_path / "work").iterdir()) < 2000 * MIB


def test_a_job_that_prints_without_end_is_ended_and_its_log_is_bounded(
    backend: Backend, job: JobSpec
) -> None:
    result, log = execute(backend, job, FILL_LOG)
    assert (result.end, result.exit_status) == (JobEnd.LOG_LIMIT, None)
    assert "1 MiB a log may hold" in result.message
    assert len(log) == MIB


def test_a_program_the_image_has_not_is_named(backend: Backend, job: JobSpec) -> None:
    result = backend.execute(replace(job, command=("osve",)), log=io.BytesIO(), cancel=threading.Event())
    assert (result.end, result.exit_status) == (JobEnd.NOT_STARTED, None)
    assert "no program 'osve' in the image" in result.message


def test_a_job_is_listed_while_it_runs_and_gone_afterwards(backend: Backend, job: JobSpec) -> None:
    cancel, seen = threading.Event(), list[RunningJob]()

    def look(container: str) -> None:
        seen.extend(one for one in backend.running() if one.container == container)
        cancel.set()

    execute(backend, job, SLEEP, cancel=cancel, on_start=look)
    assert [(one.run, one.owner_is_alive) for one in seen] == [(RUN, True)]
    assert wait_until(lambda: backend.running() == ())


def test_a_job_somebody_waits_for_is_no_leftover(backend: Backend, job: JobSpec) -> None:
    removed = list[int]()
    result, _ = execute(backend, job, GREET, on_start=lambda _: removed.append(backend.remove_leftovers(RUN)))
    assert (removed, result.end) == ([0], JobEnd.EXITED)


def test_an_error_of_the_caller_ends_the_job(backend: Backend, job: JobSpec) -> None:
    def fail(container: str) -> None:
        raise RuntimeError(container)

    with pytest.raises(RuntimeError):
        execute(backend, job, SLEEP, on_start=fail)
    assert backend.running() == ()


def test_what_a_job_used_is_measured(backend: Backend, job: JobSpec) -> None:
    result, _ = execute(backend, job, GREET)
    assert result.cpu_s is not None and result.cpu_s > 0
    assert result.peak_memory_bytes is not None and result.peak_memory_bytes > 0


def wait_until(claim: Callable[[], bool], seconds: float = 5) -> bool:
    """Whether a claim comes true in time."""
    deadline = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
