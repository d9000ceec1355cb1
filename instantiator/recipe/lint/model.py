"""What a lint check is, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

from instantiator.recipe.model import Location, Recipe


class Severity(StrEnum):
    """Whether a finding keeps a recipe from being published, or is advice."""

    ERROR = "error"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Spot:
    """A place where a check does not hold, and what stands there."""

    location: Location
    what: str


class Check(Protocol):
    """One property of a good recipe.

    The docstring of a check is the user's message: its first line says what is wrong, the rest why that
    matters and how to mend it.
    """

    severity: ClassVar[Severity]

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Every place where the property does not hold."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A check that does not hold at a place. `fix` says why it matters and what to do."""

    check: str
    severity: Severity
    location: Location
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.location}: {self.severity}[{self.check}]: {self.message}"

    def to_json(self) -> dict[str, object]:
        """The finding as data: keys `check`, `severity`, `file`, `line`, `message`, `fix`."""
        return {
            "check": self.check,
            "severity": self.severity.value,
            "file": str(self.location.file),
            "line": self.location.line,
            "message": self.message,
            "fix": self.fix,
        }
