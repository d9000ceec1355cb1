"""What happened to a run, one line of JSON each in `<home>/runs/<id>/events.jsonl`: it outlives a kill."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from instantiator.queue.model import Event
from provenance.record import RunState, format_time, parse_time

_LOG_EVERY_S = 0.5


class Events:
    """The events of one run. Each is appended by one write: a kill leaves whole lines, or one broken last one."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "events.jsonl"

    def append(self, name: str, data: Mapping[str, object]) -> None:
        """Write one down. Where the run's folder is gone (it was destroyed) nobody is left to read it."""
        line = json.dumps({"when": format_time(datetime.now(UTC)), "name": name, "data": dict(data)})
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except FileNotFoundError:
            return
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)

    def tell_state(self, state: RunState, message: str = "", **more: object) -> None:
        """The run is in another state."""
        self.append("state", {"state": state.value, "message": message, **more})

    def read(self, after: int) -> tuple[Event, ...]:
        """The events with a higher number than `after`; a line somebody is still writing comes the next time."""
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return ()
        lines = content[: content.rfind(b"\n") + 1].splitlines()
        found = (_event(number, line) for number, line in enumerate(lines[after:], after + 1))
        return tuple(event for event in found if event is not None)


class Told:
    """A Progress that writes steps down, and an ear for the program that says how long the log is by now."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._size = 0
        self._said_at = 0.0

    def begin(self, step: str) -> None:
        """A step starts."""
        self._events.append("step", {"step": step, "status": "begun"})

    def note(self, text: str) -> None:
        """Nothing: there may be thousands."""

    def end(self, step: str, detail: str, seconds: float) -> None:
        """A step is done."""
        done = {"step": step, "status": "done", "detail": detail, "seconds": round(seconds, 3)}
        self._events.append("step", done)

    def fail(self, step: str) -> None:
        """A step broke off."""
        self._events.append("step", {"step": step, "status": "failed"})

    def hear(self, content: bytes) -> None:
        """The program printed something; told twice a second at most."""
        self._size += len(content)
        if time.monotonic() - self._said_at >= _LOG_EVERY_S:
            self.tell_size()

    def tell_size(self) -> None:
        """How much the program has printed."""
        self._said_at = time.monotonic()
        self._events.append("log", {"size": self._size})


def _event(number: int, line: bytes) -> Event | None:
    try:
        found = json.loads(line)
        return Event(
            number=number, when=parse_time(found["when"]), name=str(found["name"]), data=dict(found["data"])
        )
    except (ValueError, KeyError, TypeError):  # cut off by a kill, and the next line written behind it
        return None
