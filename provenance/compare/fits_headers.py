"""The headers of two HDUs, keyword by keyword."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from provenance.compare.files import Unreadable
from provenance.compare.findings import Findings
from provenance.compare.fits_files import OpenHdu, describe_hdu, read_cards, read_quietly
from provenance.compare.model import Difference
from provenance.compare.numbers import Match, match_cells
from provenance.compare.options import Tolerance

# Keywords that say how the data lie in the file: their size is no deviation.
STRUCTURE = ("BITPIX", "NAXIS*", "PCOUNT", "GCOUNT", "TFIELDS", "THEAP")
Card = tuple[str, str]
"""A keyword and the card as it stands in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitsOptions:
    """How FITS files are judged. Names are upper case and may hold `*`, `?` and `[...]`."""

    ignore_keywords: tuple[str, ...] = ()
    ignore_comments: tuple[str, ...] = ()
    ignore_hdus: tuple[str, ...] = ()
    tolerance: Tolerance = field(default_factory=Tolerance)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderOutcome:
    """How many cards were compared, which ignored keywords differ, whether the rest is the same cards."""

    compared: int
    ignored: set[str]
    is_exact: bool


def is_named(name: str, patterns: Iterable[str]) -> bool:
    """Whether a keyword or HDU is one of those named."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def compare_headers(one: OpenHdu, other: OpenHdu, options: FitsOptions, findings: Findings) -> HeaderOutcome:
    """Compare two headers; what differs is noted, with keyword and values."""
    (cards, rest), (other_cards, other_rest) = read_cards(one), read_cards(other)
    sides = _name_cards(cards), _name_cards(other_cards)
    kept = [[card for card in cards if not is_named(card[0], options.ignore_keywords)] for cards in sides]
    dropped = [[card for card in cards if is_named(card[0], options.ignore_keywords)] for cards in sides]
    left, right = (Counter(cards) for cards in dropped)
    ignored = {keyword for keyword, _ in (left - right) + (right - left)}
    compared = min(len(cards) for cards in kept)
    if kept[0] == kept[1]:
        return HeaderOutcome(compared=compared, ignored=ignored, is_exact=rest == other_rest)
    bare = [[_without_comment(card, options) for card in cards] for cards in kept]
    if bare[0] == bare[1]:
        return HeaderOutcome(compared=compared, ignored=ignored | {"comments"}, is_exact=rest == other_rest)
    _compare_values(one, other, options, findings)
    return HeaderOutcome(compared=compared, ignored=ignored, is_exact=False)


def _name_cards(cards: list[str]) -> list[Card]:
    named: list[Card] = []
    for card in cards:
        keyword = card[:8].strip()
        if keyword == "CONTINUE" and named:
            keyword = named[-1][0]
        elif keyword == "HIERARCH":
            keyword = card[8:].partition("=")[0].strip()
        named.append((keyword, card))
    return named


def _without_comment(card: Card, options: FitsOptions) -> Card:
    from astropy.io import fits

    keyword, text = card
    if not is_named(keyword, options.ignore_comments) or text.startswith("CONTINUE"):
        return card
    try:
        value = read_quietly(lambda: fits.Card.fromstring(text).value, f"card {keyword}")
    except Unreadable:
        return card
    return keyword, repr(value)


def _compare_values(one: OpenHdu, other: OpenHdu, options: FitsOptions, findings: Findings) -> None:
    place = describe_hdu(one)
    try:
        diff = read_quietly(lambda: _diff_headers(one, other, options), "cards that cannot be read")
    except Unreadable as error:
        findings.add(Difference(place=f"{place}, header", expected="readable cards", found=error.message))
        return
    _note_values(place, diff, options.tolerance, findings)


def _diff_headers(one: OpenHdu, other: OpenHdu, options: FitsOptions) -> Any:
    from astropy.io import fits

    return fits.HeaderDiff(
        one.hdu.header,
        other.hdu.header,
        ignore_keywords=options.ignore_keywords,
        ignore_comments=options.ignore_comments,
    )


def _note_values(place: str, diff: Any, tolerance: Tolerance, findings: Findings) -> None:
    only_left, only_right = diff.diff_keywords or ((), ())
    for keyword in only_left:
        value = _read_value(diff.a, keyword)
        findings.add(Difference(place=f"{place}, keyword {keyword}", expected=value, found=None))
    for keyword in only_right:
        value = _read_value(diff.b, keyword)
        findings.add(Difference(place=f"{place}, keyword {keyword}", expected=None, found=value))
    for keyword, (left, right) in diff.diff_duplicate_keywords.items():
        findings.add(
            Difference(place=f"{place}, keyword {keyword}", expected=f"{left} cards", found=f"{right} cards")
        )
    for keyword, pairs in diff.diff_keyword_values.items():
        for pair in filter(None, pairs):
            _note_pair(f"{place}, keyword {keyword}", pair, tolerance, findings)
    for keyword, pairs in diff.diff_keyword_comments.items():
        for left, right in filter(None, pairs):
            where = f"{place}, comment of keyword {keyword}"
            findings.add(Difference(place=where, expected=repr(left), found=repr(right)))


def _read_value(header: Any, keyword: str) -> str:
    try:
        return _show(read_quietly(lambda: header[keyword], f"keyword {keyword}"))
    except Unreadable as error:
        return f"a card that cannot be read ({error.message})"


def _note_pair(place: str, pair: tuple[object, object], tolerance: Tolerance, findings: Findings) -> None:
    expected, found = pair
    keyword = place.rpartition(" ")[2]
    if is_named(keyword, STRUCTURE) or not (_is_number(expected) and _is_number(found)):
        findings.add(Difference(place=place, expected=_show(expected), found=_show(found)))
        return
    result = match_cells(str(expected), str(found), tolerance, nan_equal=True)
    difference = Difference(
        place=place,
        expected=str(expected),
        found=str(found),
        absolute=result.absolute,
        relative=result.relative,
    )
    if result.match is Match.OFF:
        findings.add(difference)
    elif result.match is Match.WITHIN:
        findings.tolerate(difference)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _show(value: object) -> str:
    return (
        str(value) if _is_number(value) else repr(str(value) if not isinstance(value, (bool, str)) else value)
    )
