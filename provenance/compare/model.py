"""What a comparison is: its grade, the differences found, and the rule that judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from provenance.errors import ThawError

O = TypeVar("O")  # noqa: E741 (the options of a rule, whatever their type)


class Grade(StrEnum):
    """How a repeated output stands to the recorded one, from best to worst."""

    IDENTICAL = "identical"
    EQUIVALENT = "equivalent"
    DIFFERENT = "different"
    MISSING = "missing"

    @property
    def severity(self) -> int:
        """0 for the best grade, 3 for the worst."""
        return list(Grade).index(self)

    def is_repeated(self) -> bool:
        """Whether the output counts as repeated: the same, or within the tolerance its rule states."""
        return self in (Grade.IDENTICAL, Grade.EQUIVALENT)


def worst_grade(grades: Iterable[Grade]) -> Grade:
    """The worst of `grades`; `different` where there is none, since nothing was compared."""
    return max(grades, key=lambda grade: grade.severity, default=Grade.DIFFERENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where two files differ. None stands for nothing there; `absolute` is found minus expected."""

    place: str
    expected: str | None
    found: str | None
    absolute: float | None = None
    relative: float | None = None

    def __str__(self) -> str:
        expected = "nothing" if self.expected is None else self.expected
        found = "nothing" if self.found is None else self.found
        return f"{self.place}: expected {expected}, found {found}{self._describe_size()}"

    def _describe_size(self) -> str:
        if self.absolute is None:
            return ""
        if self.relative is None:
            return f" ({self.absolute:+.6g})"
        return f" ({self.absolute:+.6g}, {format_percent(self.relative)})"


def format_percent(fraction: float) -> str:
    """A fraction in percent, with two digits that matter: `3.9 %`, `250 %`, `1.2e-05 %`."""
    percent = 100 * fraction
    return f"{percent:.0f} %" if 100 <= percent < 1e6 else f"{percent:.2g} %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a rule says of two files: the first differences are kept, all are counted, measures are finite."""

    grade: Grade
    rule: str
    explanation: str
    differences: tuple[Difference, ...] = ()
    differences_total: int = 0
    measures: Mapping[str, float] = field(default_factory=dict)


class CompareRuleInvalid(ThawError):
    """A comparison rule is unknown, or its options are not the ones it takes."""

    code = "compare-rule-invalid"

    def __init__(self, rule: str, mistakes: tuple[str, ...]) -> None:
        super().__init__(
            "; ".join(mistakes),
            where=f"rule {rule}",
            hint="docs/comparison-rules.md lists every rule with its options",
        )
        self.mistakes = mistakes


class Rule(Protocol[O]):
    """A way to judge a file. `compare` never raises because of what the two files contain."""

    def parse_options(self, options: Mapping[str, object]) -> O:
        """The options as values; raises `CompareRuleInvalid` with every mistake in them."""
        ...

    def compare(self, expected: Path, found: Path, options: O) -> Comparison:
        """Judge `found` against `expected`."""
        ...
