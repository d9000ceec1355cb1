"""Lint: a stranger understands what this is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Recipe

_WORDS = 12


class ShortDescription:
    """The description is too short to understand.

    Someone finds this recipe in twenty years and knows neither the program nor the mission. Say in two
    sentences what it does, for which data, and what this version is good for.
    """

    severity: ClassVar = Severity.ADVICE

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """A description of a few words."""
        if (found := len(recipe.description.split())) < _WORDS:
            yield Spot(recipe.at("description"), f"{found} words")
