"""`thaw runs`, `thaw show`, `thaw logs`: what was run, and what came of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import partial

import click

from instantiator.commands.common import Bench, json_option, show, size_text, table
from instantiator.commands.remote import find_run, finished, remote, row_of
from instantiator.commands.remote import rows as remote_rows
from instantiator.commands.start import outputs_to_json
from instantiator.observe.summary import summarise
from provenance.record import Record, RunState, format_time, to_json
from provenance.store import JudgedRun, RunRow

_STATES = [state.value for state in RunState]


@click.command("runs")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="At most so many."
)
@click.option("--state", type=click.Choice(_STATES), help="Only runs in this state.")
@click.option("--recipe", metavar="NAME/VERSION", help="Only runs of this recipe.")
@click.option("--before", metavar="RUN", help="Only runs older than this one: the next page.")
@json_option
def runs_command(
    limit: int, state: str | None, recipe: str | None, before: str | None, *, as_json: bool
) -> None:
    """Show the runs, newest first.

    Keys: runs[run, state, recipe, thread, submitted, ended, message, repeats].
    """
    service, asked = remote(), RunState(state) if state else None
    rows = (
        remote_rows(service, limit, state=asked, recipe=recipe, before=before)
        if service
        else Bench().store.runs(limit, state=asked, recipe=recipe, before=before)
    )
    data = {"runs": [_row_to_json(row) for row in rows]}
    cells = [(row.id, row.state, row.recipe, row.thread, _short_time(row), _remark(row)) for row in rows]
    human = (
        table(("RUN", "STATE", "RECIPE", "THREAD", "SUBMITTED (UTC)", ""), cells) if rows else "no runs yet"
    )
    show(data, as_json=as_json, human=human)


def _row_to_json(row: RunRow) -> dict[str, object]:
    return {
        "run": row.id,
        "kind": row.kind,
        "state": row.state.value,
        "recipe": row.recipe,
        "thread": row.thread,
        "parameters": dict(row.parameters),
        "inputs": dict(row.inputs),
        "submitted": format_time(row.submitted),
        "started": format_time(row.started) if row.started else None,
        "ended": format_time(row.ended) if row.ended else None,
        "record": row.record,
        "message": row.message,
        "repeats": row.repeats,
    }


def _short_time(row: RunRow) -> str:
    return row.submitted.strftime("%Y-%m-%d %H:%M:%S")


def _remark(row: RunRow) -> str:
    remark = f"repeats {row.repeats}" if row.repeats else row.message
    return remark if len(remark) <= 60 else remark[:59] + "…"


@click.command("show")
@click.argument("run")
@json_option
def show_command(run: str, *, as_json: bool) -> None:
    """Show one run: what was done, on what, what it gave, how it was judged. RUN may be the start or end of its id.

    Keys: those of the record (docs/record-format.md), and record (its digest), outputs, verdicts.
    """
    service = remote()
    if service is not None:
        found = find_run(service, run)
        row, read = row_of(found.status), partial(finished, found)
    else:
        bench = Bench()
        row = bench.store.run(run)
        read = partial(_finished, bench, row)
    if row.record is None:
        show(
            _row_to_json(row), as_json=as_json, human=f"run {row.id}: {row.state}, {row.recipe} {row.thread}"
        )
        return
    record, verdicts = read()
    content = to_json(record)
    assert isinstance(content, dict)
    judged = [
        {
            "repeated_by": v.repeated_by,
            "verdict": v.grade,
            "judged": format_time(v.judged),
            "digest": v.verdict,
        }
        for v in verdicts
    ]
    data = {**content, "record": row.record, "outputs": outputs_to_json(record), "verdicts": judged}
    lines = [describe_record(record, row.record)]
    lines += [f"judged    {v.grade} by repeat {v.repeated_by}" for v in verdicts]
    show(data, as_json=as_json, human="\n".join(lines))


def _finished(bench: Bench, row: RunRow) -> tuple[Record, tuple[JudgedRun, ...]]:
    from instantiator.thread.verify import read_record

    return read_record(row, bench.vault), tuple(bench.store.verdicts(row.id))


def describe_record(record: Record, digest: str) -> str:
    """A record for people."""
    seconds, memory = record.resources.get("wall_s"), record.resources.get("peak_memory_bytes")
    used = [f"{seconds:.2f} s"] if seconds is not None else []
    used += [f"peak memory {size_text(int(memory))}"] if memory else []
    lines = [
        f"run       {record.run} ({record.state}{', ' + ', '.join(used) if used else ''})",
        *([f"message   {record.message}"] if record.message else []),
        f"thread    {record.recipe} {record.thread}",
        *[
            f"parameter {name} = {json.dumps(value)}"
            for name, value in record.parameters.items()
            if value is not None
        ],
        *[
            f"input     {i.name} = {i.dataset}, {i.files} files, {size_text(i.size)}, {i.digest}"
            for i in record.inputs
        ],
        f"image     {record.image}",
        f"record    {digest}",
        *describe_observed(record.observed),
        f"ended     {record.ended:%Y-%m-%d %H:%M:%S} UTC",
    ]
    if record.outputs:
        rows = [
            (f"  {o.path}", o.name, size_text(o.size), o.rule.rule, o.digest[7:19]) for o in record.outputs
        ]
        lines.append(table(("  OUTPUT", "NAME", "SIZE", "RULE", "SHA256"), rows))
    return "\n".join(lines)


def describe_observed(observed: Mapping[str, object] | None) -> list[str]:
    """What was seen of a run, and each finding, for people; nothing where nobody looked."""
    if observed is None:
        return []
    told = summarise(observed)
    if told is None:
        return []
    return [f"observed  {told.text}", *(f"finding   {finding}" for finding in told.findings)]


@click.command("logs")
@click.argument("run")
@json_option
def logs_command(run: str, *, as_json: bool) -> None:
    """Print what the program of a run printed. Keys: run, log."""
    service = remote()
    if service is not None:
        found = find_run(service, run)
        name, content = found.id, found.read_log()
    else:
        bench = Bench()
        row = bench.store.run(run)
        name, content = row.id, _log_of(bench, row)
    if as_json:
        show({"run": name, "log": content.decode(errors="replace")}, as_json=True, human=None)
        return
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _log_of(bench: Bench, row: RunRow) -> bytes:
    if row.record is None:
        live = bench.settings.runs_dir / row.id / "log"
        return live.read_bytes() if live.is_file() else b""
    from instantiator.thread.verify import read_record

    record = read_record(row, bench.vault)
    return bench.vault.read_bytes(record.log, used_by=f"log of run {row.id}") if record.log else b""
