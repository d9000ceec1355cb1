"""Rule `notebook`: the same cells, each with the same outputs; when and in which order they ran does not count."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from provenance.compare.alignment import align_lines
from provenance.compare.files import Unreadable, check_files, first_difference, same_bytes
from provenance.compare.findings import Findings, count_of, different, nothing_compared, say_unreadable
from provenance.compare.globs import matches_glob
from provenance.compare.lines import Lines, show_line, split_lines
from provenance.compare.model import Comparison, Difference, Grade
from provenance.compare.notebook_reading import Cell, Part, read_notebook
from provenance.compare.numbers import CellMatch, Match, match_cells
from provenance.compare.options import OptionReader, Tolerance

RULE = "notebook"
# A number that stands by itself: the 2 of cell_2, of 2P/Encke or of 9.3.35 is a part of a name.
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d++\.?+\d*+|\.\d++)(?:[eE][-+]?\d++)?+(?![\w.]*\w)")
_EXACT = Tolerance()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookOptions:
    """`ignore`: patterns of whole lines of outputs; `ignore_types`: globs of media types that are not judged."""

    ignore: tuple[re.Pattern[str], ...] = ()
    ignore_types: tuple[str, ...] = ()
    tolerance: Tolerance = _EXACT


@dataclass(slots=True)
class _Judging:
    """What was seen while two notebooks were compared."""

    options: NotebookOptions
    findings: Findings = field(default_factory=Findings)
    cells: int = 0
    outputs: int = 0
    images: int = 0
    values: int = 0
    ignored: int = 0
    written_otherwise: int = 0

    def measures(self) -> dict[str, float]:
        counts = {
            "cells_compared": self.cells,
            "outputs_compared": self.outputs,
            "images_compared": self.images,
            "values_compared": self.values,
            "outputs_ignored": self.ignored,
        }
        return {**counts, **self.findings.measures()}


class NotebookRule:
    """Two notebooks are alike where their cells are the same and gave the same: text, numbers, images."""

    def parse_options(self, options: Mapping[str, object]) -> NotebookOptions:
        """Read `ignore`, `ignore_types`, `rtol` and `atol`."""
        reader = OptionReader(RULE, options)
        parsed = NotebookOptions(
            ignore=reader.patterns("ignore"),
            ignore_types=reader.words("ignore_types"),
            tolerance=reader.tolerance(),
        )
        reader.finish()
        return parsed

    def compare(self, expected: Path, found: Path, options: NotebookOptions) -> Comparison:
        """Judge `found` against `expected`, cell by cell."""
        if settled := check_files(expected, found, RULE):
            return settled
        try:
            cells = read_notebook(expected, "expected"), read_notebook(found, "found")
        except Unreadable as error:
            return say_unreadable(RULE, error.message)
        judging = _Judging(options)
        _judge_cells(judging, *cells)
        if first_difference(expected, found) is None:
            return same_bytes(RULE, expected.stat().st_size, judging.measures())
        return _conclude(judging)


def _judge_cells(judging: _Judging, expected: tuple[Cell, ...], found: tuple[Cell, ...]) -> None:
    """Cells answer each other by their kind and source, in order; a cell with another source is a difference."""
    keys = [[f"{cell.kind} {cell.source}" for cell in cells] for cells in (expected, found)]
    start = other_start = 0
    end = (len(expected), len(expected), len(found), len(found))
    for low, high, other_low, other_high in (*align_lines(*keys), end):
        for one, other in zip(expected[start:low], found[other_start:other_low], strict=True):
            _judge_cell(judging, one, other)
        for left, right in zip_longest(expected[low:high], found[other_low:other_high]):
            judging.findings.add(_describe_other_cell(left, right))
        start, other_start = high, other_high


def _describe_other_cell(left: Cell | None, right: Cell | None) -> Difference:
    cell = left or right
    assert cell is not None  # zip_longest gives at least one of the two
    return Difference(
        place=f"cell {cell.number}, source",
        expected=show_line(left.source) if left else None,
        found=show_line(right.source) if right else None,
    )


def _judge_cell(judging: _Judging, expected: Cell, found: Cell) -> None:
    judging.cells += 1
    sides = _judged_parts(judging, expected), _judged_parts(judging, found)
    # How many parts were left out is said once, by the expected side.
    judging.ignored += len(expected.parts) - len(sides[0])
    for one, other in zip_longest(*sides):
        place = f"cell {expected.number}, {(one or other).what}"
        if one is None or other is None or one.what != other.what:
            judging.findings.add(Difference(place=place, expected=_show(one), found=_show(other)))
            continue
        judging.outputs += 1
        judging.images += one.is_image
        _judge_text(judging, place, one.text, other.text)


def _show(part: Part | None) -> str | None:
    return f"{part.what}: {show_line(part.text)}" if part else None


def _judged_parts(judging: _Judging, cell: Cell) -> list[Part]:
    globs = judging.options.ignore_types
    return [part for part in cell.parts if not any(matches_glob(part.what, glob) for glob in globs)]


def _judge_text(judging: _Judging, place: str, expected: str, found: str) -> None:
    one, other = (split_lines(text, judging.options.ignore) for text in (expected, found))
    judging.values += sum(len(_NUMBER.findall(line)) for line in one.texts)
    if one.texts == other.texts:
        return
    if len(one.texts) != len(other.texts):
        _note_gaps(judging, place, one, other)
        return
    for number, left, right in zip(one.numbers, one.texts, other.texts, strict=True):
        if left != right:
            _judge_line(judging, f"{place}, line {number}", left.rstrip("\r\n"), right.rstrip("\r\n"))


def _note_gaps(judging: _Judging, place: str, one: Lines, other: Lines) -> None:
    for low, high, other_low, other_high in align_lines(one.texts, other.texts):
        for left, right in zip_longest(one.texts[low:high], other.texts[other_low:other_high]):
            shown = [None if line is None else show_line(line.rstrip("\r\n")) for line in (left, right)]
            where = f"{place}, from line {low + 1}"
            judging.findings.add(Difference(place=where, expected=shown[0], found=shown[1]))


def _judge_line(judging: _Judging, place: str, left: str, right: str) -> None:
    """A line that is not the same text: its words have to be, its numbers within the tolerance."""
    numbers = _NUMBER.findall(left), _NUMBER.findall(right)
    words = [" ".join(_NUMBER.sub(" # ", line).split()) for line in (left, right)]
    if words[0] != words[1] or not numbers[0]:
        judging.findings.add(Difference(place=place, expected=show_line(left), found=show_line(right)))
        return
    judging.written_otherwise += 1
    for one, other in zip(*numbers, strict=True):
        _judge_number(
            judging, place, (one, other), match_cells(one, other, judging.options.tolerance, nan_equal=True)
        )


def _judge_number(judging: _Judging, place: str, pair: tuple[str, str], result: CellMatch) -> None:
    if result.match in (Match.SAME_TEXT, Match.SAME_VALUE):
        return
    note = judging.findings.add if result.match is Match.OFF else judging.findings.tolerate
    note(
        Difference(
            place=place,
            expected=pair[0],
            found=pair[1],
            absolute=result.absolute,
            relative=result.relative,
        )
    )


def _conclude(judging: _Judging) -> Comparison:
    counted = f"{count_of(judging.cells, 'cell')}, {count_of(judging.outputs, 'output')} compared"
    if judging.ignored:
        counted += f", {count_of(judging.ignored, 'output')} ignored"
    total = judging.findings.total
    if total:
        text = f"{count_of(total, 'place')} {'differs' if total == 1 else 'differ'}, {counted}"
        return different(RULE, judging.findings, text, judging.measures())
    if not judging.outputs:
        return nothing_compared(RULE, f"no cell has an output to judge, {judging.ignored} ignored")
    grade, text = Grade.IDENTICAL, f"the same outputs: {counted}"
    if judging.findings.tolerated:
        grade = Grade.EQUIVALENT
        within = f"{count_of(judging.findings.tolerated, 'number')} within {judging.options.tolerance}"
        text = f"{counted}; {within}; {judging.findings.describe_largest()}"
    elif judging.written_otherwise:
        grade = Grade.EQUIVALENT
        text = f"{counted}; all numbers are equal, {count_of(judging.written_otherwise, 'line')} written otherwise"
    return Comparison(grade=grade, rule=RULE, explanation=text, measures=judging.measures())
