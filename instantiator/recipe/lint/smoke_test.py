"""Lint: threads are tried on real data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Recipe


class NoSmokeTest:
    """A thread has no smoke test.

    A thread nobody ran is a claim, not a preserved program. Add a run on small real data under `smoke:`,
    with what has to come out of it. A recipe that asks for a deposit may wait for it first.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Threads that no smoke test runs."""
        if recipe.deposits and not recipe.smoke:
            return
        tried = {test.thread for test in recipe.smoke}
        for thread in recipe.threads:
            if thread.name not in tried:
                yield Spot(thread.location, f"thread {thread.name!r}")
