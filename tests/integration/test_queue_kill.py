"""Kill the worker at any moment: every run that was submitted ends once, with a record, and leaves no container."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from instantiator.engine import Engine
from instantiator.engine.containers import list_containers
from instantiator.job.law import HOME_LABEL
from instantiator.job.spec import ImageDigest
from instantiator.queue import Queue
from provenance.record import RunState, record_from_bytes
from tests.queue_fixtures import CounterBench, count

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
KILLS = 50
CLIENTS, EACH, DIFFERENT = 20, 10, 80


class WorkerProcess:
    """`thaw worker` as a process of its own, started again after every kill."""

    def __init__(self, home: Path, engine: Engine, output: Path) -> None:
        self._environment = {
            **os.environ,
            "THAW_HOME": str(home),
            "DOCKER_HOST": f"unix://{engine.wire.socket_path}",
            "THAW_REEXECUTED_PERCENT": "0",
        }
        self._output = output
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "instantiator.cli", "worker", "--lease", "0.5", "--cpus", "2"]
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment, stdout=output, stderr=output, start_new_session=True
            )

    def wait_until_it_works(self, queue: Queue) -> None:
        """A kill while Python still imports shows nothing."""
        deadline = time.monotonic() + 20
        while self.process.pid not in [row.owner.pid for row in queue.workers()]:
            assert time.monotonic() < deadline, self._output.read_text()
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def bench(tmp_path: Path, tiny_image: ImageDigest) -> CounterBench:
    return CounterBench(home=tmp_path / "home", image=tiny_image)


@pytest.fixture
def worker(bench: CounterBench, engine: Engine, tmp_path: Path) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(bench.home, engine, tmp_path / "worker.log")
    yield worker
    worker.process.kill()
    worker.process.wait()


def wait_until_all_end(queue: Queue, count: int, patience_s: float) -> None:
    """Until `count` runs are final; fails with the states of those that are not."""
    deadline = time.monotonic() + patience_s
    while True:
        runs = queue.page(limit=1000).runs
        unfinished = [(run.id, run.state.value, run.attempts) for run in runs if not run.state.is_final()]
        if len(runs) == count and not unfinished:
            return
        assert time.monotonic() < deadline, unfinished
        time.sleep(0.1)


def check_every_run_ended_once(bench: CounterBench, submitted: set[str]) -> None:
    """Each run has the one record its journal names, and what a completed one was asked for is what it gave."""
    runs = bench.queue().page(limit=1000).runs
    assert {run.id for run in runs} == submitted
    assert dict(bench.store.journal.runs()) == {run.id: run.record for run in runs}
    for run in runs:
        assert run.record is not None
        record = record_from_bytes(bench.vault.read_bytes(run.record))
        assert (record.run, record.state, record.user) == (run.id, run.state, run.user)
        assert run.state in (RunState.COMPLETED, RunState.INTERRUPTED), (run.state, run.message)
        if run.state is RunState.INTERRUPTED:
            assert "3 attempts were made" in run.message
        else:
            (output,) = record.outputs
            assert bench.vault.read_bytes(output.digest) == f"{run.parameters['number']}\n".encode()
        assert not (bench.settings.runs_dir / run.id / "draft.json").exists()


def check_nothing_is_left(engine: Engine, bench: CounterBench) -> None:
    deadline = time.monotonic() + 10
    while list_containers(engine.wire, {HOME_LABEL: str(bench.home)}):
        assert time.monotonic() < deadline, "a container was left behind"
        time.sleep(0.1)


def test_a_worker_killed_50_times_loses_no_run_and_does_none_twice(
    engine: Engine, bench: CounterBench, worker: WorkerProcess
) -> None:
    queue, chance = bench.queue(), random.Random(20261120)
    submitted: set[str] = set()
    for number in range(KILLS):
        seconds = chance.choice([0.0, 0.0, 0.05, 0.2])
        asked = count(fresh=True, parameters={"number": number, "seconds": seconds})
        submitted.add(queue.submit(asked).id)
        worker.wait_until_it_works(queue)
        time.sleep(chance.uniform(0, 0.6))
        worker.kill()
        worker.start()
    wait_until_all_end(queue, KILLS, patience_s=60)
    worker.stop()
    check_every_run_ended_once(bench, submitted)
    check_nothing_is_left(engine, bench)
    assert any(run.attempts > 1 for run in queue.page(limit=KILLS).runs), "no kill met a run"


def test_200_submissions_of_20_clients_end_once_whatever_is_killed(
    engine: Engine, bench: CounterBench, worker: WorkerProcess
) -> None:
    submitted: list[str] = []

    def submit_some(client: int) -> None:
        queue = bench.queue()
        for number in range(EACH):
            asked = count(
                f"user-{client % 5}",
                parameters={"number": (client * EACH + number) % DIFFERENT},
                idempotency_key=f"{client}-{number}",
            )
            run = queue.submit(asked).id
            assert queue.submit(asked).id == run, "a client that asks again gets the same run"
            submitted.append(run)

    clients = [threading.Thread(target=submit_some, args=(client,)) for client in range(CLIENTS)]
    for client in clients:
        client.start()
    chance = random.Random(7)
    for _ in range(12):
        worker.wait_until_it_works(bench.queue())
        time.sleep(chance.uniform(0, 2))
        worker.kill()
        worker.start()
    for client in clients:
        client.join()
    wait_until_all_end(bench.queue(), CLIENTS * EACH, patience_s=120)
    worker.stop()
    assert len(submitted) == len(set(submitted)) == CLIENTS * EACH
    check_every_run_ended_once(bench, set(submitted))
    check_nothing_is_left(engine, bench)
