"""How a service is told to end: once, and what is under way gets its time; twice, and it ends at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopping:
    """Whether the process was told to end, and whether what is under way still has time."""

    def __init__(self, grace_s: float) -> None:
        self.grace_s = grace_s
        self.told = threading.Event()
        self._at_once = threading.Event()
        self._told_at = 0.0

    @property
    def is_told(self) -> bool:
        """Whether it is to end."""
        return self.told.is_set()

    @property
    def has_grace(self) -> bool:
        """Whether it is to end, and not yet at once."""
        is_within = time.monotonic() - self._told_at < self.grace_s
        return self.is_told and is_within and not self._at_once.is_set()

    def tell(self) -> None:
        """Say it: the second time it means at once."""
        if self.is_told:
            self._at_once.set()
            return
        self._told_at = time.monotonic()
        self.told.set()


@contextmanager
def stop_on_signal(grace_s: float) -> Iterator[Stopping]:
    """Ctrl-C and SIGTERM say it."""
    stopping = Stopping(grace_s)

    def tell(_signal: int, _frame: FrameType | None) -> None:
        stopping.tell()

    former = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
