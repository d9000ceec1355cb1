"""A run from its plan to its record, however it ends and wherever it is killed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.job.backend import Backend, RunningJob
from instantiator.job.spec import JobEnd, JobResult, JobSpec, RunId
from instantiator.thread import run as runs
from instantiator.thread.run import RunBench, execute_plan, recover_runs
from provenance.digest import Digest
from provenance.errors import ThawError
from provenance.record import Record, RunState, record_from_bytes
from provenance.store import Owner, RunRow
from tests.fakes import FakeBackend, FakeProcess
from tests.unit.thread.examples import GOOD, Desk, make_desk, program

DEAD = Owner(pid=1, start_ticks=1, boot_id="a boot long ago")


def kept_record(desk: Desk, digest: Digest) -> Record:
    """A record as the vault has it."""
    return record_from_bytes(desk.bench.vault.read_bytes(digest))


def rows(desk: Desk) -> tuple[RunRow, ...]:
    """All runs of the store."""
    return desk.bench.store.runs(100)


def test_a_completed_run_is_recorded_with_its_outputs_and_its_log(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    finished = desk.run()
    record = kept_record(desk, finished.digest)
    assert record == finished.record
    assert (record.state, record.exit_status, record.message) == (RunState.COMPLETED, 0, "")
    assert [(output.name, output.path) for output in record.outputs] == [
        ("result", "flat.txt"),
        ("logs", "logs/a.log"),
    ]
    assert [desk.bench.vault.read_bytes(output.digest) for output in record.outputs] == [
        b"# made today\n1 2 3\n",
        b"fine\n",
    ]
    assert record.log is not None
    assert desk.bench.vault.read_bytes(record.log) == b"reading m31.fits\ndone\n"
    assert (record.resources["output_bytes"], record.host) == (24, {"kernel": "6.1"})
    assert record.submitted <= (record.started or record.ended) <= record.ended


def test_a_finished_run_leaves_its_outputs_and_log_on_disk_and_nothing_else(tmp_path: Path) -> None:
    finished = make_desk(tmp_path).run()
    left = sorted(path.name for path in finished.out.parent.iterdir())
    assert left == ["log", "out", "script"]


def test_the_script_that_ran_is_the_one_the_record_names(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    finished = desk.run()
    script = finished.record.job.script
    assert script is not None
    assert desk.bench.vault.read_bytes(script) == (finished.out.parent / "script").read_bytes()


def test_the_program_is_heard_as_it_prints(tmp_path: Path) -> None:
    heard: list[bytes] = []
    make_desk(tmp_path).run(hear=heard.append)
    assert b"".join(heard) == b"reading m31.fits\ndone\n"


def _time_out(process: FakeProcess) -> int:
    process.wait(3600)
    return 0


def _eat_memory(process: FakeProcess) -> int:
    process.take_memory(1 << 40)
    return 0


def _fill_log(process: FakeProcess) -> int:
    process.print("x" * (17 << 20))
    return 0


@pytest.mark.parametrize(
    ("run", "state", "message"),
    [
        (program(says="*** ERR no such frame\n"), RunState.FAILED, "MIDAS says: *** ERR no such frame"),
        (program({"flat.txt": b"1"}, status=2), RunState.FAILED, "exit status 2, expected 0"),
        (program(), RunState.FAILED, "1 of 1 outputs missing: result (flat.txt)"),
        (_time_out, RunState.TIMED_OUT, "it ran longer than its time limit of 60 s"),
        (_eat_memory, RunState.OUT_OF_MEMORY, "it needed more than the 1024 MiB of its memory limit"),
        (_fill_log, RunState.FAILED, "it printed more than the 16 MiB a log may hold"),
    ],
)
def test_a_run_that_goes_wrong_is_recorded_with_the_reason(
    tmp_path: Path, run: Callable[[FakeProcess], int], state: RunState, message: str
) -> None:
    desk = make_desk(tmp_path, run)
    record = kept_record(desk, desk.run().digest)
    assert (record.state, message in record.message) == (state, True)
    assert [(row.state, row.message) for row in rows(desk)] == [(state, record.message)]


def test_a_cancelled_run_is_recorded_with_what_it_left(tmp_path: Path) -> None:
    cancel = threading.Event()

    def run(process: FakeProcess) -> int:
        GOOD(process)
        cancel.set()
        process.wait(1)
        return 0

    record = make_desk(tmp_path, run).run(cancel=cancel).record
    assert (record.state, record.exit_status, record.message) == (
        RunState.CANCELLED,
        None,
        "it was cancelled",
    )
    assert [output.path for output in record.outputs] == ["flat.txt", "logs/a.log"]


class Broken:
    """A backend that cannot begin, or dies: it raises what it is given."""

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self.removed: list[RunId] = []

    def execute(self, job: JobSpec, **_rest: object) -> JobResult:
        raise self._error

    def running(self) -> tuple[RunningJob, ...]:
        return ()

    def remove_leftovers(self, run: RunId) -> int:
        self.removed.append(run)
        return 1


def with_backend(desk: Desk, backend: Backend) -> Desk:
    """The same desk with another backend."""
    return replace(desk, bench=replace(desk.bench, backend=backend))


def test_a_run_that_could_not_begin_is_no_run(tmp_path: Path) -> None:
    desk = with_backend(make_desk(tmp_path), Broken(ThawError("the engine does not answer")))
    with pytest.raises(ThawError, match="does not answer"):
        desk.run()
    assert rows(desk) == ()
    assert list(desk.bench.runs_dir.iterdir()) == []


def test_a_lost_engine_interrupts_a_run_and_that_is_its_record(tmp_path: Path) -> None:
    class Lost(Broken):
        def execute(self, job: JobSpec, **_rest: object) -> JobResult:
            return JobResult(
                end=JobEnd.ENGINE_LOST, exit_status=None, message="the engine went away", wall_s=1.0
            )

    record = with_backend(make_desk(tmp_path), Lost(SystemExit())).run().record
    assert (record.state, record.message) == (RunState.INTERRUPTED, "the engine went away")


class Killed(BaseException):
    """Stands for kill -9: no `except` of the code under test may catch it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, target: object, name: str, *, after: bool = False) -> None:
    """Make a function die instead of doing its work, or right after it."""
    work = getattr(target, name)

    def die(*arguments: object, **options: object) -> object:
        if after:
            work(*arguments, **options)
        raise Killed(name)

    monkeypatch.setattr(target, name, die)


