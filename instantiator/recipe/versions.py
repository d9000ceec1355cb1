"""Which of two versions is newer, for the ways scientific software is numbered."""

from __future__ import annotations

import re

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_YEAR_MONTH = re.compile(rf"(\d\d)({'|'.join(_MONTHS)})(.*)")
_PART = re.compile(r"\d+|[A-Za-z]+")


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts versions from old to new: 9.9 < 9.10, 1.0rc1 < 1.0 < 1.0.1, 95NOV < 22SEP (MIDAS)."""
    if match := _YEAR_MONTH.fullmatch(version):
        year = int(match[1]) + (1900 if int(match[1]) >= 70 else 2000)
        return ((2, year, ""), (2, _MONTHS.index(match[2]), ""), *version_key(match[3]))
    parts = (_part_key(part) for part in _PART.findall(version))
    return (*parts, (1, 0, ""))


def _part_key(part: str) -> tuple[int, int, str]:
    """Words (rc, beta) come before the end of a version, numbers after it; `pl` and `p` are patch levels."""
    if part.isdigit():
        return (2, int(part), "")
    return (2, 0, part) if part.lower() in ("pl", "p", "post") else (0, 0, part.lower())
