"""What a rule gathers while it compares: bounded in memory, complete in number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from provenance.compare.model import Comparison, Difference, Grade, format_percent

KEPT = 20


@dataclass(slots=True)
class Findings:
    """Differences (the first are kept, all counted) and the largest deviations, tolerated ones included."""

    kept: list[Difference] = field(default_factory=list)
    total: int = 0
    tolerated: int = 0
    largest_absolute: Difference | None = None
    largest_relative: Difference | None = None
    max_absolute: float = -1.0
    max_relative: float = -1.0

    def add(self, difference: Difference, *, times: int = 1) -> None:
        """Note a difference, which stands for `times` of them."""
        if not self.is_full():
            self.kept.append(difference)
        self.total += times
        self.note_size(difference)

    def tolerate(self, difference: Difference, *, times: int = 1) -> None:
        """Note a deviation that lies within tolerance."""
        self.tolerated += times
        self.note_size(difference)

    def count(self, *, more: int) -> None:
        """Count differences of which no more are kept."""
        self.total += more

    def is_full(self) -> bool:
        """Whether no further difference is kept."""
        return len(self.kept) >= KEPT

    def is_record(self, absolute: float | None, relative: float | None) -> bool:
        """Whether a deviation is larger than all before."""
        is_larger = absolute is not None and abs(absolute) > self.max_absolute
        return is_larger or (relative is not None and relative > self.max_relative)

    def note_size(self, difference: Difference) -> None:
        """Remember a deviation where it is the largest so far."""
        if difference.absolute is not None and abs(difference.absolute) > self.max_absolute:
            self.largest_absolute, self.max_absolute = difference, abs(difference.absolute)
        if difference.relative is not None and difference.relative > self.max_relative:
            self.largest_relative, self.max_relative = difference, difference.relative

    def measures(self) -> dict[str, float]:
        """The largest deviations, 0 where there is none."""
        return {"max_absolute": max(0.0, self.max_absolute), "max_relative": max(0.0, self.max_relative)}

    def describe_largest(self) -> str:
        """The largest absolute deviation with its place; the largest relative one where it is elsewhere."""
        if self.largest_absolute is None:
            return ""
        text = f"largest deviation at {self.largest_absolute}"
        relative = self.largest_relative
        if relative is None or relative.relative is None or relative == self.largest_absolute:
            return text
        return f"{text}; largest relative deviation {format_percent(relative.relative)} at {relative.place}"


def different(rule: str, findings: Findings, counted: str, measures: Mapping[str, float]) -> Comparison:
    """The comparison of files that differ; `counted` says how much does, as `2 of 1130 values differ`."""
    largest = findings.largest_absolute
    parts = [counted, str(findings.kept[0])]
    if findings.total > 1 and largest is not None and largest != findings.kept[0]:
        parts.append(findings.describe_largest())
    return Comparison(
        grade=Grade.DIFFERENT,
        rule=rule,
        explanation="; ".join(part for part in parts if part),
        differences=tuple(findings.kept),
        differences_total=findings.total,
        measures=measures,
    )


def say_different(rule: str, place: str, expected: str | None, found: str | None) -> Comparison:
    """The comparison of files of which no more than one thing is worth saying."""
    findings = Findings()
    findings.add(Difference(place=place, expected=expected, found=found))
    return different(rule, findings, "", {})


def say_unreadable(rule: str, message: str) -> Comparison:
    """The comparison where one file is not what the rule reads, as `message` says."""
    return Comparison(
        grade=Grade.DIFFERENT,
        rule=rule,
        explanation=message,
        differences=(Difference(place="the content", expected=f"what rule {rule} reads", found=message),),
        differences_total=1,
    )


def nothing_compared(rule: str, why: str) -> Comparison:
    """What a rule says when it had nothing to compare: a check that cannot fail proves nothing."""
    return Comparison(
        grade=Grade.DIFFERENT,
        rule=rule,
        explanation=f"nothing was compared: {why}",
        differences=(Difference(place="the comparison", expected="something to compare", found=None),),
        differences_total=1,
    )


def count_of(number: int, noun: str) -> str:
    """`1 line`, `2 lines`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
