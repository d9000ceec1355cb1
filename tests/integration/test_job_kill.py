"""Kill anything at any moment: no container is left behind, and no job is called finished that is not."""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from instantiator.engine import Engine
from instantiator.engine.containers import list_containers
from instantiator.job.backends.docker import DockerBackend
from instantiator.job.law import HOME_LABEL
from instantiator.job.spec import ImageDigest, JobEnd, JobSpec, Limits, RunId

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
RUN = RunId("killed-run")
LIMITS = Limits(memory_mb=64, cpus=1, processes=16, disk_mb=16, log_mb=1, time_s=60)

THAW = """
import io, sys, threading
from pathlib import Path
from instantiator.engine import Engine
from instantiator.job.backends.docker import DockerBackend
from instantiator.job.spec import *
socket, image, home = sys.argv[1:]
limits = Limits(memory_mb=64, cpus=1, processes=16, disk_mb=16, log_mb=1, time_s=60)
job = JobSpec(
    run=RunId("killed-run"), image=ImageDigest(image), image_name="", command=("sleep", "50"),
    environment={"PATH": "/bin"}, mounts=(), limits=limits, working_dir="/",
)
engine = Engine.connect("unix://" + socket)
print("begin", flush=True)
DockerBackend(engine, home=Path(home)).execute(
    job, log=io.BytesIO(), cancel=threading.Event(),
    on_start=lambda container: print(engine.guard.guardian_pid, flush=True),
)
"""


@pytest.fixture
def thaw(engine: Engine, tiny_image: ImageDigest, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that executes a job of 50 s; a process group of its own, as a terminal gives it."""
    process = subprocess.Popen(
        [sys.executable, "-c", THAW, str(engine.wire.socket_path), tiny_image, str(tmp_path)],
        cwd=ROOT,
        env={"PATH": os.defpath},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        yield process
        process.kill()


@pytest.fixture
def backend(engine: Engine, tmp_path: Path) -> DockerBackend:
    return DockerBackend(engine, home=tmp_path)


def guardian_of(thaw: subprocess.Popen[str]) -> int:
    """The pid of its guardian, once the job runs."""
    assert thaw.stdout is not None
    return int(thaw.stdout.readline())


def is_gone(engine: Engine, home: Path, seconds: float) -> bool:
    """Whether no container of this home is left, in time."""
    deadline = time.monotonic() + seconds
    while list_containers(engine.wire, {HOME_LABEL: str(home)}):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_killed_process_leaves_no_container(
    engine: Engine, thaw: subprocess.Popen[str], tmp_path: Path
) -> None:
    guardian_of(thaw)
    assert not is_gone(engine, tmp_path, 0)
    thaw.kill()
    assert is_gone(engine, tmp_path, 5)


def test_neither_does_one_whose_whole_process_group_is_killed(
    engine: Engine, thaw: subprocess.Popen[str], tmp_path: Path
) -> None:
    guardian_of(thaw)
    os.killpg(thaw.pid, signal.SIGKILL)
    assert is_gone(engine, tmp_path, 5)


def test_ctrl_c_removes_the_container_before_the_process_ends(
    engine: Engine, thaw: subprocess.Popen[str], tmp_path: Path
) -> None:
    guardian_of(thaw)
    os.killpg(thaw.pid, signal.SIGINT)
    thaw.wait(timeout=10)
    assert is_gone(engine, tmp_path, 0)


@pytest.mark.parametrize("delay_ms", [0, 10, 20, 40, 80, 120])
def test_a_process_killed_while_the_container_is_being_made_leaves_none(
    engine: Engine, thaw: subprocess.Popen[str], tmp_path: Path, delay_ms: int
) -> None:
    time.sleep(delay_ms / 1000)
    thaw.kill()
    time.sleep(0.2)
    assert is_gone(engine, tmp_path, 5)
    time.sleep(0.5)
    assert is_gone(engine, tmp_path, 0)


def test_where_the_guardian_dies_too_the_leftovers_are_found_and_removed(
    engine: Engine, backend: DockerBackend, thaw: subprocess.Popen[str], tmp_path: Path
) -> None:
    os.kill(guardian_of(thaw), signal.SIGKILL)
    thaw.kill()
    thaw.wait()
    assert [job.owner_is_alive for job in backend.running()] == [False]
    assert backend.remove_leftovers(RUN) == 1
    assert is_gone(engine, tmp_path, 0)


def test_the_container_of_a_living_process_is_no_leftover(
    engine: Engine, backend: DockerBackend, thaw: subprocess.Popen[str], tmp_path: Path
) -> None:
    guardian_of(thaw)
    assert [job.owner_is_alive for job in backend.running()] == [True]
    assert backend.remove_leftovers(RUN) == 0
    assert not is_gone(engine, tmp_path, 0)


def test_a_guardian_that_was_killed_is_replaced(
    engine: Engine, tiny_image: ImageDigest, tmp_path: Path
) -> None:
    own = Engine(engine.wire.socket_path)
    backend = DockerBackend(own, home=tmp_path)
    sleep(backend, tiny_image, "0")
    first = own.guard.guardian_pid
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)  # a kill is not at once: it is dead when this returns
    assert sleep(backend, tiny_image, "0") is JobEnd.EXITED
    assert own.guard.guardian_pid != first


class Relay:
    """A socket that leads to the engine until it is cut: an engine that dies, seen from this side."""

    def __init__(self, path: Path, engine: Path) -> None:
        self._engine = engine
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._pairs: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close everything, as a killed engine's sockets are."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._pairs:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(self._engine))
            self._pairs += [near, far]
            threading.Thread(target=_carry, args=(near, far), daemon=True).start()


def _carry(near: socket.socket, far: socket.socket) -> None:
    other = {near: far, far: near}
    with near, far:
        while True:
            for readable in select.select([near, far], [], [])[0]:
                piece = readable.recv(65536)
                if not piece:
                    return
                other[readable].sendall(piece)


def sleep(backend: DockerBackend, image: ImageDigest, seconds: str, relay: Relay | None = None) -> JobEnd:
    """Execute a job that sleeps; with a relay, the engine is lost once it has started."""
    job = JobSpec(
        run=RUN,
        image=image,
        image_name="",
        command=("sleep", seconds),
        environment={"PATH": "/bin"},
        mounts=(),
        limits=LIMITS,
        working_dir="/",
    )
    lose_engine = (lambda _: relay.cut()) if relay is not None else None
    return backend.execute(job, log=io.BytesIO(), cancel=threading.Event(), on_start=lose_engine).end


def test_a_job_whose_engine_dies_is_called_lost_and_is_removed_once_the_engine_is_back(
    engine: Engine, backend: DockerBackend, tiny_image: ImageDigest, tmp_path: Path
) -> None:
    relay = Relay(tmp_path / "engine.sock", engine.wire.socket_path)
    through_relay = DockerBackend(Engine(tmp_path / "engine.sock"), home=tmp_path)
    assert sleep(through_relay, tiny_image, "50", relay) is JobEnd.ENGINE_LOST
    for thread in threading.enumerate():
        if thread.name.startswith("remove-"):
            thread.join()
    (tmp_path / "engine.sock").unlink()
    (tmp_path / "engine.sock").symlink_to(engine.wire.socket_path)
    assert through_relay.remove_leftovers(RUN) == 1
    assert is_gone(engine, tmp_path, 0)
