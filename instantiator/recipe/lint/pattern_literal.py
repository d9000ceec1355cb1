"""Lint: refusals match the lines a program really writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.lint.patterns import find_refusals
from instantiator.recipe.model import Recipe


class LiteralPattern:
    """A pattern of `refuse` can match one line only.

    A pattern has to match a whole line, so that a word in a title does not fail a good run: `ERROR` finds the
    line "ERROR", and not "ERROR: no such file". Write what may follow: `ERROR:.*`.
    """

    severity: ClassVar = Severity.ADVICE

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Refusals that hold no sign of a pattern."""
        for path, pattern in find_refusals(recipe):
            if not re.search(r"[*+?{|\[.]", re.sub(r"\\.", "", pattern)):
                yield Spot(recipe.at(path), f"{pattern!r}")
