"""Numbers as a program writes them in text: reading them, and how far two of them are apart."""

from __future__ import annotations

import math
import re
import sys
from decimal import Decimal, InvalidOperation, localcontext
from enum import Enum
from typing import NamedTuple

from provenance.compare.options import Tolerance

# Fortran writes 1.0D+03 for double precision, and drops the letter where the exponent has three digits.
_FORTRAN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[dD]([+-]?\d+)|(?<=\d)([+-]\d{3}))")


class Match(Enum):
    """How a cell stands to the expected one."""

    SAME_TEXT = 0
    SAME_VALUE = 1
    WITHIN = 2
    OFF = 3


class CellMatch(NamedTuple):
    """A match; for two finite numbers also found minus expected, and that relative to expected."""

    match: Match
    absolute: float | None = None
    relative: float | None = None


_SAME_TEXT, _SAME_VALUE, _OFF = CellMatch(Match.SAME_TEXT), CellMatch(Match.SAME_VALUE), CellMatch(Match.OFF)
EXACT_DIGITS = 15  # decimal numbers of no more digits are equal where their floats are
NOISE = 8 * sys.float_info.epsilon


def parse_number(text: str) -> float | None:
    """The number a cell holds, None where it holds none. Knows Fortran's exponents, and no Python extras."""
    try:
        number = float(text)
    except ValueError:
        return _parse_fortran(text)
    if "_" in text or (math.isinf(number) and "n" not in text.lower()):
        return None  # 000_20 is an elapsed time, not 20; 1e400 is not infinity
    return number


def _parse_fortran(text: str) -> float | None:
    written = _to_plain(text)
    return finite(float(written)) if written is not None else None


def _to_plain(text: str) -> str | None:
    match = _FORTRAN.fullmatch(text.strip())
    if match is None or ("." not in match[1] and match[2] is None):
        return None
    return f"{match[1]}e{match[2] or match[3]}"


def match_cells(expected: str, found: str, tolerance: Tolerance, *, nan_equal: bool) -> CellMatch:
    """Compare two cells: as numbers where both are, else as text without the spaces around it."""
    one, other = parse_number(expected), parse_number(found)
    if one is None or other is None:
        return _match_texts(expected, found)
    if math.isfinite(one) and math.isfinite(other):
        return _match_numbers(expected, found, (one, other), tolerance)
    are_equal = one == other or (nan_equal and math.isnan(one) and math.isnan(other))
    return _OFF if not are_equal else _SAME_TEXT if expected == found else _SAME_VALUE


def _match_texts(expected: str, found: str) -> CellMatch:
    if expected == found:
        return _SAME_TEXT
    return _SAME_VALUE if expected.strip() == found.strip() else _OFF


def _match_numbers(expected: str, found: str, values: tuple[float, float], tolerance: Tolerance) -> CellMatch:
    if expected == found:
        return _SAME_TEXT
    one, other = values
    deviation, limit, size = other - one, tolerance.limit(one), abs(one)
    gap = abs(deviation)
    if not gap and size > sys.float_info.min and max(len(expected), len(found)) <= EXACT_DIGITS:
        return _SAME_VALUE
    if not gap or abs(gap - limit) <= NOISE * (size + gap):
        return _match_decimals(expected, found, tolerance)
    match = Match.WITHIN if gap < limit else Match.OFF
    return CellMatch(match, finite(deviation), finite(gap / size) if size else None)


def _match_decimals(expected: str, found: str, tolerance: Tolerance) -> CellMatch:
    """Decide in decimal what is too near for binary: 5.101 is 0.001 from 5.100, 2**53 is not 2**53 + 1."""
    try:
        with localcontext() as context:
            context.prec = 60
            one, other = _to_decimal(expected), _to_decimal(found)
            gap, size = abs(other - one), abs(one)
            is_within = gap <= Decimal(repr(tolerance.atol)) + Decimal(repr(tolerance.rtol)) * size
            relative = finite(float(gap / size)) if size else None
    except ArithmeticError:  # an exponent of more digits than decimal knows: 1e-99999999999999999999
        return _OFF
    if not gap:
        return _SAME_VALUE
    return CellMatch(Match.WITHIN if is_within else Match.OFF, finite(float(other - one)), relative)


def finite(number: float) -> float | None:
    """The number, or None where it has no place in JSON: infinite, or no number."""
    return number if math.isfinite(number) else None


def _to_decimal(text: str) -> Decimal:
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        return Decimal(_to_plain(text) or "nan")
