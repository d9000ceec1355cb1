"""Lines with their numbers, and which of them a rule was told to ignore."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from provenance.compare.findings import count_of

SHOWN = 160
SHOWN_LINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The lines of a text: those to judge with their numbers in the file (from 1), and those ignored.

    Line ends are kept: \\n, \\r\\n or \\r, and nothing where a file ends without one.
    """

    texts: tuple[str, ...]
    numbers: Sequence[int]
    ignored: tuple[str, ...]


def split_lines(text: str, ignore: tuple[re.Pattern[str], ...], comment: str = "") -> Lines:
    """The lines of `text`, without those that a pattern matches as a whole or that begin with `comment`."""
    lines = list(io.StringIO(text, newline=""))
    if not ignore and not comment:
        return Lines(texts=tuple(lines), numbers=range(1, len(lines) + 1), ignored=())
    bare = [line.rstrip("\r\n") for line in lines]
    ignored = _find_ignored(bare, ignore, comment)
    return Lines(
        texts=tuple(line for index, line in enumerate(lines) if index not in ignored),
        numbers=[index + 1 for index in range(len(lines)) if index not in ignored],
        ignored=tuple(bare[index] for index in sorted(ignored)),
    )


def _find_ignored(lines: list[str], ignore: tuple[re.Pattern[str], ...], comment: str) -> set[int]:
    ignored = (
        {index for index, line in enumerate(lines) if line.lstrip().startswith(comment)} if comment else set()
    )
    for pattern in ignore:
        ignored.update(index for index, line in enumerate(lines) if pattern.fullmatch(line))
    return ignored


def describe_ignored(expected: Lines, found: Lines) -> str:
    """The ignored lines that differ, as `1 ignored line: # Generation Time: ...`; empty where none does."""
    left = list((Counter(expected.ignored) - Counter(found.ignored)).elements())
    right = list((Counter(found.ignored) - Counter(expected.ignored)).elements())
    if left or right:
        number, shown = max(len(left), len(right)), (left or right)[:SHOWN_LINES]
        lines = " | ".join(show_line(line, quoted=False) for line in shown)
        return f"{count_of(number, 'ignored line')}: {lines}{' ...' if number > len(shown) else ''}"
    return ""


def show_line(line: str, *, quoted: bool = True) -> str:
    """A line as a message shows it: cut where it is long, with quotes and escapes unless told otherwise."""
    short = line if len(line) <= SHOWN else f"{line[:SHOWN]}... ({len(line)} characters)"
    return repr(short) if quoted else short.strip()
