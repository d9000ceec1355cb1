"""A worker executes what is queued: in turn, within bounds, once, and hands over what it cannot end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from instantiator.engine.wire import EngineUnreachable
from instantiator.image.lock import LockedDeposit
from instantiator.job.backend import RunningJob
from instantiator.job.spec import JobResult, JobSpec, RunId
from instantiator.queue import Queue, QueueLimits
from instantiator.queue.errors import QuotaReached
from instantiator.users.model import UserLimits
from provenance.record import Record, RunState, record_from_bytes
from provenance.store import Claiming, Owner, is_alive, this_process
from tests.examples import sha256
from tests.fakes import FakeBackend, FakeProcess
from tests.queue_fixtures import CounterBench, count, counting, work_until

DEAD = Owner(pid=1, start_ticks=1, boot_id="a boot long ago")


@pytest.fixture
def bench(tmp_path: Path) -> CounterBench:
    return CounterBench(home=tmp_path)


def record_of(bench: CounterBench, run: str) -> Record:
    digest = bench.store.run(run).record
    assert digest is not None
    return record_from_bytes(bench.vault.read_bytes(digest))


def all_final(queue: Queue) -> Callable[[], bool]:
    return lambda: all(run.state.is_final() for run in queue.page(limit=500).runs)


def claim_as(bench: CounterBench, owner: Owner, *, ago_s: float = 60) -> None:
    """Take the next run in the name of a process, with a lease that is over."""
    past = datetime.now(UTC) - timedelta(seconds=ago_s)
    asked = Claiming(
        owner=owner,
        active=(),
        is_alive=is_alive,
        now=past,
        leased_until=past,
        cpus=4,
        memory_mb=1024,
        may_execute=lambda _user: 9,
    )
    assert bench.store.queue.claim(asked) is not None


def test_a_queued_run_is_executed_to_its_record(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count(time_limit_s=7)).id
    work_until(bench.worker(), all_final(queue))
    done, record = queue.get(run), record_of(bench, run)
    assert (done.state, done.attempts, done.message) == (RunState.COMPLETED, 1, "")
    assert (record.user, record.job.limits["time_s"], record.repeats) == ("tycho", 7, None)
    assert [bench.vault.read_bytes(output.digest) for output in record.outputs] == [b"1\n"]
    assert queue.log(run) == (b"counting\n", 9)
    assert queue.log(run, 4, 3) == (b"tin", 9)


def test_followers_hear_of_states_steps_and_the_log(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count()).id
    work_until(bench.worker(), all_final(queue))
    told = [
        (event.name, event.data.get("state") or event.data.get("step") or event.data.get("size"))
        for event in queue.events(run)
        if event.data.get("status") != "begun"
    ]
    steps = [("step", "image"), ("step", "datasets"), ("log", 9), ("step", "run"), ("log", 9)]
    assert told == [("state", "queued"), ("state", "executing"), *steps, ("state", "completed")]


class EmptyEngine:
    """An engine that holds no image."""

    def has_image(self, *_asked: object) -> bool:
        return False


def test_an_image_that_cannot_be_made_fails_the_run_with_the_reason(tmp_path: Path) -> None:
    tables = LockedDeposit(name="tables", file="tables.dat", sha256=sha256(b"tables"), size=6, unpack="/opt")
    bench = CounterBench(home=tmp_path, fake_engine=EmptyEngine(), deposits=(tables,))
    queue = bench.queue()
    run = queue.submit(count()).id
    work_until(bench.worker(), all_final(queue))
    done = queue.get(run)
    assert (done.state, "tables.dat" in done.message) == (RunState.FAILED, True)
    assert record_of(bench, run).message == done.message
    failed = [event.data["step"] for event in queue.events(run) if event.data.get("status") == "failed"]
    assert failed == ["image"]


def test_the_same_work_is_answered_from_the_record_and_marked(bench: CounterBench) -> None:
    queue = bench.queue()
    first = queue.submit(count()).id
    work_until(bench.worker(), all_final(queue))
    answered = queue.submit(count("kepler"))
    record = record_of(bench, answered.id)
    assert (answered.state, answered.answered_from) == (RunState.COMPLETED, first)
    assert (record.outputs, record.user) == (record_of(bench, first).outputs, "kepler")
    assert queue.log(answered.id) == (b"counting\n", 9)
    assert queue.submit(count(fresh=True)).state is RunState.QUEUED
    assert queue.submit(count(parameters={"number": 2})).state is RunState.QUEUED


def test_a_pending_run_is_answered_when_it_is_started(bench: CounterBench) -> None:
    queue = bench.queue()
    pending = queue.submit(count(start=False)).id
    first = queue.submit(count()).id
    work_until(bench.worker(), lambda: queue.get(first).state.is_final())
    assert queue.start(pending).answered_from == first


def test_equal_runs_that_wait_together_are_executed_once(bench: CounterBench) -> None:
    queue = bench.queue()
    runs = [queue.submit(count(priority=5 - number)).id for number in range(3)]
    backend = FakeBackend({"/thaw/script": counting})
    work_until(bench.worker(backend, cpus=0.5), all_final(queue))
    assert len(backend.executed) == 1
    assert [queue.get(run).answered_from for run in runs] == [None, runs[0], runs[0]]


def test_what_is_missing_in_the_vault_or_was_judged_different_answers_nothing(bench: CounterBench) -> None:
    queue = bench.queue()
    first = queue.submit(count()).id
    work_until(bench.worker(), all_final(queue))
    (output,) = record_of(bench, first).outputs
    path = bench.vault.path(output.digest)
    path.rename(path.with_suffix(".away"))
    assert queue.submit(count()).state is RunState.QUEUED
    path.with_suffix(".away").rename(path)
    assert queue.submit(count()).state is RunState.COMPLETED
    verdict = bench.vault.put_bytes(b"a verdict")
    bench.store.add_verdict(
        first, repeated_by="another", grade="different", verdict=verdict, judged=datetime.now(UTC)
    )
    assert queue.submit(count()).state is RunState.QUEUED


def test_a_networked_run_is_never_answered(bench: CounterBench) -> None:
    queue = bench.queue()
    queue.submit(count(thread="networked"))
    work_until(bench.worker(), all_final(queue))
    assert queue.submit(count(thread="networked")).state is RunState.QUEUED


def test_a_share_of_answers_is_executed_again_in_silence_and_judged(bench: CounterBench) -> None:
    queue = bench.queue(reexecuted_percent=100)
    first = queue.submit(count()).id
    work_until(bench.worker(), all_final(queue))
    queue.submit(count())
    (repeat,) = [run for run in queue.page().runs if run.repeats]
    assert (repeat.user, repeat.repeats, repeat.state) == ("", first, RunState.QUEUED)
    work_until(bench.worker(), lambda: bool(bench.store.verdicts(first)))
    (verdict,) = bench.store.verdicts(first)
    assert (verdict.repeated_by, verdict.grade) == (repeat.id, "identical")


def test_a_cancelled_run_under_way_is_recorded_with_the_reason(bench: CounterBench) -> None:
    queue = bench.queue()

    run = queue.submit(count()).id
    staying = Staying()

    def is_done() -> bool:
        if staying.has_begun.is_set():
            queue.cancel(run, "enough")
        return queue.get(run).state.is_final()

    work_until(bench.worker(staying, lease_s=0.5), is_done)
    assert (queue.get(run).state, queue.get(run).message) == (RunState.CANCELLED, "enough")


class Staying:
    """A program that stays until it is ended from outside."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()

    def __call__(self, process: FakeProcess) -> int:
        self.has_begun.set()
        while True:
            time.sleep(0.01)
            process.wait(0.001)


