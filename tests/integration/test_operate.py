"""Operations with real programs: a backup under load, the same run from it, and a worker that ends in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from instantiator.engine import Engine
from instantiator.engine.containers import list_containers
from instantiator.job.backends.docker import DockerBackend
from instantiator.job.law import HOME_LABEL
from instantiator.job.spec import ImageDigest
from instantiator.operate.backup import Home, create_backup
from instantiator.operate.metrics import Meters, Watched
from instantiator.operate.restore import check_backup, restore_backup
from instantiator.progress import Silent
from instantiator.thread.run import RunBench
from instantiator.thread.verify import Repeater, read_record, verify_run
from provenance.record import RunState, record_from_bytes
from tests.queue_fixtures import CounterBench, count

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
CLIENTS, BACKUPS = 4, 6


class WorkerProcess:
    """`thaw worker` as a process of its own."""

    def __init__(self, home: Path, engine: Engine, output: Path, *options: str) -> None:
        environment = {
            **os.environ,
            "THAW_HOME": str(home),
            "DOCKER_HOST": f"unix://{engine.wire.socket_path}",
            "THAW_REEXECUTED_PERCENT": "0",
            "THAW_LOG": "json",
        }
        command = [sys.executable, "-m", "instantiator.cli", "worker", "--lease", "1", *options]
        with output.open("wb") as stream:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stream, stderr=stream)
        self.output = output

    def lines(self) -> list[dict[str, object]]:
        """What it logged."""
        return [json.loads(line) for line in self.output.read_text().splitlines()]


Start = Callable[..., WorkerProcess]


@pytest.fixture
def bench(tmp_path: Path, tiny_image: ImageDigest) -> CounterBench:
    return CounterBench(home=tmp_path / "home", image=tiny_image)


@pytest.fixture
def start(engine: Engine, tmp_path: Path) -> Iterator[Start]:
    """Starts workers, which end with the test."""
    started: list[WorkerProcess] = []

    def begin(home: Path, *options: str) -> WorkerProcess:
        started.append(WorkerProcess(home, engine, tmp_path / f"worker-{len(started)}", *options))
        return started[-1]

    yield begin
    for worker in started:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()


def wait_for(happened: Callable[[], bool], worker: WorkerProcess, *, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline, worker.output.read_text()
        time.sleep(0.05)


def test_backups_under_load_are_whole_and_a_run_of_one_repeats_identically(
    engine: Engine, bench: CounterBench, start: Start, tmp_path: Path
) -> None:
    """Clients submit and a worker executes while backups are made; each backup is checked, the last is used."""
    worker, stop, submitted = start(bench.home), threading.Event(), []

    def submit_on(client: int) -> None:
        queue = CounterBench(home=bench.home, image=bench.image).queue()
        for number in range(10_000):
            submitted.append(queue.submit(count(f"user-{client}", parameters={"number": number})).id)
            if stop.wait(0.5):
                return

    clients = [threading.Thread(target=submit_on, args=(client,)) for client in range(CLIENTS)]
    for client in clients:
        client.start()
    wait_for(lambda: bench.store.figures().runs.get((RunState.COMPLETED, "counter/1"), 0) > 3, worker)
    backup = tmp_path / "backup"
    for _ in range(BACKUPS):
        create_backup(Home(root=bench.home), backup, now=datetime.now(UTC))
        state = check_backup(backup, tmp_path / "scratch")
        assert (state.problems, state.unfinished) == ((), ())
    assert not stop.is_set()
    stop.set()
    for client in clients:
        client.join()
    worker.process.terminate()
    assert worker.process.wait(30) == 0

    report = restore_backup(backup, tmp_path / "other")
    other = CounterBench(home=tmp_path / "other", image=bench.image)
    assert report.runs > 3
    for run in other.queue().page(limit=1000).runs:
        assert run.id in submitted
        if run.record is not None:
            record = record_from_bytes(other.vault.read_bytes(run.record))
            other.vault.verify_many({item.digest: run.id for item in record.outputs})
    check_a_run_repeats(engine, other)
    check_the_rest_is_executed(other, start)


def check_a_run_repeats(engine: Engine, bench: CounterBench) -> None:
    """A run of the restored state folder gives the same bytes again."""
    (done,) = bench.queue().page(states=(RunState.COMPLETED,), limit=1).runs
    runs = RunBench(
        vault=bench.vault,
        store=bench.store,
        backend=DockerBackend(engine, home=bench.home),
        runs_dir=bench.settings.runs_dir,
        host=lambda: {"kernel": os.uname().release},
    )
    bench.fake_engine = engine
    repeater = Repeater(
        bench=runs, workshop=bench.workshop, mirrors=bench.mirrors, trees_dir=bench.settings.trees_dir
    )
    record = read_record(bench.store.run(done.id), bench.vault)
    judged = verify_run(record, repeater, Silent(), cancel=threading.Event(), hear=lambda _: None)
    assert judged.verdict.grade == "identical"


def check_the_rest_is_executed(bench: CounterBench, start: Start) -> None:
    """What waited when the backup was made is executed by the restored state folder's own worker."""
    for run in bench.queue().page(states=(RunState.QUEUED,), limit=1000).runs[4:]:
        bench.queue().cancel(run.id, "four are enough to see it")
    worker = start(bench.home)
    wait_for(lambda: all(run.phase.is_final() for run in bench.queue().page(limit=1000).runs), worker)
    states = {run.state for run in bench.queue().page(limit=1000).runs}
    assert states <= {RunState.COMPLETED, RunState.CANCELLED}


