"""The queue as services use it: submit, start, follow, cancel, destroy. A worker process executes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from instantiator.job.spec import RunId
from instantiator.queue.answers import find_answer
from instantiator.queue.bench import QueueBench, limits_of
from instantiator.queue.endings import Endings
from instantiator.queue.errors import CursorInvalid, IdempotencyConflict, QueueFull, QuotaReached
from instantiator.queue.model import Event, Page, Phase, QueuedRun, QueueLimits, Submission
from instantiator.queue.submit import Draft, content_digest, draft_submission, lower_limit
from instantiator.thread.run import begin_run_id
from provenance.record import Record, RunState, format_time, parse_time, record_from_bytes
from provenance.store import (
    QueuedRow,
    QueueEntry,
    RunsAsked,
    RunTaken,
    RunUnknown,
    StateIllegal,
    Waiting,
    WorkerRow,
    this_process,
)

_POLL_S = 0.1
_DRAWS = 20
_PAGE = 1000


class Queue:
    """Runs of many users. Safe under threads and other processes; every call is a short one but `wait`."""

    def __init__(self, bench: QueueBench, limits: QueueLimits | None = None) -> None:
        self._bench = bench
        self.limits = limits or limits_of(bench.settings)
        self._table = bench.store.queue
        self._endings = Endings(
            store=bench.store, vault=bench.vault, runs_dir=bench.settings.runs_dir, limits=self.limits
        )

    def submit(self, asked: Submission) -> QueuedRun:
        """Check and plan a run, then queue it; a mistake is refused here and nothing is kept.

        Work that was done before comes back completed at once, unless asked for fresh. Raises what recipes,
        parameters and datasets raise, `QueueFull`, `QuotaReached` and `IdempotencyConflict`.
        """
        known = self._table.with_key(asked.user, asked.idempotency_key)
        if known is not None:
            return self._same(known, asked)
        draft = draft_submission(asked, self._bench)
        answer = self._answer(draft.record) if asked.start and not asked.fresh else None
        draft, standing = self._add(draft, asked, is_answered=answer is not None)
        if standing.run != draft.record.run:
            return self._same(standing, asked)
        if answer is not None:
            self._give(draft.record, answer)
        return self.get(standing.run)

    def start(self, run: str) -> QueuedRun:
        """Let a pending run be executed; one that was started already stays as it is."""
        row = self._find(run)
        if row.run.state is not RunState.PENDING or row.entry is None:
            return self.get(run)
        draft = self._endings.read_draft(run)
        answer = self._answer(draft) if draft is not None and not row.entry.is_fresh else None
        if answer is None or draft is None:
            if self._table.start(run):
                self._endings.events(run).tell_state(RunState.QUEUED)
            return self.get(run)
        self._bench.store.set_state(run, RunState.EXECUTING, started=datetime.now(UTC), owner=this_process())
        self._give(draft, answer)
        return self.get(run)

    def cancel(self, run: str, reason: str = "it was cancelled") -> QueuedRun:
        """End an unfinished run; a finished one stays as it is.

        One that waits is recorded at once, one that executes when its worker has stopped it. Raises
        `StateIllegal` for a run that another command executes.
        """
        row = self._find(run)
        if row.run.state.is_final():
            return self.get(run)
        if row.entry is None:
            raise StateIllegal(
                f"run {run} was not queued: the command that began it executes it",
                where=run,
                hint="end it there, with Ctrl-C",
            )
        self._table.cancel(run, reason)
        if self._find(run).run.state is not RunState.EXECUTING:
            self._endings.give_up(run, RunState.CANCELLED, reason)
        return self.get(run)

    def get(self, run: str) -> QueuedRun:
        """The run with exactly this id; raises `RunUnknown`, for a destroyed one too."""
        row = self._find(run)
        is_queued = row.run.state is RunState.QUEUED and row.entry is not None
        return _shown(row, position=self._table.count_before(row) + 1 if is_queued else None)

    def page(
        self,
        *,
        users: Sequence[str | None] = (),
        states: Collection[RunState] = (),
        recipe: str | None = None,
        thread: str | None = None,
        after: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Runs, newest first. No `users` is everybody, None among them nobody; `after` leaves out older ones."""
        limit = max(1, min(limit, _PAGE))
        asked = RunsAsked(
            users=tuple(users),
            states=tuple(states),
            recipe=recipe,
            thread=thread,
            after=after,
            below=_read_cursor(cursor) if cursor is not None else None,
        )
        rows = self._table.page(asked, limit + 1)
        shown = tuple(_shown(row, position=None) for row in rows[:limit])
        return Page(runs=shown, next=_cursor(shown[-1]) if len(rows) > limit else None)

    def set_destruction(self, run: str, when: datetime | None) -> QueuedRun:
        """When the run's results are dropped; None is never."""
        self._find(run)
        self._table.set_destruction(run, when)
        return self.get(run)

    def set_time_limit(self, run: str, seconds: int) -> QueuedRun:
        """Lower the time limit of a run that is not executed yet; raises `StateIllegal` where it is."""
        self._find(run)
        draft = self._endings.read_draft(run)
        declared = int(draft.job.limits["time_s"]) if draft is not None else seconds
        if not self._table.set_time_limit(run, lower_limit(declared, seconds)):
            raise StateIllegal(
                f"run {run} is executed or finished: its time limit is settled",
                where=run,
                hint="set it before the run is started: submit with start=false",
            )
        return self.get(run)

    def destroy(self, run: str) -> None:
        """Cancel the run if it is not finished, drop its folder, and show it no more. Its record is kept."""
        row = self._find(run)
        if not row.run.state.is_final():
            self.cancel(run, "it was destroyed")
        self._table.hide(run, datetime.now(UTC))
        if self._bench.store.run(run).state.is_final():
            self._endings.drop_folder(run)
            self._table.swept(run)

    def wait(self, run: str, seconds: float, phase: Phase | None = None) -> QueuedRun:
        """The run once it is in another phase than `phase` (than now), or final, or the seconds are over."""
        deadline = time.monotonic() + seconds
        found = self.get(run)
        phase = phase or found.phase
        while found.phase is phase and not phase.is_final():
            left = deadline - time.monotonic()
            if left <= 0:
                return found
            time.sleep(min(_POLL_S, left))
            found = self.get(run)
        return found

    def events(self, run: str, after: int = 0) -> tuple[Event, ...]:
        """What happened to the run since event number `after`."""
        self._find(run)
        return self._endings.events(run).read(after)

    def log(self, run: str, offset: int = 0, size: int = 1 << 16) -> tuple[bytes, int]:
        """At most `size` bytes of what the program printed, from `offset`, and where the log ends by now."""
        row = self._find(run).run
        vault = self._bench.vault
        path = self._endings.folders(run).log
        if row.record is not None:
            record = record_from_bytes(vault.read_bytes(row.record, used_by=f"record of run {run}"))
            if record.log is None:
                return b"", 0
            path = vault.path(record.log)
        try:
            with path.open("rb") as file:
                end = file.seek(0, 2)
                file.seek(min(offset, end))
                return file.read(size), end
        except FileNotFoundError:
            return b"", 0

    def workers(self) -> tuple[WorkerRow, ...]:
        """The worker processes that said they live, and when."""
        return self._table.workers()

    def _find(self, run: str) -> QueuedRow:
        found = self._table.find(run)
        if found is None:
            raise RunUnknown(f"there is no run {run!r}", where=run, hint="see the runs there are: thaw runs")
        return found

    def _answer(self, draft: Record) -> Record | None:
        return find_answer(draft, self._bench.store, self._bench.vault)

    def _same(self, known: QueueEntry, asked: Submission) -> QueuedRun:
        if known.content != content_digest(asked):
            raise IdempotencyConflict(
                f"the key {asked.idempotency_key!r} was used for another submission: run {known.run}",
                where=known.run,
                hint="draw a new key for each new run; repeat a key only with the very same content",
            )
        return self.get(known.run)

    def _add(self, draft: Draft, asked: Submission, *, is_answered: bool) -> tuple[Draft, QueueEntry]:
        """Write the draft, then the row: what is in the queue can be executed. An id that is taken is drawn anew."""
        state = RunState.QUEUED if asked.start else RunState.PENDING
        state = RunState.EXECUTING if is_answered else state
        for _ in range(_DRAWS):
            try:
                return draft, self._add_once(draft, state)
            except RunTaken:
                drawn = begin_run_id(datetime.now(UTC))
                draft = Draft(record=replace(draft.record, run=drawn), entry=replace(draft.entry, run=drawn))
        raise RunTaken(f"{_DRAWS} ids were drawn and all are taken", hint="submit it again")

    def _add_once(self, draft: Draft, state: RunState) -> QueueEntry:
        run = draft.record.run
        self._endings.keep_draft(draft)
        self._endings.events(run).tell_state(state)
        try:
            standing = self._table.add(draft.row, draft.entry, state, self._room_for(draft.entry.user, state))
        except BaseException:
            self._endings.drop_folder(run)
            raise
        if standing.run != run:
            self._endings.drop_folder(run)
        return standing

    def _give(self, draft: Record, answer: Record) -> None:
        try:
            self._endings.give_answer(draft, answer)
        except BaseException:
            self._table.disown(draft.run)  # a worker executes it then
            raise

    def _room_for(self, user: str, state: RunState) -> Callable[[Waiting], None]:
        def check(waiting: Waiting) -> None:
            if state is RunState.EXECUTING:  # answered already
                return
            if waiting.together >= self.limits.queued_together:
                raise QueueFull(
                    f"{waiting.together} runs wait, and no more than {self.limits.queued_together} may",
                    hint="submit it again later",
                )
            most = self.limits.queued_of(user)
            if waiting.of_user >= most:
                raise QuotaReached(
                    f"{waiting.of_user} runs of {user!r} wait, and no more than {most} of this user may",
                    hint="wait for some to end, or cancel some",
                )

        return check


