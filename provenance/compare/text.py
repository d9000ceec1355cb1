"""Rule `text`: the same lines, but for those it is told to ignore."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from provenance.compare.alignment import Gap, align_lines
from provenance.compare.files import Unreadable, check_files, first_difference, read_texts, same_bytes
from provenance.compare.findings import KEPT, Findings, count_of, different, nothing_compared, say_unreadable
from provenance.compare.lines import Lines, describe_ignored, show_line, split_lines
from provenance.compare.model import Comparison, Difference, Grade
from provenance.compare.options import OptionReader

NEWLINES = ("exact", "any")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions:
    """`ignore`: patterns of whole lines; `newline`: `exact`, or `any` where line ends do not matter."""

    ignore: tuple[re.Pattern[str], ...] = ()
    encoding: str | None = None
    ignore_trailing_space: bool = False
    newline: str = "exact"


class TextRule:
    """Two texts are identical where all lines that are not ignored are the same, in the same order."""

    def parse_options(self, options: Mapping[str, object]) -> TextOptions:
        """Read `ignore`, `encoding`, `ignore_trailing_space` and `newline`."""
        reader = OptionReader("text", options)
        parsed = TextOptions(
            ignore=reader.patterns("ignore"),
            encoding=reader.encoding("encoding"),
            ignore_trailing_space=reader.flag("ignore_trailing_space", default=False),
            newline=reader.choice("newline", "exact", NEWLINES),
        )
        reader.finish()
        return parsed

    def compare(self, expected: Path, found: Path, options: TextOptions) -> Comparison:
        """Judge `found` against `expected`, line by line."""
        if settled := check_files(expected, found, "text"):
            return settled
        if first_difference(expected, found) is None:
            return same_bytes("text", expected.stat().st_size)
        try:
            texts = read_texts(expected, found, options.encoding)
        except Unreadable as error:
            return say_unreadable("text", error.message)
        one, other = (split_lines(text, options.ignore) for text in texts)
        return compare_lines(one, other, options)


def compare_lines(expected: Lines, found: Lines, options: TextOptions) -> Comparison:
    """Judge the lines that are left of two texts which are not the same bytes."""
    if not expected.texts and not found.texts:
        return nothing_compared(
            "text", f"all {len(expected.ignored)} lines are ignored; narrow the patterns under `ignore`"
        )
    strip = line_stripper(options)
    lines = [strip(line) for line in expected.texts], [strip(line) for line in found.texts]
    measures = {
        "lines_compared": min(len(lines[0]), len(lines[1])),
        "lines_ignored": max(len(expected.ignored), len(found.ignored)),
    }
    if lines[0] == lines[1]:
        return Comparison(
            grade=Grade.IDENTICAL, rule="text", explanation=_say_identical(expected, found), measures=measures
        )
    findings = _find_differences(expected, found, lines)
    return different("text", findings, _count_differing(expected, found, findings.total), measures)


def _count_differing(expected: Lines, found: Lines, total: int) -> str:
    for which, lines in (("expected", expected), ("found", found)):
        if not lines.texts:
            return f"no line to judge in the {which} file" if lines.ignored else f"the {which} file is empty"
    return f"{count_of(total, 'line')} of {len(expected.texts)} {'differs' if total == 1 else 'differ'}"


def line_stripper(options: TextOptions) -> Callable[[str], str]:
    """What is taken off a line before it is compared."""
    if options.newline == "exact":
        return _strip_before_line_end if options.ignore_trailing_space else str
    return str.rstrip if options.ignore_trailing_space else _strip_line_end


def _strip_line_end(line: str) -> str:
    return line.rstrip("\r\n")


def _strip_before_line_end(line: str) -> str:
    bare = _strip_line_end(line)
    return bare.rstrip() + line[len(bare) :]


def _say_identical(expected: Lines, found: Lines) -> str:
    parts = [describe_ignored(expected, found)]
    if expected.texts != found.texts:
        parts.append("line ends or spaces before them, as told")
    return "identical but for " + (" and ".join(filter(None, parts)) or "the place of ignored lines")


def _find_differences(expected: Lines, found: Lines, lines: tuple[list[str], list[str]]) -> Findings:
    findings = Findings()
    for gap in align_lines(*lines):
        low, high, other_low, other_high = gap
        size = max(high - low, other_high - other_low)
        shown = _describe_gap(expected, found, gap)[: KEPT - len(findings.kept)]
        for difference in shown:
            findings.add(difference)
        findings.count(more=size - len(shown))
    return findings


def _describe_gap(expected: Lines, found: Lines, gap: Gap) -> list[Difference]:
    low, high, other_low, other_high = gap
    lefts = range(low, min(high, low + KEPT))
    rights = range(other_low, min(other_high, other_low + KEPT))
    return [_describe_pair(expected, found, left, right) for left, right in zip_longest(lefts, rights)]


def _describe_pair(expected: Lines, found: Lines, left: int | None, right: int | None) -> Difference:
    if left is None:
        assert right is not None  # zip_longest gives at least one of the two
        text = show_line(_strip_line_end(found.texts[right]))
        return Difference(place=f"line {found.numbers[right]} of the found file", expected=None, found=text)
    place = f"line {expected.numbers[left]}"
    if right is None:
        return Difference(
            place=f"{place} of the expected file",
            expected=show_line(_strip_line_end(expected.texts[left])),
            found=None,
        )
    if expected.numbers[left] != found.numbers[right]:
        place += f" (found: line {found.numbers[right]})"
    one, other = expected.texts[left], found.texts[right]
    if _strip_line_end(one) != _strip_line_end(other):
        one, other = _strip_line_end(one), _strip_line_end(other)
    return Difference(place=place, expected=_show_both(one, other), found=_show_both(other, one))


def _show_both(line: str, other: str) -> str:
    """A line, begun where it matters: two long lines may be the same for longer than a message shows."""
    start = next(
        (n for n, (a, b) in enumerate(zip(line, other, strict=False)) if a != b), min(len(line), len(other))
    )
    if start < 120:
        return show_line(line)
    return f"{show_line(line[start - 20 :])} from character {start - 19} on"
