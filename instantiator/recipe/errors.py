"""The errors of the recipe language, each with what was found and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from instantiator.recipe.model import Location
from provenance.errors import ThawError


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing wrong in a recipe, at its line."""

    location: Location
    message: str

    def __str__(self) -> str:
        return f"{self.location}: {self.message}"


class RecipeInvalid(ThawError):
    """A recipe.yaml breaks the language: `mistakes` are all of them, in the order of the file."""

    code = "recipe-invalid"

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: mistake.location.line))
        lines = [str(mistake) for mistake in self.mistakes]
        message = lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} mistakes", *lines])
        super().__init__(message, hint="docs/recipe-reference.md explains every key of a recipe")


class RecipeUnknown(ThawError):
    """No recipe has the name that was asked for."""

    code = "recipe-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterMistake:
    """One parameter that was given wrongly: its name, and what was found and expected."""

    parameter: str
    message: str


class ParameterInvalid(ThawError):
    """Parameters of a thread are not what it declares: `mistakes` are all of them."""

    code = "parameter-invalid"

    def __init__(self, mistakes: Sequence[ParameterMistake], *, where: str, hint: str) -> None:
        self.mistakes = tuple(mistakes)
        lines = [mistake.message for mistake in self.mistakes]
        message = lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} mistakes", *lines])
        super().__init__(message, where=where, hint=hint)


class TemplateInvalid(ThawError):
    """A template cannot be rendered: bad syntax, an unknown name, or a value that has no safe form there."""

    code = "template-invalid"