def begin_long_run(bench: CounterBench, worker: WorkerProcess, seconds: float) -> str:
    run = bench.queue().submit(count(parameters={"seconds": seconds})).id
    log = bench.settings.runs_dir / run / "log"
    wait_for(lambda: log.is_file() and b"counting" in log.read_bytes(), worker)
    return run


def test_a_worker_told_to_end_lets_its_runs_come_to_their_end_and_begins_no_other(
    bench: CounterBench, start: Start
) -> None:
    worker = start(bench.home, "--grace", "30")
    run = begin_long_run(bench, worker, 3.0)
    worker.process.terminate()
    time.sleep(0.5)
    later = bench.queue().submit(count(parameters={"number": 2})).id
    assert worker.process.wait(30) == 0
    assert bench.queue().get(run).state is RunState.COMPLETED
    assert bench.queue().get(later).state is RunState.QUEUED


@pytest.mark.parametrize("signals", [1, 2])
def test_a_run_that_takes_longer_is_handed_back(
    engine: Engine, bench: CounterBench, start: Start, signals: int
) -> None:
    """After the grace; at once where the worker is told twice."""
    worker = start(bench.home, "--grace", "1" if signals == 1 else "600")
    run = begin_long_run(bench, worker, 60.0)
    for _ in range(signals):
        worker.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
    assert worker.process.wait(20) == 0
    found = bench.queue().get(run)
    assert (found.state, found.attempts) == (RunState.EXECUTING, 0)
    assert bench.store.run(run).owner is None
    wait_for(lambda: not list_containers(engine.wire, {HOME_LABEL: str(bench.home)}), worker)
    bench.queue().cancel(run)
    next_worker = start(bench.home)
    wait_for(lambda: bench.queue().get(run).phase.is_final(), next_worker)


def test_a_workers_log_is_one_json_object_a_line_with_the_run(bench: CounterBench, start: Start) -> None:
    worker = start(bench.home)
    run = bench.queue().submit(count()).id
    wait_for(lambda: bench.queue().get(run).phase.is_final(), worker)
    worker.process.terminate()
    worker.process.wait(20)
    (begun,) = [line for line in worker.lines() if line["event"] == "a run begins"]
    assert (begun["run"], begun["user"], begun["level"]) == (run, "tycho", "info")
    assert all({"time", "level", "event"} <= set(line) for line in worker.lines())


def test_metrics_are_served_to_this_host_on_a_port_of_their_own(bench: CounterBench) -> None:
    (bench.home / "recipes").mkdir(parents=True)
    server = Meters().serve(Watched(bench=bench, sessions=tuple), 0)
    host, port = server.server_address[:2]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    finally:
        server.shutdown()
        server.server_close()
    assert host == "127.0.0.1"
    assert "thaw_queue_length 0.0" in text
    assert "thaw_build_info{" in text
