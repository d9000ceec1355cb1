"""A wait has a name: how long work tells what it is doing. Implementations show it; the library only reports."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receives named steps. All calls are cheap, and may come from one thread only."""

    def begin(self, step: str) -> None:
        """A step starts."""

    def note(self, text: str) -> None:
        """Something happened within the step: a line of a program, so many bytes of so many."""

    def end(self, step: str, detail: str, seconds: float) -> None:
        """The step is done; `detail` says what came of it (files, bytes)."""

    def fail(self, step: str) -> None:
        """The step broke off: an error is about to be told."""


class Silent:
    """A Progress that shows nothing."""

    def begin(self, step: str) -> None:
        """Ignored."""

    def note(self, text: str) -> None:
        """Ignored."""

    def end(self, step: str, detail: str, seconds: float) -> None:
        """Ignored."""

    def fail(self, step: str) -> None:
        """Ignored."""


class Step:
    """The step under way: set `detail` to say what came of it."""

    detail = ""


@contextmanager
def step(progress: Progress, name: str) -> Iterator[Step]:
    """Report `name` as begun, and as ended with its wall time unless the body raises."""
    progress.begin(name)
    started, current = time.monotonic(), Step()
    try:
        yield current
    except BaseException:
        progress.fail(name)
        raise
    progress.end(name, current.detail, time.monotonic() - started)


def megabytes(size: int) -> str:
    """A size for people: `213.9 MB` (1 MB = 1,000,000 bytes)."""
    return f"{size / 1e6:.1f} MB"
