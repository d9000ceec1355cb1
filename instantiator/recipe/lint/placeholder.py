"""Lint: nothing is left to fill in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.lint.texts import find_words
from instantiator.recipe.model import Recipe

_WITHIN = re.compile(
    r"\b(?:TODO|FIXME|TBD|TBC)\b|\bXXX+\b|\blorem ipsum\b|\b(?:www\.)?example\.(?:com|org|net)\b"
    r"|\b10\.(?:1234|12345|5555|0000)/|<[a-z][a-z _-]*>|\byour name\b|\bfill (?:this |me )?in\b",
)
_WHOLE = re.compile(
    r"(?:placeholder|description|title|text|none|n/?a|unknown|test|\?+|\.\.\.|-+)[.!]?", re.IGNORECASE
)


class PlaceholderText:
    """A text is still a placeholder.

    It was left by the form the recipe began with, and would be published as it is. Write what is meant,
    or take the key away where it is optional.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Texts that say something is still to be written."""
        for path, text in find_words(recipe):
            if _WITHIN.search(text) or _WHOLE.fullmatch(text):
                yield Spot(recipe.at(path), f"{text if len(text) <= 60 else text[:57] + '...'!r}")