class Counter:
    """A program that stays until it is let go, and counts how many do at a time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.order: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, process: FakeProcess) -> int:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.order.append(process.job.run)
        time.sleep(0.05)
        with self._lock:
            self.now -= 1
        return counting(process)


@pytest.mark.parametrize(("cpus", "memory_mb", "most"), [(1.0, 1024, 2), (4.0, 64 * 3, 3), (0.1, 1, 1)])
def test_what_runs_together_is_bounded_by_cpus_and_memory(
    bench: CounterBench, cpus: float, memory_mb: int, most: int
) -> None:
    queue = bench.queue()
    for number in range(8):
        queue.submit(count(parameters={"number": number}))
    counter = Counter()
    work_until(bench.worker(counter, cpus=cpus, memory_mb=memory_mb), all_final(queue))
    assert (counter.most, len(counter.order)) == (most, 8)


def test_one_user_may_not_execute_more_than_a_limit(bench: CounterBench) -> None:
    queue = bench.queue()
    for number in range(4):
        queue.submit(count(parameters={"number": number}))
    counter = Counter()
    work_until(bench.worker(counter, executing_per_user=1), all_final(queue))
    assert counter.most == 1


def test_a_user_with_a_share_may_have_less_than_everybody(bench: CounterBench) -> None:
    shares = {"kepler": UserLimits(queued=2, executing=1)}
    limits = QueueLimits(shares=lambda user: shares.get(user, UserLimits()))
    queue = Queue(bench, limits)
    for number in range(2):
        queue.submit(count("kepler", parameters={"number": number}))
    with pytest.raises(QuotaReached, match=r"2 runs of 'kepler' wait, and no more than 2"):
        queue.submit(count("kepler", parameters={"number": 3}))
    assert queue.submit(count("tycho", parameters={"number": 4})).user == "tycho"
    assert (limits.executing_of("kepler"), limits.executing_of("tycho")) == (1, 8)


def test_users_take_turns_whatever_one_has_submitted_and_priority_comes_first(bench: CounterBench) -> None:
    queue = bench.queue()
    runs: dict[str, str] = {}
    for number in range(6):
        runs[queue.submit(count("tycho", parameters={"number": number})).id] = "tycho"
    for user in ("kepler", "brahe", "kepler"):
        runs[queue.submit(count(user, parameters={"number": len(runs)})).id] = user
    runs[queue.submit(count("tycho", priority=1, parameters={"number": 99})).id] = "tycho first"
    counter = Counter()
    work_until(bench.worker(counter, cpus=0.5), all_final(queue))
    order = [runs[run] for run in counter.order]
    assert order == ["tycho first", "kepler", "brahe", "tycho", "kepler", *["tycho"] * 5]


def test_a_run_whose_worker_died_is_executed_by_the_next_one(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count()).id
    claim_as(bench, DEAD)
    backend = FakeBackend({"/thaw/script": counting}, leftovers=(RunId(run),))
    work_until(bench.worker(backend), all_final(queue))
    done = queue.get(run)
    assert (done.state, done.attempts) == (RunState.COMPLETED, 2)
    assert done.message == "attempt 1 ended with its worker"
    assert record_of(bench, run).message == ""
    assert backend.running() == ()


def test_the_run_of_a_living_worker_is_left_to_it_even_when_its_lease_is_over(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count()).id
    claim_as(bench, replace(this_process(), pid=1, start_ticks=_ticks_of_init()))
    other = queue.submit(count(parameters={"number": 2})).id
    work_until(bench.worker(), lambda: queue.get(other).state.is_final())
    assert queue.get(run).state is RunState.EXECUTING


def _ticks_of_init() -> int:
    return int(Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19])


def test_a_run_that_reaches_outside_is_not_begun_twice(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count(thread="networked")).id
    claim_as(bench, DEAD)
    backend = FakeBackend({"/thaw/script": counting})
    work_until(bench.worker(backend), all_final(queue))
    assert queue.get(run).state is RunState.INTERRUPTED
    assert "attempt 1 ended with its worker; a run that reaches outside" in record_of(bench, run).message
    assert backend.executed == []


def test_three_attempts_are_made_each_named(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count()).id
    for attempt in (1, 2, 3):
        claim_as(bench, replace(DEAD, pid=attempt))
        if attempt > 1:
            bench.store.queue.note(run, f"attempt {attempt - 1} ended with its worker")
    work_until(bench.worker(), all_final(queue))
    said = "; ".join(f"attempt {number} ended with its worker" for number in (1, 2, 3))
    assert queue.get(run).state is RunState.INTERRUPTED
    assert record_of(bench, run).message == f"{said}; 3 attempts were made"
    assert queue.get(run).message == record_of(bench, run).message


def test_a_run_recorded_by_a_worker_that_died_at_once_after_is_not_executed_again(
    bench: CounterBench,
) -> None:
    queue = bench.queue()
    run = queue.submit(count()).id
    claim_as(bench, DEAD)
    draft = record_from_bytes((bench.settings.runs_dir / run / "draft.json").read_bytes())
    ended = replace(draft, state=RunState.COMPLETED, message="", exit_status=0)
    bench.store.journal.add_run(run, bench.vault.put_bytes(ended.to_bytes()))
    backend = FakeBackend({"/thaw/script": counting})
    work_until(bench.worker(backend), all_final(queue))
    assert (queue.get(run).record, backend.executed) == (ended.digest, [])


def test_a_worker_that_is_stopped_hands_its_runs_back_and_no_attempt_is_counted(bench: CounterBench) -> None:
    queue = bench.queue()

    run = queue.submit(count()).id
    staying = Staying()
    work_until(bench.worker(staying), staying.has_begun.is_set)
    assert (queue.get(run).state, queue.get(run).attempts) == (RunState.EXECUTING, 0)
    work_until(bench.worker(), all_final(queue))
    done = queue.get(run)
    assert (done.state, done.attempts) == (RunState.COMPLETED, 1)
    assert done.message == "attempt 1 was stopped with the service"


class GoneOnce:
    """A backend whose engine does not answer the first time."""

    def __init__(self) -> None:
        self._backend = FakeBackend({"/thaw/script": counting})
        self._asked = 0

    def execute(self, job: JobSpec, **rest: object) -> JobResult:
        self._asked += 1
        if self._asked == 1:
            raise EngineUnreachable("no engine answers")
        return self._backend.execute(job, **rest)  # type: ignore[arg-type]  # passed on as it came

    def running(self) -> tuple[RunningJob, ...]:
        return ()

    def remove_leftovers(self, run: RunId) -> int:
        return 0


def test_a_run_waits_for_an_engine_that_is_away(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count()).id
    work_until(bench.worker(GoneOnce()), all_final(queue))
    assert (queue.get(run).state, queue.get(run).attempts) == (RunState.COMPLETED, 2)


def test_what_is_due_for_destruction_is_dropped_finished_or_not(bench: CounterBench) -> None:
    queue = bench.queue()
    done = queue.submit(count()).id
    work_until(bench.worker(), all_final(queue))
    past = datetime.now(UTC) - timedelta(seconds=1)
    waiting = queue.submit(count(start=False, destruction=past)).id
    queue.set_destruction(done, past)
    work_until(bench.worker(), lambda: not list(bench.settings.runs_dir.iterdir()))
    assert queue.page().runs == ()
    assert bench.store.run(waiting).state is RunState.CANCELLED
    assert record_of(bench, done).state is RunState.COMPLETED


def test_a_worker_says_that_it_lives_while_it_does(bench: CounterBench) -> None:
    queue = bench.queue()
    work_until(bench.worker(), lambda: [row.owner for row in queue.workers()] == [this_process()])
