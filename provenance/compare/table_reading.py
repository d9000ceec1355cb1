"""A text as a table: header, column names, rows of cells."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from provenance.compare.files import Unreadable
from provenance.compare.lines import Lines
from provenance.compare.numbers import parse_number

WHITESPACE = "whitespace"
Cells = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as read: `header` rows, then `rows`; `lines` has the number of each row's line.

    `names` has one name per column of the widest row; a column without a name is called by its number.
    """

    header: tuple[Cells, ...]
    names: tuple[str, ...]
    is_named: bool
    rows: list[Cells]
    lines: list[int]


def read_table(lines: Lines, delimiter: str, header_rows: int | None, *, which: str) -> Table:
    """The table in `lines`, blank ones left out. Raises `Unreadable` in words where a cell cannot be read."""
    cells, numbers = _split_cells(lines, delimiter, which)
    if header_rows is None:
        header_rows = detect_header(cells)
    header, rows = tuple(cells[:header_rows]), cells[header_rows:]
    names, is_named = _name_columns(header, rows)
    return Table(header=header, names=names, is_named=is_named, rows=rows, lines=numbers[header_rows:])


def _split_cells(lines: Lines, delimiter: str, which: str) -> tuple[list[Cells], list[int]]:
    if delimiter == WHITESPACE:
        split = [(line.split(), number) for line, number in zip(lines.texts, lines.numbers, strict=True)]
        return [cells for cells, _ in split if cells], [number for cells, number in split if cells]
    reader = csv.reader(lines.texts, delimiter=delimiter)
    rows: list[Cells] = []
    numbers: list[int] = []
    try:
        for cells in reader:
            if len(cells) > 1 or (cells and cells[0].strip()):
                rows.append(cells)
                numbers.append(lines.numbers[reader.line_num - 1])
    except csv.Error as error:
        raise Unreadable(
            f"{which}, line {lines.numbers[reader.line_num - 1]} is no row of a table: {error}"
        ) from error
    return rows, numbers


def detect_header(rows: Sequence[Cells]) -> int:
    """How many rows stand before the first one with a number in it.

    A table of words alone has none: its header then ends with the first row that is as wide as any.
    """
    for index, cells in enumerate(rows):
        if any(parse_number(cell) is not None for cell in cells):
            return index
    widest = max((len(cells) for cells in rows), default=0)
    return next((index + 1 for index, cells in enumerate(rows) if len(cells) == widest), 0)


def _name_columns(header: tuple[Cells, ...], rows: list[Cells]) -> tuple[tuple[str, ...], bool]:
    width = len(rows[0]) if rows else max((len(cells) for cells in header), default=0)
    widest = max((len(cells) for cells in rows), default=width)
    named = [[cell.strip() for cell in cells] for cells in header if len(cells) == width]
    names = _join_until_unique(named) if named else []
    names += [""] * (widest - len(names))
    return tuple(_number_repeated(name or str(n) for n, name in enumerate(names, start=1))), bool(named)


def _join_until_unique(named: list[list[str]]) -> list[str]:
    """Names from the first header row; where one occurs twice there, with those below: `Total Upload`."""
    names = named[0]
    for below in named[1:]:
        if len(set(names)) == len(names):
            break
        names = [f"{name} {more}".strip() for name, more in zip(names, below, strict=True)]
    return names


def _number_repeated(names: Iterable[str]) -> list[str]:
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return unique
