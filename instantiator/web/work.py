"""Work under way: a run or a verify in a thread of its own, with named steps, seconds and the program's words."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from provenance.errors import ThawError

LOG_KEPT = 512 * 1024
WORKS_KEPT = 200


@dataclass(slots=True, kw_only=True)
class WorkStep:
    """One named step: how far it is, what came of it."""

    name: str
    state: str = "running"
    detail: str = ""
    began: float = 0.0
    seconds: float | None = None

    def to_json(self) -> dict[str, object]:
        """The step as data; the seconds of a running step are those until now."""
        seconds = time.monotonic() - self.began if self.seconds is None else self.seconds
        return {"name": self.name, "state": self.state, "detail": self.detail, "seconds": round(seconds, 1)}


@dataclass(slots=True, kw_only=True)
class Work:
    """Something long that a user asked for. It is a Progress, and hears what the program prints."""

    id: str
    user: str
    title: str
    steps: list[WorkStep] = field(default_factory=list)
    cancel: threading.Event = field(default_factory=threading.Event)
    state: str = "running"
    error: ThawError | None = None
    leads_to: str = ""
    dropped: int = 0
    log: bytearray = field(default_factory=bytearray)

    def begin(self, step: str) -> None:
        """A step starts."""
        self.steps.append(WorkStep(name=step, began=time.monotonic()))

    def note(self, text: str) -> None:
        """The last word of the running step."""
        if self.steps:
            self.steps[-1].detail = text.strip()[:300]

    def end(self, step: str, detail: str, seconds: float) -> None:
        """A step is done."""
        for entry in reversed(self.steps):
            if entry.name == step and entry.state == "running":
                entry.state, entry.detail, entry.seconds = "done", detail, seconds
                return

    def fail(self, step: str) -> None:
        """A step broke off."""
        for entry in reversed(self.steps):
            if entry.name == step and entry.state == "running":
                entry.state, entry.seconds = "failed", time.monotonic() - entry.began
                return

    def hear(self, content: bytes) -> None:
        """What the program printed; only the last half megabyte is held here, all of it is in the run's log."""
        self.log += content
        too_much = len(self.log) - LOG_KEPT
        if too_much > 0:
            del self.log[:too_much]
            self.dropped += too_much

    def log_from(self, offset: int) -> tuple[str, int]:
        """What was printed after `offset`, and where that ends."""
        held = bytes(self.log)
        start = min(max(offset - self.dropped, 0), len(held))
        return held[start:].decode(errors="replace"), self.dropped + len(held)

    def to_json(self, offset: int = 0) -> dict[str, object]:
        """The work as data, with what was printed after `offset`."""
        text, end = self.log_from(offset)
        return {
            "id": self.id,
            "title": self.title,
            "state": self.state,
            "steps": [step.to_json() for step in list(self.steps)],
            "log": text,
            "offset": end,
            "error": self.error.to_json() if self.error else None,
            "leads_to": self.leads_to,
        }


class Works:
    """All work of this service. It ends with it; a run that is interrupted is recorded as such."""

    def __init__(self) -> None:
        self._works: dict[str, Work] = {}
        self._threads: list[threading.Thread] = []

    def start(self, user: str, title: str, do: Callable[[Work], str]) -> Work:
        """Begin `do` in a thread; what it returns is the address of what came of it."""
        work = Work(id=secrets.token_hex(8), user=user, title=title)
        self._works[work.id] = work
        for old in [key for key, item in self._works.items() if item.state != "running"][:-WORKS_KEPT]:
            del self._works[old]
        thread = threading.Thread(target=_do, args=(work, do), name=f"work-{work.id}")
        self._threads = [item for item in self._threads if item.is_alive()] + [thread]
        thread.start()
        return work

    def get(self, user: str, work: str) -> Work | None:
        """Work of this user; None for an unknown one and for another's alike."""
        found = self._works.get(work)
        return found if found is not None and found.user == user else None

    def under_way(self, user: str) -> tuple[Work, ...]:
        """What this user waits for, newest first."""
        return tuple(
            work for work in reversed(self._works.values()) if work.user == user and work.state == "running"
        )

    def wait(self, while_so: Callable[[], bool]) -> None:
        """Let what is under way come to its end, as long as that is so."""
        while while_so() and any(thread.is_alive() for thread in self._threads):
            time.sleep(0.1)

    def stop(self) -> None:
        """Cancel everything and wait until it is recorded."""
        for work in self._works.values():
            work.cancel.set()
        for thread in self._threads:
            thread.join()


def _do(work: Work, do: Callable[[Work], str]) -> None:
    try:
        work.leads_to = do(work)
        work.state = "done"
    except ThawError as error:
        work.error, work.state = error, "failed"
    except Exception as error:  # noqa: BLE001  # a thread's last line of defence: the page must say so
        work.error = ThawError(
            f"this is a defect of Thaw: {type(error).__name__}: {error}",
            hint="report it; finished runs are safe",
        )
        work.state = "failed"
    finally:
        for entry in work.steps:
            if entry.state == "running":
                entry.seconds = time.monotonic() - entry.began
                entry.state = work.state
