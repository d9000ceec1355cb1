"""Carry out one claimed run: prepare it from its draft, execute it, record it, whatever happened before."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from instantiator.dataset import open_dataset
from instantiator.engine.wire import EngineUnreachable
from instantiator.job.spec import JobEnd, RunId
from instantiator.progress import Progress, step
from instantiator.queue.answers import find_answer
from instantiator.queue.bench import QueueBench
from instantiator.queue.endings import Endings
from instantiator.queue.events import Told
from instantiator.thread.plan import RunPlan, plan_repeat
from instantiator.thread.run import RunBench, conclude_run, do_job, lay_out_run
from instantiator.thread.verify import Repeater, lay_out_input, prepare_image, read_recorded_lock
from provenance.errors import ThawError
from provenance.record import Record, RecordedInput, RunState
from provenance.store import QueuedRow, QueueEntry, this_process

ATTEMPTS = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a draft became: a plan, and the folder of each of its inputs on this host."""

    plan: RunPlan
    sources: Mapping[str, Path]


Prepare = Callable[[Record, Progress], Prepared]


class Task:
    """One run in the hands of a worker. `cancel` ends it; `reason` says why; `is_stopped` that the worker ends."""

    def __init__(self, row: QueuedRow) -> None:
        assert row.entry is not None
        self.run = RunId(row.run.id)
        self.row = row
        self.entry: QueueEntry = row.entry
        self.cancel = threading.Event()
        self.reason = "it was cancelled"
        self.is_stopped = False


class Executor:
    """What tasks are carried out with; used by many threads at once."""

    def __init__(self, bench: RunBench, endings: Endings, prepare: Prepare) -> None:
        self.bench = bench
        self._endings = endings
        self._prepare = prepare
        self.engine_is_lost = threading.Event()

    def carry_out(self, task: Task) -> None:
        """Bring a claimed run to its record, or back into the hands of a worker. Raises nothing."""
        try:
            if self._is_to_begin(task):
                self._execute(task)
        except ThawError as error:
            self._fail(task, error.message)
        except Exception as error:  # noqa: BLE001  # a thread's last line of defence: the run must end
            _log.exception("run %s met a defect", task.run)
            self._fail(task, f"this is a defect of Thaw: {type(error).__name__}: {error}")

    def _is_to_begin(self, task: Task) -> bool:
        """Whether the run is still to be executed; where it is not, it is ended here."""
        run, entry = task.run, task.entry
        if entry.attempts > 1 or entry.notes:
            self.bench.backend.remove_leftovers(run)
        if self.bench.store.journal.record_of(run) is not None or entry.cancelled is not None:
            self._endings.give_up(run, RunState.CANCELLED, entry.cancelled or "")
            return False
        if entry.attempts == 1:
            return True
        self.bench.store.queue.note(run, f"attempt {entry.attempts - 1} ended with its worker")
        if entry.is_safe and entry.attempts <= ATTEMPTS:
            return True
        found = self.bench.store.queue.find(run)
        notes = found.entry.notes if found is not None and found.entry is not None else ""
        why = (
            f"{ATTEMPTS} attempts were made" if entry.is_safe else "a run that reaches outside is begun once"
        )
        self._endings.give_up(run, RunState.INTERRUPTED, f"{notes}; {why}")
        return False

    def _execute(self, task: Task) -> None:
        events = self._endings.events(task.run)
        events.tell_state(RunState.EXECUTING, attempt=task.entry.attempts)
        draft = self._endings.read_draft(task.run)
        if draft is None:
            raise ThawError("the draft of the run is gone or damaged", where=str(task.run))
        if not task.entry.is_fresh:
            answer = find_answer(draft, self.bench.store, self.bench.vault)
            if answer is not None:
                self._endings.give_answer(replace(draft, started=task.row.run.started), answer)
                return
        told = Told(events)
        draft = _with_time_limit(draft, task.entry.time_limit_s)
        try:
            self._run_job(task, draft, told)
        except EngineUnreachable as error:
            self._try_again(task, error.message)

    def _run_job(self, task: Task, draft: Record, told: Told) -> None:
        prepared = self._prepare(draft, told)
        folders = self._endings.folders(task.run)
        for left in (folders.work, folders.out):
            shutil.rmtree(left, ignore_errors=True)
        for file in (folders.script, folders.log):
            file.unlink(missing_ok=True)
        lay_out_run(prepared.plan, task.run, self.bench)
        with step(told, "run") as current:
            done = do_job(
                prepared.plan,
                folders,
                prepared.sources,
                self.bench,
                cancel=task.cancel,
                hear=told.hear,
            )
            current.detail = done.result.end.value
        told.tell_size()
        if done.result.end is JobEnd.CANCELLED and task.is_stopped:
            self._hand_back(task)
        elif done.result.end is JobEnd.ENGINE_LOST and self._may_try_again(task):
            self._try_again(task, done.result.message)
        elif self._is_ours(task):
            if done.result.end is JobEnd.CANCELLED:
                done = replace(done, result=replace(done.result, message=task.reason))
            draft = replace(draft, started=task.row.run.started)
            record = conclude_run(draft, prepared.plan, done, self.bench).record
            self._endings.events(task.run).tell_state(record.state, record.message)

    def _is_ours(self, task: Task) -> bool:
        """Whether nobody has taken the run over while this process was held up."""
        row = self.bench.store.run(task.run)
        return row.state is RunState.EXECUTING and row.owner == this_process()

    def _may_try_again(self, task: Task) -> bool:
        return task.entry.is_safe and task.entry.attempts < ATTEMPTS

    def _try_again(self, task: Task, why: str) -> None:
        self.engine_is_lost.set()
        if not self._may_try_again(task):
            self._fail(task, why)
            return
        self._endings.events(task.run).tell_state(RunState.EXECUTING, why)
        self.bench.store.queue.disown(task.run)

    def _hand_back(self, task: Task) -> None:
        """The worker ends, not the run: the next worker begins it anew, as if this attempt had not been."""
        if not task.entry.is_safe:
            self._endings.give_up(task.run, RunState.INTERRUPTED, "the service was stopped")
            return
        attempt = task.entry.attempts
        why = f"attempt {attempt} was stopped with the service"
        self.bench.store.queue.note(task.run, why, forgive=True)
        self.bench.store.queue.disown(task.run)

    def _fail(self, task: Task, message: str) -> None:
        try:
            self._endings.give_up(task.run, RunState.FAILED, message)
        except ThawError as error:  # a full disk: its lease ends, and it is taken up again
            _log.error("run %s cannot be recorded: %s", task.run, error)


