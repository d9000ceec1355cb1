"""The audit log: what was done by whom. It only grows, and each line holds a hash of all before it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from instantiator.users.database import UsersFile
from instantiator.users.model import AuditEntry, Event
from provenance.digest import canonical_json
from provenance.record import format_time, parse_time

REFUSALS_PER_MINUTE = 60
"""More refusals than this in a minute are not written down: strangers must not fill the disk."""
_BEGINNING = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCheck:
    """What reading the whole log showed. `head` is the last hash: note it elsewhere, a cut end shows by it."""

    entries: int
    head: str
    wrong: int | None = None

    @property
    def is_sound(self) -> bool:
        """Whether every hash follows from the line and the one before."""
        return self.wrong is None


class Audit:
    """The log of one service."""

    def __init__(self, file: UsersFile) -> None:
        self._file = file
        self._minute, self._refusals = "", 0

    def write(self, event: Event, user: str, *, now: datetime, subject: str = "", detail: str = "") -> None:
        """Add a line."""
        if event is Event.REFUSED and self._is_flood(now):
            return
        with self._file.write() as sql:
            last = sql.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
            number, before = (last[0] + 1, last[1]) if last else (1, _BEGINNING)
            values = (number, format_time(now), event.value, user[:200], subject[:200], detail[:500])
            sql.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, _hash(before, values)))

    def page(
        self, limit: int, *, before: int | None = None, user: str = "", event: str = ""
    ) -> tuple[AuditEntry, ...]:
        """Lines, newest first."""
        wanted = [("number < ?", before), ("user = ?", user or None), ("event = ?", event or None)]
        used = [(text, value) for text, value in wanted if value is not None]
        where = "WHERE " + " AND ".join(text for text, _ in used) if used else ""
        with self._file.read() as sql:
            rows = sql.execute(
                f"SELECT * FROM audit {where} ORDER BY number DESC LIMIT ?",
                (*(value for _, value in used), limit),
            ).fetchall()
        return tuple(_entry(row) for row in rows)

    def check(self) -> AuditCheck:
        """Read everything and compute every hash again."""
        before, count = _BEGINNING, 0
        with self._file.read() as sql:
            for row in sql.execute("SELECT * FROM audit ORDER BY number"):
                count += 1
                if row["number"] != count or row["hash"] != _hash(before, tuple(row)[:6]):
                    return AuditCheck(entries=count, head=before, wrong=row["number"])
                before = row["hash"]
        return AuditCheck(entries=count, head=before)

    def _is_flood(self, now: datetime) -> bool:
        minute = f"{now:%Y%m%d%H%M}"
        self._refusals = self._refusals + 1 if minute == self._minute else 1
        self._minute = minute
        return self._refusals > REFUSALS_PER_MINUTE


def _hash(before: str, values: tuple[object, ...]) -> str:
    return hashlib.sha256(canonical_json([before, *values])).hexdigest()


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        number=row["number"],
        when=parse_time(row["time"]),
        event=Event(row["event"]),
        user=row["user"],
        subject=row["subject"],
        detail=row["detail"],
        hash=row["hash"],
    )
