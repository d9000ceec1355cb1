"""Lint: what a curator still has to find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Recipe


class MissingFact:
    """The recipe is a draft: a fact is missing.

    A draft stands in the catalogue so that somebody finds what it lacks, and cannot be run. Find the fact, write it
    where it belongs, and take its line out of `missing:`.
    """

    severity: ClassVar = Severity.ADVICE

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Each fact that is missing."""
        for number, fact in enumerate(recipe.missing):
            yield Spot(recipe.at(f"missing.{number}"), fact)
