"""The options of the rule `table`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from provenance.compare.options import OptionReader, Tolerance
from provenance.compare.table_reading import WHITESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """How a table is read and judged; `header_rows` None: found out, `match_columns_by` empty: likewise."""

    delimiter: str = ","
    comment: str = ""
    ignore: tuple[re.Pattern[str], ...] = ()
    encoding: str | None = None
    header_rows: int | None = None
    columns: tuple[str, ...] = ()
    key: str = ""
    tolerance: Tolerance = field(default_factory=Tolerance)
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    nan_equal: bool = True
    match_columns_by: str = ""

    def tolerance_of(self, column: str) -> Tolerance:
        """The tolerance a column is judged by: its own, else that of the table."""
        return self.tolerances.get(column, self.tolerance)


def read_table_options(options: Mapping[str, object]) -> TableOptions:
    """The options as values; raises `CompareRuleInvalid` with every mistake in them."""
    reader = OptionReader("table", options)
    tolerance = reader.tolerance()
    parsed = TableOptions(
        delimiter=_read_delimiter(reader),
        comment=reader.text("comment", ""),
        ignore=reader.patterns("ignore"),
        encoding=reader.encoding("encoding"),
        header_rows=reader.count("header_rows"),
        columns=reader.words("columns"),
        key=reader.text("key", ""),
        tolerance=tolerance,
        tolerances=_read_tolerances(reader, tolerance),
        nan_equal=reader.flag("nan_equal", default=True),
        match_columns_by=reader.choice("match_columns_by", "", ("name", "position")),
    )
    reader.finish()
    return parsed


def _read_delimiter(reader: OptionReader) -> str:
    delimiter = reader.text("delimiter", ",")
    if delimiter == WHITESPACE or (len(delimiter) == 1 and delimiter not in '\r\n "'):
        return delimiter
    reader.refuse("delimiter", f"is one character or 'whitespace', found {delimiter!r}")
    return ","


def _read_tolerances(reader: OptionReader, default: Tolerance) -> dict[str, Tolerance]:
    value = reader.value("tolerances", {})
    if not isinstance(value, Mapping):
        reader.refuse("tolerances", f"maps column names to rtol and atol, found {value!r}")
        return {}
    return {str(name): _read_tolerance(reader, str(name), given, default) for name, given in value.items()}


def _read_tolerance(reader: OptionReader, name: str, given: object, default: Tolerance) -> Tolerance:
    if not isinstance(given, Mapping):
        reader.refuse("tolerances", f"gives column {name!r} no mapping of rtol and atol, but {given!r}")
        return default
    own = OptionReader(reader.rule, given, within=f"column {name!r}")
    tolerance = own.tolerance(default)
    own.note_unknown()
    reader.mistakes.extend(own.mistakes)
    return tolerance
