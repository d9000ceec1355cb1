"""The texts of a recipe that several checks read: words for people, templates, values of variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from instantiator.recipe.model import Location, Recipe, ScriptLanguage, Thread

_EXPRESSION = re.compile(r"\{\{(?!#).*?\}\}", re.DOTALL)
_STATEMENT = re.compile(r"\{%.*?%\}|\{\{#.*?#\}\}", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateText:
    """One template of a thread: an element of its argv, or its script."""

    thread: Thread
    location: Location
    text: str
    language: ScriptLanguage | None = None

    def location_of(self, line: int) -> Location:
        """Where a line of the template (from 1) stands in the recipe."""
        is_block = "\n" in self.text.rstrip("\n") or self.text.endswith("\n")
        return Location(file=self.location.file, line=self.location.line + (line if is_block else 0))


def find_templates(recipe: Recipe) -> Iterator[TemplateText]:
    """Every template of every thread."""
    for thread in recipe.threads:
        path = f"threads.{thread.name}"
        for number, element in enumerate(thread.command):
            yield TemplateText(thread=thread, location=recipe.at(f"{path}.command.{number}"), text=element)
        if thread.script:
            place = recipe.at(f"{path}.script.text")
            language = thread.script.language
            yield TemplateText(thread=thread, location=place, text=thread.script.text, language=language)


def mark_expressions(text: str, mark: str) -> str:
    """The template with `mark` for every expression and nothing for every statement; lines stay lines."""
    without = _STATEMENT.sub(lambda match: "\n" * match[0].count("\n"), text)
    return _EXPRESSION.sub(lambda match: mark + "\n" * match[0].count("\n"), without)


def find_words(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Every text written for people, after the path where it stands."""
    for key in ("title", "description", "homepage"):
        yield key, getattr(recipe, key)
    for number, citation in enumerate(recipe.citations):
        yield f"citations.{number}.note", citation.note
        yield f"citations.{number}.doi", citation.doi or ""
    for number, maintainer in enumerate(recipe.maintainers):
        yield f"maintainers.{number}.name", maintainer.name
        yield f"maintainers.{number}.contact", maintainer.contact
    for number, deposit in enumerate(recipe.deposits):
        yield f"deposits.{number}.why", deposit.why
        yield f"deposits.{number}.found_at", deposit.found_at
    for dataset in recipe.datasets:
        yield f"datasets.{dataset.name}.title", dataset.title
        yield f"datasets.{dataset.name}.origin", dataset.origin
    yield from _words_of_programs(recipe)


def find_variables(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    """Every environment variable: the path where it stands, its name, its value."""
    for name, value in recipe.environment.items():
        yield f"environment.{name}", name, value
    for thread in recipe.threads:
        for name, value in thread.environment.items():
            yield f"threads.{thread.name}.environment.{name}", name, value


def _words_of_programs(recipe: Recipe) -> Iterator[tuple[str, str]]:
    for gui in recipe.guis:
        yield f"guis.{gui.name}.title", gui.title
        yield f"guis.{gui.name}.help", gui.help
    for thread in recipe.threads:
        path = f"threads.{thread.name}"
        yield f"{path}.title", thread.title
        yield f"{path}.help", thread.help
        for group in ("inputs", "parameters", "outputs"):
            for item in getattr(thread, group):
                yield f"{path}.{group}.{item.name}.help", item.help
