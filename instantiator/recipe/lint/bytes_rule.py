"""Lint: outputs are judged by a rule they can pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Output, Recipe


class DatedOutputJudgedByBytes:
    """A text or FITS output is judged byte by byte.

    Most programs write the time, their version or a path into such files, and then no run repeats. Where
    this one does not, write `compare: {rule: bytes}` to say so; else name the rule: text, table or fits,
    with what to ignore.
    """

    severity: ClassVar = Severity.ADVICE

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Text and FITS outputs without a rule of their own."""
        for thread in recipe.threads:
            for output in thread.outputs:
                written = f"threads.{thread.name}.outputs.{output.name}.compare" in recipe.lines
                if _is_dated(output) and not written:
                    yield Spot(output.location, f"output {output.name!r} ({output.media_type})")


def _is_dated(output: Output) -> bool:
    return output.media_type.startswith("text/") or "fits" in output.media_type
