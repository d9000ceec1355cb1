"""How named steps are shown while they pass: a live line on a terminal, one line per step elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from instantiator.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status


def progress(*, beside_log: bool = False) -> Progress:
    """Progress on stderr, for people: stdout is for answers. Beside a program's log there is no spinner."""
    return StepsOnTerminal() if sys.stderr.isatty() and not beside_log else StepsAsLines()


def _done(step: str, detail: str, seconds: float) -> str:
    return f"  ✓ {step}{': ' + detail if detail else ''} ({seconds:.1f} s)"


class StepsAsLines:
    """One line for each step that ended: for logs and pipes."""

    def begin(self, step: str) -> None:
        """Nothing: a line is written when the step ends."""

    def note(self, text: str) -> None:
        """Nothing."""

    def end(self, step: str, detail: str, seconds: float) -> None:
        """Show what came of a step and how long it took."""
        click.echo(_done(step, detail, seconds), err=True)

    def fail(self, step: str) -> None:
        """Nothing: the error says it."""


class StepsOnTerminal:
    """A spinner with the running step and its last word; a line stays for each step that ended."""

    def __init__(self) -> None:
        self._console: Console | None = None
        self._status: Status | None = None
        self._step = ""

    def begin(self, step: str) -> None:
        """Show that a step runs."""
        from rich.console import Console

        self._console = self._console or Console(stderr=True, highlight=False, markup=False)
        self._step = step
        self._status = self._console.status(step)
        self._status.start()

    def note(self, text: str) -> None:
        """Show the last word of the running step."""
        if self._status is not None and self._console is not None:
            line = f"{self._step}: {text.strip()}"
            self._status.update(line[: self._console.width - 4])

    def end(self, step: str, detail: str, seconds: float) -> None:
        """Take the spinner away and leave what came of the step."""
        self._clear()
        click.echo(_done(step, detail, seconds), err=True)

    def fail(self, step: str) -> None:  # noqa: ARG002  # there is one running step
        """Take the spinner away: the error says what happened."""
        self._clear()

    def _clear(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
