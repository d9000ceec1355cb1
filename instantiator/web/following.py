"""A run under way as its page follows it: state, steps with their seconds, and the log as it grows."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from instantiator.queue.model import Event, QueuedRun
from instantiator.queue.queue import Queue

LOG_PIECE = 256 * 1024
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
"""What moves a cursor or paints (ECMA-48): on a page it is noise. A downloaded log has it all."""


def log_text(content: bytes) -> str:
    """What a program printed, for reading: without what only a terminal understands."""
    return _TERMINAL.sub("", content.decode(errors="replace"))


def run_to_json(queue: Queue, run: QueuedRun, offset: int) -> dict[str, object]:
    """Where a run stands, with what its program printed after `offset`."""
    content, end = queue.log(run.id, offset, LOG_PIECE)
    return {
        "run": run.id,
        "state": run.state.value,
        "is_final": run.state.is_final(),
        "message": run.message,
        "position": run.position,
        "steps": steps_of(queue.events(run.id), datetime.now(UTC)),
        "log": log_text(content),
        "offset": min(offset, end) + len(content),
    }


def steps_of(events: tuple[Event, ...], now: datetime) -> list[dict[str, object]]:
    """The steps of a run's last attempt, in order; one that is under way has the seconds until now."""
    steps: dict[str, dict[str, object]] = {}
    for event in events:
        if event.name != "step":
            continue
        name, status = str(event.data["step"]), event.data["status"]
        if status == "begun":
            steps.pop(name, None)
            seconds: object = max(0.0, (now - event.when).total_seconds())
            steps[name] = {"name": name, "state": "running", "detail": "", "seconds": seconds}
        else:
            steps[name] = {
                "name": name,
                "state": str(status),
                "detail": str(event.data.get("detail") or ""),
                "seconds": event.data.get("seconds"),
            }
    return list(steps.values())
