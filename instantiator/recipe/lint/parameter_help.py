"""Lint: a user knows what to set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Recipe


class ParameterWithoutHelp:
    """A parameter has no help.

    Its name alone says neither what it changes nor what happens where it is left out. Write one sentence
    under `help:`.
    """

    severity: ClassVar = Severity.ADVICE

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Parameters without a word of help."""
        for thread in recipe.threads:
            for parameter in thread.parameters:
                if not parameter.help:
                    yield Spot(parameter.location, f"parameter {parameter.name!r} of thread {thread.name!r}")
