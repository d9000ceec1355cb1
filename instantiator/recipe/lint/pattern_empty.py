"""Lint: refusals do not refuse everything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.lint.patterns import find_refusals
from instantiator.recipe.model import Recipe


class EmptyPattern:
    """A pattern of `refuse` matches empty lines.

    Then a blank line in a log fails the run, and `.*` fails every run. Require at least one character of what
    the program prints when it fails.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Refusals that match nothing at all."""
        for path, pattern in find_refusals(recipe):
            if re.fullmatch(pattern, ""):
                yield Spot(recipe.at(path), f"{pattern!r}")
