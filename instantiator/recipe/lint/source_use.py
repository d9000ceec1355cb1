"""Lint: what is fetched is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.lint.uses import find_used_names
from instantiator.recipe.model import Recipe


class UnusedSource:
    """A source is fetched and never used.

    Its bytes are locked, vaulted and mirrored for nothing. Unpack it, let a dataset or a step name it, or
    take it away.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Sources that nothing names."""
        used = find_used_names(recipe)
        for source in recipe.sources:
            if not source.unpack and source.name not in used:
                yield Spot(source.location, f"source {source.name!r}")
