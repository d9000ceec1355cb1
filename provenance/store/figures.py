"""How much there is of what: numbers over the whole store, for whoever watches a service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from provenance.record import RunState, parse_time
from provenance.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts of one moment. `granted_*` is what the runs being executed for the queue were given."""

    runs: Mapping[tuple[RunState, str], int]
    """By state and recipe (`name/version`)."""
    answered: int
    verdicts: Mapping[str, int]
    waiting: int
    oldest_waiting: datetime | None
    executing: int
    granted_cpus: float
    granted_memory_mb: int


def read_figures(database: Database) -> Figures:
    """Count everything in one transaction."""
    with database.read() as connection:
        connection.execute("BEGIN")
        try:
            runs = connection.execute(
                "SELECT state, recipe, count(*) AS number FROM runs INDEXED BY runs_listed GROUP BY state, recipe"
            ).fetchall()
            (answered,) = connection.execute(
                "SELECT count(*) FROM runs WHERE answered_from IS NOT NULL"
            ).fetchone()
            verdicts = connection.execute(
                "SELECT grade, count(*) AS number FROM verdicts GROUP BY grade"
            ).fetchall()
            waiting, oldest = connection.execute(
                "SELECT count(*), min(submitted) FROM runs WHERE state = 'queued'"
            ).fetchone()
            executing, cpus, memory_mb = connection.execute(
                "SELECT count(*), total(cpus), total(memory_mb) FROM runs JOIN queue ON queue.run = runs.id"
                " WHERE state = 'executing'"
            ).fetchone()
        finally:
            connection.execute("COMMIT")
    return Figures(
        runs={(RunState(row["state"]), row["recipe"]): row["number"] for row in runs},
        answered=answered,
        verdicts={row["grade"]: row["number"] for row in verdicts},
        waiting=waiting,
        oldest_waiting=parse_time(oldest) if oldest else None,
        executing=executing,
        granted_cpus=float(cpus),
        granted_memory_mb=int(memory_mb),
    )
