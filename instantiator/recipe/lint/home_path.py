"""Lint: nothing hangs on one person's machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.lint.texts import find_templates, find_variables
from instantiator.recipe.model import Recipe

_HOME = re.compile(r"(?:^|[\s=:'\"(])((?:/home/|/Users/|~/|~[a-z]+/|[A-Z]:\\Users\\)[^\s'\":;)]*)")


class HomePath:
    """A path lies in somebody's home folder.

    A container has no such home: it runs as an arbitrary user, with a read-only root. Install under /opt
    or /usr/local, and write to `{{ work }}` or `{{ out }}`.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Home paths in variables, steps, commands and scripts."""
        for path, text in _find_texts(recipe):
            if found := _HOME.search(text):
                yield Spot(recipe.at(path), f"{found[1]!r}")
        for template in find_templates(recipe):
            for number, line in enumerate(template.text.splitlines(), start=1):
                if found := _HOME.search(line):
                    yield Spot(template.location_of(number), f"{found[1]!r}")


def _find_texts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    for path, _, value in find_variables(recipe):
        yield path, value
    for number, step in enumerate(recipe.steps):
        yield f"steps.{number}.run", step.run
    for gui in recipe.guis:
        for number, element in enumerate(gui.command):
            yield f"guis.{gui.name}.command.{number}", element
