"""Lint: templates name what exists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.errors import TemplateInvalid
from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.lint.texts import TemplateText, find_templates
from instantiator.recipe.model import Recipe, Thread
from instantiator.recipe.template import template_names
from instantiator.recipe.words import suggest


class UnknownTemplateName:
    """A template uses a name that does not exist.

    Every run would fail when its script is made. There is `params.<name>`, `inputs.<name>`, `out` and
    `work`; declare the parameter or input, or correct the name.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Names no parameter or input of the thread has."""
        for template in find_templates(recipe):
            known = _known_names(template.thread)
            for name in sorted(_names(template) - known - {"params", "inputs"}):
                yield Spot(template.location_of(_line_of(template, name)), f"{name!r}{suggest(name, known)}")


def _known_names(thread: Thread) -> set[str]:
    parameters = {f"params.{parameter.name}" for parameter in thread.parameters}
    return parameters | {f"inputs.{item.name}" for item in thread.inputs} | {"out", "work"}


def _names(template: TemplateText) -> frozenset[str]:
    try:
        return template_names(template.text)
    except TemplateInvalid:
        return frozenset()  # the check of syntax reports it


def _line_of(template: TemplateText, name: str) -> int:
    before = template.text.partition(name)[0]
    return before.count("\n") + 1
