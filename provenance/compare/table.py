"""Rule `table`: the same numbers and words in the same cells, within a stated tolerance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from provenance.compare.files import Unreadable, check_files, first_difference, read_texts, same_bytes
from provenance.compare.findings import Findings, count_of, different, nothing_compared, say_unreadable
from provenance.compare.lines import Lines, describe_ignored, show_line, split_lines
from provenance.compare.model import Comparison, Difference, Grade
from provenance.compare.numbers import CellMatch, Match, match_cells
from provenance.compare.table_columns import Column, compare_headers, find_key, pair_columns
from provenance.compare.table_options import TableOptions, read_table_options
from provenance.compare.table_reading import Cells, Table, read_table


class TableRule:
    """Two tables are identical where all that is judged is the same text, equivalent within tolerance."""

    def parse_options(self, options: Mapping[str, object]) -> TableOptions:
        """Read the options; docs/comparison-rules.md lists them."""
        return read_table_options(options)

    def compare(self, expected: Path, found: Path, options: TableOptions) -> Comparison:
        """Judge `found` against `expected`, cell by cell."""
        if settled := check_files(expected, found, "table"):
            return settled
        are_same = first_difference(expected, found) is None
        try:
            texts = read_texts(expected, found, options.encoding)
            lines = [split_lines(text, options.ignore, options.comment) for text in texts]
            tables = [
                read_table(part, options.delimiter, options.header_rows, which=which)
                for part, which in zip(lines, ("the expected file", "the found file"), strict=True)
            ]
        except Unreadable as error:
            if are_same:
                return same_bytes("table", expected.stat().st_size)
            return say_unreadable("table", error.message)
        judging = _judge_tables(tables[0], tables[1], options)
        if are_same:
            return same_bytes("table", expected.stat().st_size, judging.measures())
        return _conclude(lines[0], lines[1], judging)


@dataclass(slots=True)
class _Judging:
    """What was seen while two tables were compared."""

    expected: Table
    found: Table
    options: TableOptions
    columns: tuple[Column, ...] = ()
    last_column: int = 0
    is_plain: bool = False
    findings: Findings = field(default_factory=Findings)
    compared: int = 0
    off: int = 0
    written_otherwise: int = 0
    first_otherwise: str = ""
    is_reordered: bool = False

    def measures(self) -> dict[str, float]:
        rows = min(len(self.expected.rows), len(self.found.rows))
        return {"values_compared": self.compared, "rows_compared": rows, **self.findings.measures()}


def _judge_tables(expected: Table, found: Table, options: TableOptions) -> _Judging:
    judging = _Judging(expected, found, options)
    judging.columns = pair_columns(expected, found, options, judging.findings)
    judging.last_column = max((column.expected for column in judging.columns), default=0)
    judging.is_plain = options.nan_equal and all(
        column.expected == column.found for column in judging.columns
    )
    compare_headers(expected, found, judging.columns, judging.findings, is_all=not options.columns)
    key = find_key(expected, found, options, judging.findings)
    for left, right in _pair_rows(judging, key):
        if left is None or right is None:
            judging.findings.add(_describe_lone_row(judging, left, right))
        else:
            _judge_row(judging, left, right)
    return judging


def _pair_rows(judging: _Judging, key: tuple[int, int] | None) -> Iterator[tuple[int | None, int | None]]:
    """Indices of rows that answer each other: by key, its n-th occurrence to the n-th, else by position."""
    expected, found = judging.expected.rows, judging.found.rows
    if key is None:
        yield from zip_longest(range(len(expected)), range(len(found)))
        return
    left, right = _number_keys(expected, key[0]), _number_keys(found, key[1])
    judging.is_reordered = [name for name in left if name in right] != [
        name for name in right if name in left
    ]
    yield from ((index, right.get(name)) for name, index in left.items())
    yield from ((None, index) for name, index in right.items() if name not in left)


def _number_keys(rows: list[Cells], column: int) -> dict[tuple[str, int], int]:
    seen: Counter[str] = Counter()
    numbered = {}
    for index, cells in enumerate(rows):
        name = cells[column].strip() if column < len(cells) else ""
        numbered[name, seen[name]] = index
        seen[name] += 1
    return numbered


def _judge_row(judging: _Judging, left: int, right: int) -> None:
    one, other = judging.expected.rows[left], judging.found.rows[right]
    if one == other and judging.is_plain and len(one) > judging.last_column:
        judging.compared += len(judging.columns)
        return
    for column in judging.columns:
        cell = one[column.expected] if column.expected < len(one) else None
        answer = other[column.found] if column.found < len(other) else None
        if cell is None or answer is None:
            if cell != answer:
                judging.findings.add(_describe_cell(judging, (left, right), column))
            continue
        judging.compared += 1
        if cell != answer or not judging.options.nan_equal:
            result = match_cells(cell, answer, column.tolerance, nan_equal=judging.options.nan_equal)
            _note_match(judging, result, (left, right), column)


def _note_match(judging: _Judging, result: CellMatch, rows: tuple[int, int], column: Column) -> None:
    """Count a cell, and describe it only where that is kept: a million cells may differ."""
    findings = judging.findings
    if result.match is Match.SAME_TEXT:
        return
    if result.match is Match.SAME_VALUE:
        judging.written_otherwise += 1
        judging.first_otherwise = judging.first_otherwise or str(_describe_cell(judging, rows, column))
        return
    is_off, is_record = result.match is Match.OFF, findings.is_record(result.absolute, result.relative)
    judging.off += is_off
    if not is_record and (findings.is_full() or not is_off):
        findings.total, findings.tolerated = findings.total + is_off, findings.tolerated + (not is_off)
        return
    note = findings.add if is_off else findings.tolerate
    note(_describe_cell(judging, rows, column, result))


def _describe_cell(
    judging: _Judging, rows: tuple[int, int], column: Column, result: CellMatch | None = None
) -> Difference:
    one, other = judging.expected.rows[rows[0]], judging.found.rows[rows[1]]
    is_number = result is not None and result.absolute is not None
    return Difference(
        place=f"{_name_row(judging, *rows)}, column {column.name}",
        expected=_show(one[column.expected], is_number=is_number) if column.expected < len(one) else None,
        found=_show(other[column.found], is_number=is_number) if column.found < len(other) else None,
        absolute=result.absolute if result else None,
        relative=result.relative if result else None,
    )


def _show(cell: str, *, is_number: bool) -> str:
    return cell.strip() if is_number else show_line(cell)


def _name_row(judging: _Judging, left: int | None, right: int | None) -> str:
    """A row by its number among the rows of values, and by its first cell, as the found file has it."""
    table, index = (judging.found, right) if right is not None else (judging.expected, left)
    assert index is not None  # every row that is named is in one of the two
    cells = table.rows[index]
    label = f" ({cells[0].strip()})" if len(cells) > 1 and cells[0].strip() else ""
    number = f"row {(left if left is not None else index) + 1}{label}"
    if left is not None and right is not None and left != right:
        number += f", found as row {right + 1}"
    return number


def _describe_lone_row(judging: _Judging, left: int | None, right: int | None) -> Difference:
    place = _name_row(judging, left, right)
    if left is None:
        assert right is not None  # a row that is in neither is not asked for
        return Difference(place=place, expected=None, found=f"line {judging.found.lines[right]}")
    return Difference(place=place, expected=f"line {judging.expected.lines[left]}", found=None)


def _conclude(expected: Lines, found: Lines, judging: _Judging) -> Comparison:
    measures = {**judging.measures(), "lines_ignored": max(len(expected.ignored), len(found.ignored))}
    if any(line.strip() for line in expected.texts) and expected.texts == found.texts:
        text = f"identical but for {describe_ignored(expected, found) or 'the place of ignored lines'}"
        return _passed(Grade.IDENTICAL, f"{text}; {count_of(judging.compared, 'value')} compared", measures)
    if judging.findings.total:
        return different("table", judging.findings, _count_differing(judging), measures)
    if not judging.compared:
        left = f"{len(expected.ignored)} lines ignored, {len(judging.expected.rows)} rows of values left"
        return nothing_compared("table", f"{left}; narrow `ignore` or `comment`, or judge by the rule text")
    if judging.findings.tolerated:
        return _passed(Grade.EQUIVALENT, _say_within(judging), measures)
    if judging.written_otherwise or judging.is_reordered or not judging.options.columns:
        return _passed(Grade.EQUIVALENT, _say_otherwise(judging), measures)
    return _passed(Grade.IDENTICAL, _say_identical(expected, found, judging), measures)


def _passed(grade: Grade, explanation: str, measures: dict[str, float]) -> Comparison:
    return Comparison(grade=grade, rule="table", explanation=explanation, measures=measures)


def _count_differing(judging: _Judging) -> str:
    total = judging.findings.total
    differs = "differs" if total == 1 else "differ"
    if total == judging.off:
        return f"{total} of {judging.compared} values {differs}"
    if not all(table.rows for table in (judging.expected, judging.found)):
        which = "expected" if not judging.expected.rows else "found"
        return f"the {which} file has no row of values"
    return f"{count_of(total, 'place')} {differs}, {count_of(judging.compared, 'value')} compared"


def _say_within(judging: _Judging) -> str:
    options = judging.options
    tolerances = [str(options.tolerance)] + [f"{name}: {own}" for name, own in options.tolerances.items()]
    same = judging.compared - judging.findings.tolerated
    return (
        f"equal within {'; '.join(tolerances)}: {same} of {judging.compared} values the same, "
        f"{judging.findings.tolerated} within tolerance; {judging.findings.describe_largest()}"
    )


def _say_otherwise(judging: _Judging) -> str:
    parts = [f"all {judging.compared} values are equal (rtol=0, atol=0)"]
    if judging.written_otherwise:
        parts.append(f"{judging.written_otherwise} written otherwise, first at {judging.first_otherwise}")
    if judging.is_reordered:
        parts.append("the rows stand in another order")
    if len(parts) == 1:
        parts.append("the lines are written otherwise (order of columns, spaces, quotes or line ends)")
    return "; ".join(parts)


def _say_identical(expected: Lines, found: Lines, judging: _Judging) -> str:
    judged = [column.name for column in judging.columns]
    names = [
        name for table in (judging.expected, judging.found) for name in table.names if name not in judged
    ]
    text = f"{judging.compared} of {judging.compared} values the same in columns {', '.join(judged)}"
    ignored = describe_ignored(expected, found)
    passed_over = [f"columns {', '.join(dict.fromkeys(names))}"] if names else []
    passed_over += [ignored] if ignored else []
    return f"{text}; not judged: {' and '.join(passed_over)}" if passed_over else text
