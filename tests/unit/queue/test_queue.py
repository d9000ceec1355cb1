"""Submit, start, follow, cancel, destroy: what a service asks of the queue, with no worker about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from instantiator.dataset import DatasetUnknown
from instantiator.queue import (
    CursorInvalid,
    IdempotencyConflict,
    Phase,
    QueueFull,
    QuotaReached,
    phase_of,
)
from instantiator.recipe.errors import ParameterInvalid
from instantiator.thread.errors import InputWrong, ThreadUnknown
from instantiator.thread.run import recover_runs
from provenance.errors import ThawError
from provenance.record import RunState, record_from_bytes
from provenance.store import RunUnknown, StateIllegal
from tests.fakes import FakeBackend
from tests.queue_fixtures import CounterBench, count, work_until
from tests.unit.thread.examples import make_desk


@pytest.fixture
def bench(tmp_path: Path) -> CounterBench:
    return CounterBench(home=tmp_path)


def test_every_state_has_a_phase_of_uws() -> None:
    found = {state.value: phase_of(state).value for state in RunState}
    assert found == {
        "pending": "PENDING",
        "queued": "QUEUED",
        "executing": "EXECUTING",
        "completed": "COMPLETED",
        "failed": "ERROR",
        "cancelled": "ABORTED",
        "timed-out": "ABORTED",
        "out-of-memory": "ERROR",
        "interrupted": "ERROR",
    }


def test_a_submission_is_queued_with_all_that_was_asked(bench: CounterBench) -> None:
    queue = bench.queue()
    submitted = queue.submit(count(parameters={"number": "7"}, label="mine", priority=3, time_limit_s=5))
    assert (submitted.state, submitted.position, submitted.user) == (RunState.QUEUED, 1, "tycho")
    assert (submitted.parameters["number"], submitted.label) == (7, "mine")
    assert (submitted.priority, submitted.time_limit_s, submitted.attempts) == (3, 5, 0)
    assert queue.submit(count()).position == 2
    assert queue.get(submitted.id) == submitted


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"parameters": {"number": "many"}}, ParameterInvalid),
        ({"parameters": {"nunber": 1}}, ParameterInvalid),
        ({"thread": "cuont"}, ThreadUnknown),
        ({"datasets": {"frame": "nowhere"}}, DatasetUnknown),
        ({"datasets": {"frame": "/etc"}}, InputWrong),
        ({"datasets": {"flat": "m31"}}, InputWrong),
    ],
)
def test_a_mistake_is_refused_and_nothing_is_kept(
    bench: CounterBench, wrong: dict[str, Any], error: type[ThawError]
) -> None:
    with pytest.raises(error):
        bench.queue().submit(count(**wrong))
    assert bench.queue().page().runs == ()
    assert not bench.settings.runs_dir.exists()


def test_a_pending_run_waits_until_it_is_started(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count(start=False)).id
    assert queue.get(run).phase is Phase.PENDING
    assert queue.start(run).phase is Phase.QUEUED
    assert queue.start(run).phase is Phase.QUEUED


def test_the_same_key_and_content_give_the_same_run(bench: CounterBench) -> None:
    queue = bench.queue()
    first = queue.submit(count(idempotency_key="once"))
    assert queue.submit(count(idempotency_key="once")) == first
    assert queue.submit(count("kepler", idempotency_key="once")).id != first.id
    with pytest.raises(IdempotencyConflict, match=first.id):
        queue.submit(count(idempotency_key="once", parameters={"number": 2}))


def test_a_refusal_names_limit_and_value(bench: CounterBench) -> None:
    queue = bench.queue(queued_together=3, queued_per_user=2)
    queue.submit(count())
    queue.submit(count())
    with pytest.raises(QuotaReached, match="2 runs of 'tycho' wait, and no more than 2"):
        queue.submit(count())
    queue.submit(count("kepler"))
    with pytest.raises(QueueFull, match="3 runs wait, and no more than 3 may"):
        queue.submit(count("brahe"))
    assert len(list(bench.settings.runs_dir.iterdir())) == 3


def test_a_waiting_run_that_is_cancelled_is_recorded_at_once(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count()).id
    ended = queue.cancel(run, "the frame is the wrong one")
    assert (ended.state, ended.message) == (RunState.CANCELLED, "the frame is the wrong one")
    assert ended.record is not None
    record = record_from_bytes(bench.vault.read_bytes(ended.record))
    assert (record.user, record.started, record.outputs) == ("tycho", None, ())
    assert queue.cancel(run) == ended


def test_a_run_of_a_command_cannot_be_cancelled_here(bench: CounterBench) -> None:
    desk = make_desk(bench.home)
    run = desk.run().run
    assert bench.queue().cancel(run).state is RunState.COMPLETED
    assert bench.queue().get(run).user == ""


def test_pages_follow_each_other_and_are_filtered(bench: CounterBench) -> None:
    queue = bench.queue()
    runs = [queue.submit(count(user)).id for user in ("tycho", "kepler", "tycho", "tycho")]
    queue.cancel(runs[2])
    first = queue.page(users=("tycho",), limit=2)
    assert [run.id for run in first.runs] == [runs[3], runs[2]]
    rest = queue.page(users=("tycho",), limit=2, cursor=first.next)
    assert ([run.id for run in rest.runs], rest.next) == ([runs[0]], None)
    cancelled = queue.page(states=(RunState.CANCELLED, RunState.FAILED))
    assert [run.id for run in cancelled.runs] == [runs[2]]
    later = queue.page(after=queue.get(runs[1]).submitted, recipe="counter/1", thread="count")
    assert [run.id for run in later.runs] == [runs[3], runs[2]]
    with pytest.raises(CursorInvalid):
        queue.page(cursor="yesterday")


def test_a_time_limit_is_lowered_never_raised_and_only_before_execution(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count(time_limit_s=1_000_000)).id
    assert queue.get(run).time_limit_s == 60
    assert queue.set_time_limit(run, 9).time_limit_s == 9
    assert queue.set_time_limit(run, 99).time_limit_s == 60
    queue.cancel(run)
    with pytest.raises(StateIllegal, match="its time limit is settled"):
        queue.set_time_limit(run, 5)


def test_a_destroyed_run_is_shown_no_more_and_its_record_is_kept(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count()).id
    queue.destroy(run)
    with pytest.raises(RunUnknown):
        queue.get(run)
    assert queue.page().runs == ()
    assert not (bench.settings.runs_dir / run).exists()
    assert bench.store.run(run).state is RunState.CANCELLED
    assert bench.store.journal.record_of(run) is not None


def test_a_time_of_destruction_is_kept_and_taken_back(bench: CounterBench) -> None:
    queue = bench.queue()
    when = datetime.now(UTC) + timedelta(days=1)
    run = queue.submit(count(destruction=when)).id
    assert queue.get(run).destruction == when
    assert queue.set_destruction(run, None).destruction is None


def test_an_unknown_run_is_named(bench: CounterBench) -> None:
    with pytest.raises(RunUnknown, match="20261120-120000-zzzz"):
        bench.queue().get("20261120-120000-zzzz")


def test_waiting_ends_with_the_time_given_or_when_the_phase_changes(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count(start=False)).id
    assert queue.wait(run, 0.05).phase is Phase.PENDING
    assert queue.wait(run, 5, Phase.QUEUED).phase is Phase.PENDING
    queue.cancel(run)
    assert queue.wait(run, 5, Phase.PENDING).phase is Phase.ABORTED
    assert queue.wait(run, 5).phase is Phase.ABORTED


def test_events_are_numbered_and_a_line_cut_off_by_a_kill_is_passed_over(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count()).id
    with (bench.settings.runs_dir / run / "events.jsonl").open("a") as file:
        file.write('{"when": "20')
    assert [(event.number, event.data["state"]) for event in queue.events(run)] == [(1, "queued")]
    with (bench.settings.runs_dir / run / "events.jsonl").open("a") as file:
        file.write("\n")
    queue.cancel(run)
    assert [(event.number, event.data["state"]) for event in queue.events(run, 1)] == [(3, "cancelled")]


def test_a_command_that_recovers_leaves_queued_runs_alone(bench: CounterBench) -> None:
    queue = bench.queue()
    runs = {queue.submit(count()).id, queue.submit(count(start=False)).id}
    desk = make_desk(bench.home / "desk")
    bench_of_command = desk.bench.__class__(
        vault=bench.vault,
        store=bench.store,
        backend=FakeBackend({}),
        runs_dir=bench.settings.runs_dir,
        host=dict,
    )
    assert recover_runs(bench_of_command) == ()
    assert {run.id for run in queue.page().runs} == runs


def test_a_rebuilt_index_keeps_queued_runs_and_gives_back_users_and_answers(bench: CounterBench) -> None:
    queue = bench.queue()
    done = queue.submit(count()).id
    work_until(bench.worker(), lambda: queue.get(done).state.is_final())
    answered = queue.submit(count("kepler")).id
    waiting = queue.submit(count(start=False)).id
    before = queue.page().runs
    bench.store.rebuild(bench.vault)
    assert queue.page().runs == before
    assert [run.id for run in before] == [waiting, answered, done]
    assert [run.user for run in before] == ["tycho", "kepler", "tycho"]
    assert queue.submit(count()).answered_from == done
