"""Which column of one table answers which of another, and by what tolerance it is judged."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.compare.findings import Findings
from provenance.compare.model import Difference
from provenance.compare.options import Tolerance, suggest
from provenance.compare.table_options import TableOptions
from provenance.compare.table_reading import Cells, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column to judge: its index in the expected and in the found table."""

    name: str
    expected: int
    found: int
    tolerance: Tolerance


def pair_columns(
    expected: Table, found: Table, options: TableOptions, findings: Findings
) -> tuple[Column, ...]:
    """The columns to judge, in the order of the expected table; a column that one lacks is a difference."""
    by_name = are_matched_by_name(expected, found, options)
    right = {name: index for index, name in enumerate(found.names)}
    columns = []
    for index, name in enumerate(expected.names):
        if options.columns and name not in options.columns:
            continue
        other = right.get(name) if by_name else index if index < len(found.names) else None
        if other is None:
            findings.add(_lacks(name, found, "found"))
        else:
            columns.append(
                Column(name=name, expected=index, found=other, tolerance=options.tolerance_of(name))
            )
    _note_unknown(expected, options, findings)
    if not options.columns:
        _note_extra(expected, found, findings, by_name=by_name)
    return tuple(columns)


def are_matched_by_name(expected: Table, found: Table, options: TableOptions) -> bool:
    """Whether columns answer each other by name: as told, else where both tables have a header."""
    if options.match_columns_by:
        return options.match_columns_by == "name"
    return expected.is_named and found.is_named


def find_key(
    expected: Table, found: Table, options: TableOptions, findings: Findings
) -> tuple[int, int] | None:
    """Where the column that names the rows is in both; where one lacks it, that is a difference."""
    if not options.key:
        return None
    for table, which in ((expected, "expected"), (found, "found")):
        if options.key not in table.names:
            findings.add(_lacks(options.key, table, which))
            return None
    return expected.names.index(options.key), found.names.index(options.key)


def compare_headers(
    expected: Table, found: Table, columns: tuple[Column, ...], findings: Findings, *, is_all: bool
) -> None:
    """Note header cells of judged columns that differ: a unit that changed changes every number below it.

    A header row that is narrower than the table belongs to no column: it is compared where all are judged.
    """
    rows = len(expected.header), len(found.header)
    if rows[0] != rows[1]:
        findings.add(Difference(place="header", expected=f"{rows[0]} rows", found=f"{rows[1]} rows"))
        return
    for number, (one, other) in enumerate(zip(expected.header, found.header, strict=True), start=1):
        is_wide = all(column.expected < len(one) and column.found < len(other) for column in columns)
        if is_wide or is_all:
            _compare_header_row(number, (one, other), columns if is_wide else None, findings)


def _compare_header_row(
    number: int, rows: tuple[Cells, Cells], columns: tuple[Column, ...] | None, findings: Findings
) -> None:
    one, other = rows
    if columns is not None:
        pairs = [(column.name, one[column.expected], other[column.found]) for column in columns]
    elif len(one) == len(other):
        pairs = [
            (str(n), left, right) for n, (left, right) in enumerate(zip(one, other, strict=True), start=1)
        ]
    else:
        pairs = [("", " | ".join(one), " | ".join(other))]
    for name, left, right in pairs:
        if left.strip() != right.strip():
            place = f"header row {number}" + (f", column {name}" if name else "")
            findings.add(Difference(place=place, expected=repr(left.strip()), found=repr(right.strip())))


def _note_unknown(expected: Table, options: TableOptions, findings: Findings) -> None:
    for name in dict.fromkeys((*options.columns, *options.tolerances)):
        if name not in expected.names:
            findings.add(_lacks(name, expected, "expected"))


def _note_extra(expected: Table, found: Table, findings: Findings, *, by_name: bool) -> None:
    if by_name:
        extra = [name for name in found.names if name not in expected.names]
    else:
        extra = list(found.names[len(expected.names) :])
    for name in extra:
        findings.add(Difference(place=f"column {name}", expected=None, found="a column"))


def _lacks(name: str, table: Table, which: str) -> Difference:
    found = f"none in the {which} file{suggest(name, table.names)}"
    return Difference(place=f"column {name}", expected="a column of that name", found=found)
