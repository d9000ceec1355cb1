"""Lint: what is asked of a curator is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.lint.uses import find_used_names
from instantiator.recipe.model import Recipe


class UnusedDeposit:
    """A deposit is asked for and never used.

    Handing it in is work for a person. Unpack it, let the base, a dataset or a step name it, or take it
    away.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Deposits that nothing names."""
        used = find_used_names(recipe)
        for deposit in recipe.deposits:
            if not deposit.unpack and deposit.name not in used:
                yield Spot(deposit.location, f"deposit {deposit.name!r}")
