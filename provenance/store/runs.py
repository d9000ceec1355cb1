"""The SQL about runs and their verdicts. Every function works within the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime

from provenance.digest import Digest, canonical_json, parse_digest
from provenance.record import Record, RunState, format_time, parse_time, to_json
from provenance.store.errors import RunAmbiguous, RunTaken, RunUnknown, StateIllegal
from provenance.store.rows import JudgedRun, NewRun, Owner, RunRow
from provenance.work import may_answer, work_key

_COLUMNS = (
    "id, kind, recipe, thread, parameters, inputs, repeats, state, submitted, started, ended,"
    " record, exit_status, message, owner_pid, owner_start_ticks, owner_boot_id, user, answered_from, work"
)
_INSERT = f"INSERT INTO runs ({_COLUMNS}) VALUES ({', '.join('?' * (_COLUMNS.count(',') + 1))})"
_MANY = 8
NOT_DESTROYED = "NOT EXISTS (SELECT 1 FROM queue WHERE queue.run = runs.id AND queue.destroyed)"
_NOT_QUEUED = "NOT EXISTS (SELECT 1 FROM queue WHERE queue.run = runs.id)"


def insert_run(connection: sqlite3.Connection, run: NewRun) -> None:
    """Add a run that is about to be made."""
    owner = run.owner
    values = (
        *(run.id, run.kind, run.recipe, run.thread, _json(run.parameters), _json(run.inputs), run.repeats),
        *(RunState.PENDING.value, format_time(run.submitted), None, None),
        *(None, None, "", owner.pid, owner.start_ticks, owner.boot_id, run.user, None, None),
    )
    try:
        connection.execute(_INSERT, values)
    except sqlite3.IntegrityError as error:
        raise RunTaken(f"there is a run {run.id} already", where=run.id, hint="draw a new id") from error


def put_record(connection: sqlite3.Connection, record: Record, digest: Digest) -> None:
    """Put a finished run in the place of the unfinished one, if any: all columns are the record's."""
    values = (
        *(record.run, record.kind, record.recipe, record.thread, _json(record.parameters)),
        *(_json({item.name: item.dataset for item in record.inputs}), record.repeats),
        *(
            record.state.value,
            format_time(record.submitted),
            _text(record.started),
            format_time(record.ended),
        ),
        *(digest, record.exit_status, record.message, None, None, None),
        *(record.user, record.answered_from, work_key(record) if may_answer(record) else None),
    )
    connection.execute(_INSERT.replace("INSERT", "INSERT OR REPLACE", 1), values)


def update_state(
    connection: sqlite3.Connection,
    run: RunRow,
    *,
    started: datetime | None,
    owner: Owner | None,
    state: RunState,
    message: str,
) -> None:
    """Write a run's new state; what is None stays as it was."""
    connection.execute(
        "UPDATE runs SET state = ?, message = ?, started = coalesce(?, started),"
        " owner_pid = coalesce(?, owner_pid), owner_start_ticks = coalesce(?, owner_start_ticks),"
        " owner_boot_id = coalesce(?, owner_boot_id) WHERE id = ?",
        (
            *(state.value, message, _text(started)),
            *((owner.pid, owner.start_ticks, owner.boot_id) if owner else (None, None, None)),
            run.id,
        ),
    )


def check_transition(run: RunRow, later: RunState) -> None:
    """Raise `StateIllegal` where the run may not go from its state to `later`."""
    if not run.state.may_become(later):
        raise StateIllegal(
            f"run {run.id} is {run.state}: it cannot become {later}",
            where=run.id,
            hint=f"see what became of it: thaw show {run.id}",
        )


def delete_run(connection: sqlite3.Connection, run: str) -> None:
    """Take a run out of the index."""
    connection.execute("DELETE FROM runs WHERE id = ?", (run,))


def find_run(connection: sqlite3.Connection, asked: str) -> RunRow:
    """The run called `asked`: its id, else the beginning of just one id, else the ending of just one."""
    exact = select_runs(connection, "WHERE id = ?", (asked,))
    if exact:
        return exact[0]
    if not asked:
        raise _unknown(asked)
    # Ids are ASCII, so nothing that begins with `asked` sorts behind `asked` with the last code point added.
    found = select_runs(
        connection, "WHERE id >= ? AND id < ? ORDER BY id DESC", (asked, asked + chr(0x10FFFF))
    )
    found = found or select_runs(
        connection, "WHERE substr(id, -length(?)) = ? ORDER BY id DESC", (asked, asked)
    )
    if not found:
        raise _unknown(asked)
    if len(found) > 1:
        raise _ambiguous(asked, [row.id for row in found])
    return found[0]


def get_run(connection: sqlite3.Connection, run: str) -> RunRow | None:
    """The run with exactly this id."""
    return next(iter(select_runs(connection, "WHERE id = ?", (run,))), None)


