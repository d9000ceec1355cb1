"""Lint: how the software is cited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Recipe


class NoCitation:
    """The recipe does not say how the software is cited.

    Whoever publishes with it has to cite it, and a record carries the citation along. Add a DOI, an ASCL
    id or an ADS bibcode under `citations:`.
    """

    severity: ClassVar = Severity.ADVICE

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """The recipe, where it has no citation."""
        if not recipe.citations:
            yield Spot(recipe.at("citations"), recipe.id)
