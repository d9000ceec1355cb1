"""Lint: the network is for those who say why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Grant, Recipe


class ThreadWantsNetwork:
    """A thread asks for network access and does not say why.

    A run that talks to a server cannot be repeated once the server is gone. List the file it needs under
    `sources:`; if there is no other way, keep the grant and say why in `reason:`, in words a user
    understands.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Threads with the network and without a reason."""
        for thread in recipe.threads:
            for need in thread.needs:
                if need.grant is Grant.NETWORK and len(need.reason.split()) < 3:
                    yield Spot(need.location, f"thread {thread.name!r}")