MOMENTS = [
    ("lay_out_run", False),
    ("lay_out_run", True),
    ("draft_record", True),
    ("do_job", False),
    ("do_job", True),
    ("find_outputs", False),
    ("judge_outcome", True),
    ("keep_outputs", False),
    ("keep_outputs", True),
    ("finish_record", True),
    ("keep_record", False),
]


@pytest.mark.parametrize(("moment", "after"), MOMENTS)
def test_a_run_killed_at_any_moment_is_recovered_exactly_once(
    tmp_path: Path, moment: str, after: bool
) -> None:
    desk = make_desk(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "this_process", lambda: DEAD)
        kill_at(patch, runs, moment, after=after)
        with pytest.raises(Killed):
            desk.run()
    has_begun = moment not in ("lay_out_run", "draft_record")
    recovered = recover_runs(desk.bench)
    assert [record.state for record in recovered] == [RunState.INTERRUPTED] * has_begun
    assert [row.state for row in rows(desk)] == [RunState.INTERRUPTED] * has_begun
    assert all(row.record is not None for row in rows(desk))
    assert recover_runs(desk.bench) == ()
    assert [path for path in desk.bench.runs_dir.glob("*/*") if path.name in ("work", "draft.json")] == []


def test_a_kill_after_the_record_was_kept_loses_nothing(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "this_process", lambda: DEAD)
        kill_at(patch, runs, "keep_record", after=True)
        with pytest.raises(Killed):
            desk.run()
    assert recover_runs(desk.bench) == ()
    assert [row.state for row in rows(desk)] == [RunState.COMPLETED]


def test_a_record_journalled_before_the_kill_is_the_one_that_stands(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    journal, vault = desk.bench.store.journal, desk.bench.vault

    def journal_and_die(record: Record, _bench: RunBench) -> Digest:
        journal.add_run(record.run, vault.put_bytes(record.to_bytes()))
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "this_process", lambda: DEAD)
        patch.setattr(runs, "keep_record", journal_and_die)
        with pytest.raises(Killed):
            desk.run()
    (record,) = recover_runs(desk.bench)
    assert (record.state, len(record.outputs)) == (RunState.COMPLETED, 2)
    assert [(row.state, row.record) for row in rows(desk)] == [(RunState.COMPLETED, record.digest)]


def interrupt(desk: Desk, moment: str = "finish_record") -> RunId:
    """Leave a run of a dead process behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "this_process", lambda: DEAD)
        kill_at(patch, runs, moment)
        with pytest.raises(Killed):
            desk.run()
    return RunId(rows(desk)[0].id)


def test_a_recovered_run_has_its_log_its_times_and_its_reason(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    interrupt(desk)
    (record,) = recover_runs(desk.bench)
    assert record.message == "Thaw was killed while the run was under way"
    assert record.log is not None
    assert desk.bench.vault.read_bytes(record.log) == b"reading m31.fits\ndone\n"
    assert record.started is not None
    assert record.outputs == ()


def test_what_a_killed_run_left_in_the_engine_is_removed(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    run = interrupt(desk)
    backend = FakeBackend({}, leftovers=(run,))
    recover_runs(replace(desk.bench, backend=backend))
    assert backend.running() == ()


def test_a_run_somebody_looks_after_is_left_alone(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, runs, "finish_record")
        with pytest.raises(Killed):
            desk.run()
    assert recover_runs(desk.bench) == ()
    assert [row.state for row in rows(desk)] == [RunState.EXECUTING]


@pytest.mark.parametrize("damage", [b"", b'{"format":1', None])
def test_a_run_of_which_nothing_is_known_does_not_block_the_others(
    tmp_path: Path, damage: bytes | None
) -> None:
    desk = make_desk(tmp_path)
    lost = interrupt(desk)
    draft = desk.bench.runs_dir / lost / "draft.json"
    if damage is None:
        draft.unlink()
    else:
        draft.write_bytes(damage)
    other = interrupt(desk)
    assert [record.run for record in recover_runs(desk.bench)] == [other]
    assert [row.id for row in rows(desk)] == [other]
    assert not draft.parent.exists()


def test_a_run_that_another_thaw_recorded_meanwhile_keeps_that_record(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    run = interrupt(desk)
    unfinished = desk.bench.store.unfinished_of_dead_owners(lambda _owner: False)
    recover_runs(desk.bench)
    store = desk.bench.store
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "unfinished_of_dead_owners", lambda _is_alive: unfinished)
        assert recover_runs(desk.bench) == ()
    assert store.run(run).state is RunState.INTERRUPTED
    assert (desk.bench.runs_dir / run / "out").is_dir()


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    assert desk.run().out != desk.run().out


def test_a_repeat_says_what_it_repeats(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    first = desk.run()
    plan = replace(desk.plan(), repeats=first.run)
    again = execute_plan(
        plan, {"frame": desk.frame.source}, desk.bench, cancel=threading.Event(), hear=lambda _content: None
    )
    assert (again.record.repeats, rows(desk)[0].repeats) == (first.run, first.run)
    assert again.record.outputs == first.record.outputs
