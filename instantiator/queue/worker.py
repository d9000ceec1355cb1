"""The worker: takes runs from the queue as this host has room, executes each in a thread, and lives by leases.

A worker that is killed leaves runs whose lease nobody renews; the next one takes them over. It is killed
safely at any moment: its containers go with it, and a run has one record for ever.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from instantiator.engine.wire import EngineUnreachable
from instantiator.host import probe_memory_mb
from instantiator.queue.endings import Endings
from instantiator.queue.execute import Executor, Task
from instantiator.thread.judge import judge_repeat
from instantiator.thread.verify import read_record
from provenance.errors import ThawError
from provenance.record import RunState
from provenance.store import Claiming, QueuedRow, is_alive, this_process
from provenance.vault import Vault

_log = logging.getLogger(__name__)
_STOP_PATIENCE_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How much all queued runs together may take of this host."""

    cpus: float
    memory_mb: int


def capacity_of_host() -> Capacity:
    """All of it: recipes declare what they need, and the sum never is more."""
    return Capacity(cpus=float(len(os.sched_getaffinity(0))), memory_mb=probe_memory_mb())


class Worker:
    """One process' share of the work. `lease_s` is how long a run waits after its worker died."""

    def __init__(
        self,
        executor: Executor,
        endings: Endings,
        capacity: Capacity,
        *,
        lease_s: float = 10.0,
        tick_s: float = 0.1,
    ) -> None:
        self._executor = executor
        self._endings = endings
        self._capacity = capacity
        self._lease = timedelta(seconds=lease_s)
        self._beat_s = min(1.0, lease_s / 5)
        self._tick_s = tick_s
        self._tasks: dict[str, tuple[Task, threading.Thread]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._owner = this_process()
        self._vault: Vault = executor.bench.vault
        self._table = executor.bench.store.queue

    def work(self, stop: Callable[[], bool], *, grace: Callable[[], bool] = lambda: False) -> None:
        """Work until told to stop. While `grace` says so, runs under way may come to their end and none is begun;

        then those left are stopped, and handed back to the next worker.
        """
        ending = threading.Event()
        keeping = threading.Thread(target=self._keep_house, args=(ending,), name="house", daemon=True)
        self.beat()
        keeping.start()
        beaten = time.monotonic()
        try:
            while not stop() or (self._is_busy() and grace()):
                if time.monotonic() - beaten >= self._beat_s:
                    self._tell_trouble(self.beat)
                    beaten = time.monotonic()
                if not stop():
                    self._tell_trouble(self.claim_all)
                self._wake.wait(self._tick_s)
                self._wake.clear()
        finally:
            ending.set()
            keeping.join(_STOP_PATIENCE_S)
            self._stop_tasks()
            self._table.forget_worker(self._owner)

    def beat(self) -> None:
        """Renew the leases, and hear which runs somebody wants ended."""
        with self._lock:
            tasks = {run: task for run, (task, _) in self._tasks.items()}
        now = datetime.now(UTC)
        for run, reason in self._table.beat(self._owner, tasks, now, now + self._lease).items():
            tasks[run].reason = reason
            tasks[run].cancel.set()

    def claim_all(self) -> None:
        """Begin as many runs as there is room for."""
        if self._executor.engine_is_lost.is_set() and not self._engine_answers():
            return
        while (row := self._claim()) is not None:
            task = Task(row)
            thread = threading.Thread(
                target=self._carry_out, args=(task,), name=f"run-{task.run}", daemon=True
            )
            with self._lock:
                self._tasks[task.run] = (task, thread)
            thread.start()

    def keep_house_once(self) -> None:
        """Record what was called off while it waited, drop what is due, judge what was repeated."""
        for row in self._table.cancelled():
            assert row.entry is not None
            self._endings.give_up(row.run.id, RunState.CANCELLED, row.entry.cancelled or "")
        now = datetime.now(UTC)
        for row in self._table.expired(now):
            self._destroy(row, now)
        for row in self._table.to_judge():
            self._judge(row)
        for worker in self._table.workers():
            if now - worker.beat > self._lease and not is_alive(worker.owner):
                self._table.forget_worker(worker.owner)

    def _is_busy(self) -> bool:
        with self._lock:
            return bool(self._tasks)

    def _claim(self) -> QueuedRow | None:
        now = datetime.now(UTC)
        with self._lock:
            active = tuple(self._tasks)
        return self._table.claim(
            Claiming(
                owner=self._owner,
                active=active,
                is_alive=is_alive,
                now=now,
                leased_until=now + self._lease,
                cpus=self._capacity.cpus,
                memory_mb=self._capacity.memory_mb,
                may_execute=self._endings.limits.executing_of,
            )
        )

    def _carry_out(self, task: Task) -> None:
        began = time.monotonic()
        _log.info("a run begins", extra=_described(task))
        try:
            self._executor.carry_out(task)
        finally:
            seconds = round(time.monotonic() - began, 3)
            _log.info("a run is left", extra={**_described(task), "seconds": seconds})
            with self._lock:
                self._tasks.pop(task.run, None)
            self._wake.set()

    def _engine_answers(self) -> bool:
        try:
            self._executor.bench.backend.running()
        except EngineUnreachable:
            return False
        self._executor.engine_is_lost.clear()
        return True

    def _keep_house(self, ending: threading.Event) -> None:
        while not ending.wait(1):
            self._tell_trouble(self.keep_house_once)

    def _destroy(self, row: QueuedRow, now: datetime) -> None:
        """Drop the folder of a run, once it is finished; one under way is called off first."""
        run = row.run.id
        if row.entry is not None and not row.entry.destroyed:
            self._table.hide(run, now)
        if row.run.state.is_final():
            self._endings.drop_folder(run)
            self._table.swept(run)
        else:
            self._table.cancel(run, "its time of destruction came")

    def _judge(self, row: QueuedRow) -> None:
        """Judge a run that was executed again in silence. What was stopped from outside shows nothing."""
        store = self._executor.bench.store
        repeated = read_record(row.run, self._vault)
        if repeated.repeats is not None and repeated.state not in (RunState.CANCELLED, RunState.INTERRUPTED):
            record = read_record(store.run(repeated.repeats), self._vault)
            verdict = judge_repeat(record, repeated, self._vault)
            digest = self._vault.put_bytes(verdict.to_bytes())
            store.add_verdict(
                record.run,
                repeated_by=repeated.run,
                grade=verdict.grade,
                verdict=digest,
                judged=verdict.judged,
            )
        self._table.judged(row.run.id)

    def _stop_tasks(self) -> None:
        with self._lock:
            tasks = tuple(self._tasks.values())
        for task, _ in tasks:
            task.is_stopped = True
            task.cancel.set()
        deadline = time.monotonic() + _STOP_PATIENCE_S
        for _, thread in tasks:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _tell_trouble(self, act: Callable[[], None]) -> None:
        """Do something that is done again soon: a store that is busy, or a full disk, must not end the worker."""
        try:
            act()
        except ThawError as error:
            _log.error("%s", error)


def _described(task: Task) -> dict[str, object]:
    row = task.row.run
    return {"run": row.id, "user": row.user or "", "recipe": row.recipe}
