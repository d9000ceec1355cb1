"""Lint: parameters do something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.errors import TemplateInvalid
from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.lint.texts import find_templates
from instantiator.recipe.model import Recipe
from instantiator.recipe.template import template_names


class UnusedParameter:
    """A parameter is declared and never used.

    A user who sets it gets a run that ignores it, and a record that says otherwise. Use `params.<name>`
    in the command or script, or take the parameter away.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Parameters that no template of their thread names."""
        used = _find_used(recipe)
        for thread in recipe.threads:
            for parameter in thread.parameters:
                if not used[thread.name] & {f"params.{parameter.name}", "params", "?"}:
                    yield Spot(parameter.location, f"parameter {parameter.name!r} of thread {thread.name!r}")


def _find_used(recipe: Recipe) -> dict[str, set[str]]:
    """The names each thread uses; `?` where a template cannot be read, which another check reports."""
    used: dict[str, set[str]] = {thread.name: set() for thread in recipe.threads}
    for template in find_templates(recipe):
        try:
            used[template.thread.name] |= template_names(template.text)
        except TemplateInvalid:
            used[template.thread.name].add("?")
    return used
