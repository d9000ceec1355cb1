"""Lint: versions of packages are the lock's business."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Recipe


class PinnedPackage:
    """A Debian package is pinned to a version.

    The lock names every package by version and digest. A version in the recipe only makes the next lock
    fail, once the mirror has dropped it. Write the name alone.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Packages written as name=version."""
        for number, package in enumerate(recipe.packages):
            if "=" in package:
                yield Spot(recipe.at(f"packages.{number}"), f"{package!r}")
