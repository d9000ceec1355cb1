"""Lint: nothing is granted without a reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Grant, Recipe


class NeedWithoutReason:
    """Something outside the default is asked for without a reason.

    The user sees the reason before the program starts and decides by it. Say in `reason:` what fails
    without the grant, or take the need away.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Needs without a reason, but for the network of threads, which has a check of its own."""
        for thread in recipe.threads:
            for need in thread.needs:
                if need.grant is not Grant.NETWORK and len(need.reason.split()) < 3:
                    yield Spot(need.location, f"{need.grant} for thread {thread.name!r}")
        for gui in recipe.guis:
            for need in gui.needs:
                if len(need.reason.split()) < 3:
                    yield Spot(need.location, f"{need.grant} for gui {gui.name!r}")
