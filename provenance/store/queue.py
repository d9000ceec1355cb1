"""The SQL about runs that wait their turn: who asked, who executes, until when his lease holds."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from provenance.record import RunState, format_time, parse_time
from provenance.store import runs as run_rows
from provenance.store.database import Database
from provenance.store.queue_rows import (
    Claiming,
    QueuedRow,
    QueueEntry,
    RunsAsked,
    Waiting,
    WorkerRow,
)
from provenance.store.rows import NewRun, Owner, RunRow

_WAITING = "state IN ('pending', 'queued')"


class QueueTable:
    """The queue within the store. Everything is one transaction, and holds for all processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, run: NewRun, entry: QueueEntry, state: RunState, check_room: Callable[[Waiting], None]
    ) -> QueueEntry:
        """Add a run in `state`; gives its entry, or the one that was added with the same user's same key.

        `check_room` raises where it may not come in. Raises `RunTaken` where the id is another run's.
        """
        with self._database.write() as connection:
            known = _entry_with_key(connection, entry.user, entry.idempotency_key)
            if known is not None:
                return known
            check_room(_count_waiting(connection, run.user))
            run_rows.insert_run(connection, run)
            _insert(connection, entry)
            if state is not RunState.PENDING:
                connection.execute("UPDATE runs SET state = ? WHERE id = ?", (state.value, run.id))
            if state is not RunState.EXECUTING:
                _disown(connection, run.id)
        return entry

    def with_key(self, user: str, key: str) -> QueueEntry | None:
        """What this user asked for with this key before."""
        with self._database.read() as connection:
            return _entry_with_key(connection, user, key)

    def find(self, run: str) -> QueuedRow | None:
        """The run with exactly this id, unless it was destroyed."""
        with self._database.read() as connection:
            row, entry = run_rows.get_run(connection, run), _entry(connection, run)
        if row is None or (entry is not None and entry.destroyed):
            return None
        return QueuedRow(run=row, entry=entry)

    def page(self, asked: RunsAsked, limit: int) -> tuple[QueuedRow, ...]:
        """At most `limit` runs that were not destroyed, newest first."""
        with self._database.read() as connection:
            rows = _list(connection, asked, limit)
            found = {row.id: _entry(connection, row.id) for row in rows}
        return tuple(QueuedRow(run=row, entry=found[row.id]) for row in rows)

    def count_before(self, row: QueuedRow) -> int:
        """How many queued runs have a higher priority, or the same and came earlier."""
        assert row.entry is not None
        with self._database.read() as connection:
            (count,) = connection.execute(
                "SELECT count(*) FROM runs JOIN queue ON queue.run = runs.id WHERE state = 'queued'"
                " AND (priority > ? OR (priority = ? AND (submitted, id) < (?, ?)))",
                (row.entry.priority, row.entry.priority, format_time(row.run.submitted), row.run.id),
            ).fetchone()
        return int(count)

    def start(self, run: str) -> bool:
        """Put a pending run into the queue; whether it was pending."""
        with self._database.write() as connection:
            done = connection.execute(
                "UPDATE runs SET state = 'queued' WHERE id = ? AND state = 'pending'", (run,)
            )
            return done.rowcount == 1

    def disown(self, run: str) -> None:
        """Nobody executes the run any more: the next worker that asks gets it."""
        with self._database.write() as connection:
            _disown(connection, run)
            connection.execute("UPDATE queue SET leased_until = NULL WHERE run = ?", (run,))

    def claim(self, asked: Claiming) -> QueuedRow | None:
        """Give a worker the run whose turn it is: it executes from now on, leased. None where nothing may.

        First those whose worker died, then by priority; within one, a run of the user who has the fewest
        executing, and of those the one who was served longest ago. Nothing overtakes a run that waits for
        room: else a large one would wait for ever. What is larger than the host has it alone.
        """
        with self._database.read() as connection:
            if not _is_work(connection):
                return None
        with self._database.write() as connection:
            executing = _join(connection, "state = 'executing'")
            left = [row for row in executing if _is_left(row, asked, _leased_until(connection, row.run.id))]
            held = [row for row in executing if row not in left]
            chosen = next(iter(left), None) or _next_queued(connection, held, asked.may_execute)
            if chosen is None or not _has_room(chosen, held, asked):
                return None
            _lease(connection, chosen, asked)
            return _join(connection, "runs.id = ?", (chosen.run.id,))[0]

    def beat(self, owner: Owner, runs: Iterable[str], now: datetime, until: datetime) -> Mapping[str, str]:
        """A worker lives: its leases are renewed. Gives the runs of it that somebody wants ended, and why."""
        with self._database.write() as connection:
            key = (owner.pid, owner.start_ticks, owner.boot_id)
            connection.execute(
                "INSERT INTO workers VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET beat = excluded.beat",
                (*key, format_time(now), format_time(now)),
            )
            cancelled = {}
            for run in runs:
                connection.execute(
                    "UPDATE queue SET leased_until = ? WHERE run = ?", (format_time(until), run)
                )
                entry = _entry(connection, run)
                if entry is not None and entry.cancelled is not None:
                    cancelled[run] = entry.cancelled
        return cancelled

    def workers(self) -> tuple[WorkerRow, ...]:
        """The workers there are, or were; those that died are forgotten by `forget_worker`."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT * FROM workers ORDER BY started").fetchall()
        return tuple(
            WorkerRow(
                owner=Owner(pid=row["pid"], start_ticks=row["start_ticks"], boot_id=row["boot_id"]),
                started=parse_time(row["started"]),
                beat=parse_time(row["beat"]),
            )
            for row in rows
        )

    def forget_worker(self, owner: Owner) -> None:
        """A worker is gone."""
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM workers WHERE pid = ? AND start_ticks = ? AND boot_id = ?",
                (owner.pid, owner.start_ticks, owner.boot_id),
            )

    def note(self, run: str, text: str, *, forgive: bool = False) -> None:
        """Add a sentence to what became of a run's attempts; `forgive` takes the last one as not made."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE queue SET notes = CASE notes WHEN '' THEN ? ELSE notes || '; ' || ? END,"
                " attempts = attempts - ? WHERE run = ?",
                (text, text, int(forgive), run),
            )

    def cancel(self, run: str, reason: str) -> None:
        """Say that somebody wants a run ended; no worker begins it any more. The first reason stands."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE queue SET cancelled = coalesce(cancelled, ?) WHERE run = ?", (reason, run)
            )

    def set_destruction(self, run: str, when: datetime | None) -> None:
        """When the results are to be dropped; None is never."""
        with self._database.write() as connection:
            _insert_missing(connection, run)
            connection.execute("UPDATE queue SET destruction = ? WHERE run = ?", (_text(when), run))

    def set_time_limit(self, run: str, seconds: int) -> bool:
        """Another time limit for a run that is not executed yet; whether it was not."""
        with self._database.write() as connection:
            done = connection.execute(
                "UPDATE queue SET time_limit_s = ? WHERE run = ?"
                f" AND run IN (SELECT id FROM runs WHERE id = queue.run AND {_WAITING})",
                (seconds, run),
            )
            return done.rowcount == 1

    def hide(self, run: str, now: datetime) -> None:
        """Show a run no more; its folder is still to be dropped (`swept`)."""
        with self._database.write() as connection:
            _insert_missing(connection, run)
            connection.execute(
                "UPDATE queue SET destroyed = 1, destruction = ? WHERE run = ?", (format_time(now), run)
            )

    def swept(self, run: str) -> None:
        """The folder of a destroyed run is gone."""
        with self._database.write() as connection:
            connection.execute("UPDATE queue SET destruction = NULL WHERE run = ? AND destroyed", (run,))

    def judged(self, run: str) -> None:
        """The verdict a repeat waited for is kept, or cannot be had."""
        with self._database.write() as connection:
            connection.execute("UPDATE queue SET to_judge = 0 WHERE run = ?", (run,))

    def expired(self, now: datetime) -> tuple[QueuedRow, ...]:
        """Runs whose destruction is due."""
        with self._database.read() as connection:
            return tuple(_join(connection, "destruction <= ?", (format_time(now),)))

    def cancelled(self) -> tuple[QueuedRow, ...]:
        """Runs that wait, and somebody wants ended."""
        with self._database.read() as connection:
            return tuple(_join(connection, f"{_WAITING} AND cancelled IS NOT NULL"))

    def to_judge(self) -> tuple[QueuedRow, ...]:
        """Repeats that are finished and have no verdict yet."""
        with self._database.read() as connection:
            return tuple(_join(connection, "to_judge AND record IS NOT NULL"))


def _is_work(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT 1 FROM runs WHERE state IN ('queued', 'executing') LIMIT 1").fetchone()
    return found is not None


def _is_left(row: QueuedRow, asked: Claiming, leased_until: datetime | None) -> bool:
    """Whether nobody executes the run any more: its lease is over and its worker dead, or knows nothing of it."""
    if leased_until is not None and leased_until > asked.now:
        return False
    owner = row.run.owner
    if owner == asked.owner:
        return row.run.id not in asked.active
    return owner is None or not asked.is_alive(owner)


def _next_queued(
    connection: sqlite3.Connection, held: list[QueuedRow], may_execute: Callable[[str], int]
) -> QueuedRow | None:
    oldest = connection.execute(
        "SELECT runs.id, queue.user, priority, min(submitted) AS first FROM runs"
        " JOIN queue ON queue.run = runs.id WHERE state = 'queued' AND cancelled IS NULL"
        " GROUP BY priority, queue.user"
    ).fetchall()
    executing = Counter(row.entry.user for row in held if row.entry is not None)

    def turn(row: sqlite3.Row) -> tuple[int, int, str, str]:
        (served,) = connection.execute(
            "SELECT max(claimed) FROM queue WHERE user = ?", (row["user"],)
        ).fetchone()
        return -row["priority"], executing[row["user"]], served or "", row["first"]

    allowed = [row for row in oldest if executing[row["user"]] < may_execute(row["user"])]
    if not allowed:
        return None
    return _join(connection, "runs.id = ?", (min(allowed, key=turn)["id"],))[0]


def _has_room(chosen: QueuedRow, held: list[QueuedRow], asked: Claiming) -> bool:
    wanted = [row.entry for row in (*held, chosen) if row.entry is not None]
    cpus, memory_mb = sum(entry.cpus for entry in wanted), sum(entry.memory_mb for entry in wanted)
    return not held or (cpus <= asked.cpus and memory_mb <= asked.memory_mb)


def _lease(connection: sqlite3.Connection, row: QueuedRow, asked: Claiming) -> None:
    connection.execute(
        "UPDATE queue SET leased_until = ?, claimed = ?, attempts = attempts + 1 WHERE run = ?",
        (format_time(asked.leased_until), format_time(asked.now), row.run.id),
    )
    run_rows.update_state(
        connection,
        row.run,
        started=asked.now,
        owner=asked.owner,
        state=RunState.EXECUTING,
        message=row.run.message,
    )


def _list(connection: sqlite3.Connection, asked: RunsAsked, limit: int) -> list[RunRow]:
    wanted: list[tuple[str, object]] = []
    wanted += [("recipe = ?", asked.recipe)] if asked.recipe is not None else []
    wanted += [("thread = ?", asked.thread)] if asked.thread is not None else []
    wanted += [("submitted > ?", format_time(asked.after))] if asked.after is not None else []
    conditions = [condition for condition, _ in wanted] + [run_rows.NOT_DESTROYED]
    values = [value for _, value in wanted]
    if asked.states:
        conditions.append(f"state IN ({', '.join('?' * len(asked.states))})")
        values += [state.value for state in asked.states]
    if asked.below is not None:
        conditions.append("(submitted, id) < (?, ?)")
        values += asked.below
    order = "ORDER BY submitted DESC, id DESC LIMIT ?"
    # The planner would rather sort all runs of a state: it does not know how few of them a page shows.
    wide = f"SELECT id, submitted FROM runs INDEXED BY runs_listed WHERE {' AND '.join(conditions)} {order}"
    own = wide.replace("runs_listed WHERE", "runs_of_user WHERE user IS ? AND")
    parts = [(own, (user, *values, limit)) for user in asked.users] or [(wide, (*values, limit))]
    found = connection.execute(
        " UNION ALL ".join(f"SELECT * FROM ({part})" for part, _ in parts) + f" {order}",
        (*(value for _, given in parts for value in given), limit),
    ).fetchall()
    marks = ", ".join("?" * len(found))
    tail = f"WHERE id IN ({marks}) ORDER BY submitted DESC, id DESC"
    return run_rows.select_runs(connection, tail, [row["id"] for row in found])


def _join(connection: sqlite3.Connection, condition: str, values: tuple[object, ...] = ()) -> list[QueuedRow]:
    ids = connection.execute(
        f"SELECT runs.id FROM runs JOIN queue ON queue.run = runs.id WHERE {condition} ORDER BY submitted, id",
        values,
    ).fetchall()
    rows = [(run_rows.get_run(connection, row["id"]), _entry(connection, row["id"])) for row in ids]
    return [QueuedRow(run=run, entry=entry) for run, entry in rows if run is not None]


def _count_waiting(connection: sqlite3.Connection, user: str | None) -> Waiting:
    (together,) = connection.execute(f"SELECT count(*) FROM runs WHERE {_WAITING}").fetchone()
    (of_user,) = connection.execute(
        f"SELECT count(*) FROM runs INDEXED BY runs_by_state WHERE {_WAITING} AND user = ?", (user,)
    ).fetchone()
    return Waiting(together=together, of_user=of_user)


def _disown(connection: sqlite3.Connection, run: str) -> None:
    connection.execute(
        "UPDATE runs SET owner_pid = NULL, owner_start_ticks = NULL, owner_boot_id = NULL WHERE id = ?",
        (run,),
    )


def _insert(connection: sqlite3.Connection, entry: QueueEntry) -> None:
    connection.execute(
        "INSERT INTO queue (run, user, priority, time_limit_s, cpus, memory_mb, is_safe, is_fresh, label,"
        " idempotency_key, content, destruction, to_judge) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(entry.run, entry.user, entry.priority, entry.time_limit_s, entry.cpus, entry.memory_mb),
            *(entry.is_safe, entry.is_fresh, entry.label, entry.idempotency_key, entry.content),
            *(_text(entry.destruction), entry.to_judge),
        ),
    )


def _insert_missing(connection: sqlite3.Connection, run: str) -> None:
    """An entry for a run that never was in the queue, so that it too can be destroyed."""
    row = run_rows.get_run(connection, run)
    if row is not None and _entry(connection, run) is None:
        entry = QueueEntry(
            run=run,
            user=row.user or "",
            priority=0,
            time_limit_s=0,
            cpus=0,
            memory_mb=0,
            is_safe=False,
            is_fresh=False,
        )
        _insert(connection, entry)


def _entry_with_key(connection: sqlite3.Connection, user: str, key: str) -> QueueEntry | None:
    if not key:
        return None
    row = connection.execute(
        "SELECT run FROM queue WHERE user = ? AND idempotency_key = ? AND idempotency_key != ''", (user, key)
    ).fetchone()
    return _entry(connection, row["run"]) if row is not None else None


def _entry(connection: sqlite3.Connection, run: str) -> QueueEntry | None:
    row = connection.execute("SELECT * FROM queue WHERE run = ?", (run,)).fetchone()
    if row is None:
        return None
    return QueueEntry(
        run=row["run"],
        user=row["user"],
        priority=row["priority"],
        time_limit_s=row["time_limit_s"],
        cpus=row["cpus"],
        memory_mb=row["memory_mb"],
        is_safe=bool(row["is_safe"]),
        is_fresh=bool(row["is_fresh"]),
        label=row["label"],
        idempotency_key=row["idempotency_key"],
        content=row["content"],
        destruction=parse_time(row["destruction"]) if row["destruction"] else None,
        destroyed=bool(row["destroyed"]),
        cancelled=row["cancelled"],
        attempts=row["attempts"],
        notes=row["notes"],
        to_judge=bool(row["to_judge"]),
    )


def _leased_until(connection: sqlite3.Connection, run: str) -> datetime | None:
    (text,) = connection.execute("SELECT leased_until FROM queue WHERE run = ?", (run,)).fetchone()
    return parse_time(text) if text else None


def _text(when: datetime | None) -> str | None:
    return format_time(when) if when is not None else None
