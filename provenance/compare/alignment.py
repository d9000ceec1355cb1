"""Which line of one text answers which line of another, in time that stays near linear for any two texts."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

Gap = tuple[int, int, int, int]
"""A stretch that differs: first and last index (exclusive) in the one, first and last in the other."""

GAP_PAIRS = 40_000
ALL_PAIRS = 4_000_000
GAP_COST = 100


def align_lines(one: Sequence[str], other: Sequence[str]) -> Iterator[Gap]:
    """The stretches in which two texts differ, in order.

    Lines that occur once in both are the fixed points (patience diff); difflib aligns what is between them
    where that is small: it is cubic at worst, and a log of 100,000 lines must be judged in a second.
    """
    budget = ALL_PAIRS
    for gap in _gaps_between_fixed_points(one, other):
        low, high, other_low, other_high = gap
        pairs = (high - low) * (other_high - other_low)
        if 1 < pairs <= min(GAP_PAIRS, budget):
            budget -= pairs + GAP_COST
            yield from _align_gap(one, other, gap)
        else:
            yield gap


def _gaps_between_fixed_points(one: Sequence[str], other: Sequence[str]) -> Iterator[Gap]:
    start, end, _, other_end = _trim(one, other, (0, len(one), 0, len(other)))
    low, other_low = start, start
    for index, other_index in [
        *_fixed_points(one[start:end], other[start:other_end], start),
        (end, other_end),
    ]:
        gap = _trim(one, other, (low, index, other_low, other_index))
        if gap[0] < gap[1] or gap[2] < gap[3]:
            yield gap
        low, other_low = index + 1, other_index + 1


def _trim(one: Sequence[str], other: Sequence[str], gap: Gap) -> Gap:
    """A stretch without the lines that are the same at its begin and at its end."""
    low, high, other_low, other_high = gap
    while low < high and other_low < other_high and one[low] == other[other_low]:
        low, other_low = low + 1, other_low + 1
    while low < high and other_low < other_high and one[high - 1] == other[other_high - 1]:
        high, other_high = high - 1, other_high - 1
    return low, high, other_low, other_high


def _fixed_points(one: Sequence[str], other: Sequence[str], start: int) -> list[tuple[int, int]]:
    once = {line for line, times in Counter(one).items() if times == 1}
    once &= {line for line, times in Counter(other).items() if times == 1}
    where = {line: index for index, line in enumerate(other, start) if line in once}
    return _longest_rising([(index, where[line]) for index, line in enumerate(one, start) if line in once])


def _longest_rising(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (_, other_index) in enumerate(points):
        length = bisect_left(ends, other_index)
        ends[length : length + 1] = [other_index]
        last[length : length + 1] = [number]
        before.append(last[length - 1] if length else -1)
    rising, number = [], last[-1] if last else -1
    while number >= 0:
        rising.append(points[number])
        number = before[number]
    return rising[::-1]


def _align_gap(one: Sequence[str], other: Sequence[str], gap: Gap) -> Iterator[Gap]:
    low, high, other_low, other_high = gap
    matcher = SequenceMatcher(None, one[low:high], other[other_low:other_high], autojunk=False)
    for tag, start, end, other_start, other_end in matcher.get_opcodes():
        if tag != "equal":
            yield low + start, low + end, other_low + other_start, other_low + other_end