def list_runs(
    connection: sqlite3.Connection,
    limit: int,
    *,
    state: RunState | None,
    recipe: str | None,
    before: RunRow | None,
    users: Sequence[str | None] | None = None,
) -> tuple[RunRow, ...]:
    """Runs that were not destroyed, newest first; `before` leaves out that run and all newer ones.

    `users`: only theirs; None among them stands for the runs that are nobody's.
    """
    conditions = [NOT_DESTROYED]
    values: list[str | int] = []
    if state is not None:
        conditions.append("state = ?")
        values.append(state.value)
    if recipe is not None:
        conditions.append("recipe = ?")
        values.append(recipe)
    if users is not None:
        names = [name for name in users if name is not None]
        nobody = " OR user IS NULL" if None in users else ""
        conditions.append(f"(user IN ({', '.join('?' * len(names))}){nobody})")
        values += names
    if before is not None:
        conditions.append("(submitted, id) < (?, ?)")
        values += [format_time(before.submitted), before.id]
    where = f"WHERE {' AND '.join(conditions)} "
    return tuple(
        select_runs(connection, f"{where}ORDER BY submitted DESC, id DESC LIMIT ?", (*values, limit))
    )


def unfinished_runs(connection: sqlite3.Connection) -> tuple[RunRow, ...]:
    """Runs with no record yet, oldest first, but those a queue answers for."""
    states = [state.value for state in RunState if not state.is_final()]
    marks = ", ".join("?" * len(states))
    return tuple(
        select_runs(
            connection, f"WHERE state IN ({marks}) AND {_NOT_QUEUED} ORDER BY submitted, id", tuple(states)
        )
    )


def runs_with_work(connection: sqlite3.Connection, work: Digest) -> tuple[RunRow, ...]:
    """The executed and completed runs that did this work, newest first, that no verdict speaks against."""
    return tuple(
        select_runs(
            connection,
            "WHERE work = ? AND NOT EXISTS"
            " (SELECT 1 FROM verdicts WHERE run = runs.id AND grade IN ('different', 'missing'))"
            " ORDER BY submitted DESC LIMIT 20",
            (work,),
        )
    )


def record_digests(connection: sqlite3.Connection) -> tuple[Digest, ...]:
    """The records of all finished runs, oldest first."""
    rows = connection.execute("SELECT record FROM runs WHERE record IS NOT NULL ORDER BY submitted, id")
    return tuple(parse_digest(row[0]) for row in rows)


def insert_verdict(connection: sqlite3.Connection, judged: JudgedRun) -> None:
    """Add a verdict; the same again changes nothing."""
    connection.execute(
        "INSERT OR IGNORE INTO verdicts (run, repeated_by, grade, verdict, judged) VALUES (?, ?, ?, ?, ?)",
        (judged.run, judged.repeated_by, str(judged.grade), judged.verdict, format_time(judged.judged)),
    )


def list_verdicts(connection: sqlite3.Connection, run: str) -> tuple[JudgedRun, ...]:
    """The verdicts on a run, oldest first."""
    rows = connection.execute(
        "SELECT run, repeated_by, grade, verdict, judged FROM verdicts WHERE run = ? ORDER BY judged", (run,)
    )
    return tuple(
        JudgedRun(
            run=row[0],
            repeated_by=row[1],
            grade=row[2],
            verdict=parse_digest(row[3]),
            judged=parse_time(row[4]),
        )
        for row in rows
    )


def select_runs(connection: sqlite3.Connection, tail: str, values: Iterable[object]) -> list[RunRow]:
    """The runs a `WHERE ... ORDER BY ...` finds."""
    return [_run_row(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM runs {tail}", tuple(values))]


def _run_row(row: sqlite3.Row) -> RunRow:
    return RunRow(
        id=row["id"],
        kind=row["kind"],
        recipe=row["recipe"],
        thread=row["thread"],
        parameters=json.loads(row["parameters"]),
        inputs=json.loads(row["inputs"]),
        repeats=row["repeats"],
        state=RunState(row["state"]),
        submitted=parse_time(row["submitted"]),
        started=_time(row["started"]),
        ended=_time(row["ended"]),
        record=row["record"] and parse_digest(row["record"]),
        exit_status=row["exit_status"],
        message=row["message"],
        owner=_owner(row),
        user=row["user"],
        answered_from=row["answered_from"],
    )


def _owner(row: sqlite3.Row) -> Owner | None:
    if row["owner_pid"] is None:
        return None
    return Owner(pid=row["owner_pid"], start_ticks=row["owner_start_ticks"], boot_id=row["owner_boot_id"])


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text is not None else None


def _unknown(asked: str) -> RunUnknown:
    return RunUnknown(f"there is no run {asked!r}", where=asked, hint="see the runs there are: thaw runs")


def _ambiguous(asked: str, candidates: list[str]) -> RunAmbiguous:
    shown = ", ".join(candidates[:_MANY])
    more = f" and {len(candidates) - _MANY} more" if len(candidates) > _MANY else ""
    return RunAmbiguous(
        f"{asked!r} may be any of {len(candidates)} runs: {shown}{more}",
        where=asked,
        hint="give more of the id, or its last four signs",
    )


def _json(value: object) -> str:
    return canonical_json(to_json(value)).decode().rstrip("\n")


def _text(time: datetime | None) -> str | None:
    return format_time(time) if time is not None else None