def _with_time_limit(draft: Record, time_limit_s: int) -> Record:
    limits = {**draft.job.limits, "time_s": min(draft.job.limits["time_s"], time_limit_s)}
    return replace(draft, job=replace(draft.job, limits=limits))


def preparer(bench: QueueBench, runs: RunBench) -> Prepare:
    """What makes a draft ready: its image in the engine, its datasets as folders. No recipe is read."""
    repeater = Repeater(
        bench=runs, workshop=bench.workshop, mirrors=bench.mirrors, trees_dir=bench.settings.trees_dir
    )

    def prepare(draft: Record, progress: Progress) -> Prepared:
        lock = read_recorded_lock(draft, bench.vault)
        with step(progress, "image") as current:
            prepare_image(draft, lock, repeater, progress)
            current.detail = draft.image[7:19]
        with step(progress, "datasets") as current:
            sources = {item.name: lay_out(item, repeater) for item in draft.inputs}
            current.detail = ", ".join(item.dataset for item in draft.inputs)
        used = f"script of run {draft.run}"
        digest = draft.job.script
        script = bench.vault.read_bytes(digest, used_by=used) if digest is not None else None
        plan = plan_repeat(draft, lock, script=script, inputs=draft.inputs)
        return Prepared(plan=replace(plan, repeats=draft.repeats), sources=sources)

    return prepare


def lay_out(item: RecordedInput, repeater: Repeater) -> Path:
    """The folder of an input: of the dataset it was registered as, else made from the vault."""
    bench = repeater.bench
    name, _, version = item.dataset.partition("@")
    dataset = bench.store.dataset(name, int(version)) if version.isdecimal() else None
    if dataset is None or dataset.digest != item.digest:
        return lay_out_input(item, repeater)
    return open_dataset(
        item.dataset,
        vault=bench.vault,
        store=bench.store,
        trees_dir=repeater.trees_dir,
        now=datetime.now(UTC),
    ).mount_source
