"""Lint: sources outlive one host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import urlsplit

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Recipe


class SourceWithoutSecondMirror:
    """A source is found on one host only.

    When that host goes, nobody can lock the recipe anew without a vault that has the bytes. Add a second
    URL on another host (an archive, a mirror) under `urls:`.
    """

    severity: ClassVar = Severity.ADVICE

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Sources whose URLs share one host."""
        for source in recipe.sources:
            hosts = {urlsplit(url).hostname for url in source.urls}
            if len(hosts) == 1:
                yield Spot(source.location, f"source {source.name!r} on {hosts.pop()}")