def _shown(row: QueuedRow, *, position: int | None) -> QueuedRun:
    run, entry = row.run, row.entry
    notes = entry.notes if entry is not None else ""
    return QueuedRun(
        id=RunId(run.id),
        user=run.user or "",
        recipe=run.recipe,
        thread=run.thread,
        parameters=run.parameters,
        inputs=run.inputs,
        state=run.state,
        submitted=run.submitted,
        started=run.started,
        ended=run.ended,
        record=run.record,
        exit_status=run.exit_status,
        message=run.message if notes in run.message else "; ".join(filter(None, (notes, run.message))),
        priority=entry.priority if entry is not None else 0,
        position=position,
        time_limit_s=entry.time_limit_s if entry is not None else 0,
        destruction=entry.destruction if entry is not None else None,
        label=entry.label if entry is not None else "",
        attempts=entry.attempts if entry is not None else 1,
        answered_from=run.answered_from,
        kind=run.kind,
        repeats=run.repeats,
    )


def _cursor(run: QueuedRun) -> str:
    return f"{format_time(run.submitted)}~{run.id}"


def _read_cursor(cursor: str) -> tuple[str, str]:
    when, _, run = cursor.partition("~")
    try:
        return format_time(parse_time(when)), run
    except ValueError as error:
        raise CursorInvalid(
            f"{cursor!r} is no cursor", hint="take the one a page gave, or none for the first page"
        ) from error
