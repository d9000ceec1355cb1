"""Lint: templates can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.errors import TemplateInvalid
from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.lint.texts import find_templates
from instantiator.recipe.model import Recipe
from instantiator.recipe.template import template_names


class BrokenTemplate:
    """A template is not in the template language.

    Every run would fail when its script is made. Templates are Jinja2 with expressions, if, for and set;
    a program text that itself holds two braces stands between {% raw %} and {% endraw %}.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Templates that do not parse."""
        for template in find_templates(recipe):
            try:
                template_names(template.text)
            except TemplateInvalid as error:
                yield Spot(template.location, f"thread {template.thread.name!r}, {error.message}")
