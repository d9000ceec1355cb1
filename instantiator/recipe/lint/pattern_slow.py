"""Lint: regular expressions that end."""

from __future__ import annotations

import re
import re._constants as codes  # type: ignore[import-not-found]  # the parse tree has no public module
import re._parser as parser  # type: ignore[import-not-found]  # as above
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.lint.patterns import find_patterns
from instantiator.recipe.model import Recipe

Item = tuple[Any, Any]  # Any: a code of re and its argument, whose shape depends on the code

_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT)
_ASCII = frozenset(range(128))
_MANY = 20


class SlowPattern:
    """A regular expression can take for ever.

    A repetition inside a repetition, as in `(a+)+` or `(.*,)*`, tries every way to split a text that does
    not match: 30 characters can take hours. Keep one of the two repetitions, or let each round begin with
    a character that the inner one cannot match.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Patterns with a repetition that can be split in many ways."""
        for path, pattern in find_patterns(recipe):
            if is_slow(pattern):
                yield Spot(recipe.at(path), f"{pattern!r}")


def is_slow(pattern: str) -> bool:
    """Whether a repeated group holds a repetition and nothing in it that tells its rounds apart."""
    return any(_is_ambiguous(body) for body in _find_repeated(parser.parse(pattern)))


def _find_repeated(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The body of every repetition without a (small) bound, at any depth."""
    for code, argument in items:
        if code in _REPEATS and argument[1] >= _MANY:
            yield list(argument[2])
        for inner in _inner(code, argument):
            yield from _find_repeated(inner)


def _inner(code: object, argument: Any) -> list[Iterable[Item]]:
    """The sequences inside one item of the parse tree."""
    if code in _REPEATS or code is codes.POSSESSIVE_REPEAT:
        return [argument[2]]
    if code is codes.SUBPATTERN:
        return [argument[3]]
    if code is codes.BRANCH:
        return list(argument[1])
    if code in (codes.ASSERT, codes.ASSERT_NOT):
        return [argument[1]]
    return []


def _is_ambiguous(body: list[Item]) -> bool:
    """Whether one round of a repetition may as well be two."""
    body = _flatten(body)
    for number, (code, argument) in enumerate(body):
        if code is codes.BRANCH:
            if any(_is_ambiguous(list(branch)) for branch in argument[1]):
                return True
        elif code in _REPEATS and argument[1] >= _MANY:
            others = [item for other, item in enumerate(body) if other != number]
            if not any(_separates(item, _characters(argument[2])) for item in others):
                return True
    return False


def _flatten(body: list[Item]) -> list[Item]:
    """The items of a sequence, with those of its plain groups in place."""
    flat: list[Item] = []
    for code, argument in body:
        flat += _flatten(list(argument[3])) if code is codes.SUBPATTERN else [(code, argument)]
    return flat


def _separates(item: Item, repeated: frozenset[int]) -> bool:
    """Whether an item has to match, and what it matches is nothing the inner repetition could take."""
    code, argument = item
    if code in _REPEATS and argument[0] == 0:
        return False
    found = _characters([item])
    return bool(found) and not found & repeated


def _characters(items: Iterable[Item]) -> frozenset[int]:
    """The ASCII characters that a sequence may hold."""
    found: set[int] = set()
    for code, argument in items:
        if code is codes.LITERAL:
            found.add(argument)
        elif code is codes.NOT_LITERAL:
            found |= _ASCII - {argument}
        elif code is codes.ANY:
            found |= _ASCII
        elif code is codes.IN:
            found |= _characters_of_set(argument)
        for inner in _inner(code, argument):
            found |= _characters(inner)
    return frozenset(found)


def _characters_of_set(items: Iterable[Item]) -> frozenset[int]:
    found: set[int] = set()
    negated = False
    for code, argument in items:
        if code is codes.NEGATE:
            negated = True
        elif code is codes.LITERAL:
            found.add(argument)
        elif code is codes.RANGE:
            found |= set(range(argument[0], min(argument[1], 127) + 1))
        elif code is codes.CATEGORY:
            found |= {sign for sign in _ASCII if re.match(_CATEGORIES[argument], chr(sign))}
    return _ASCII - found if negated else frozenset(found)


_CATEGORIES = {
    codes.CATEGORY_DIGIT: r"\d",
    codes.CATEGORY_NOT_DIGIT: r"\D",
    codes.CATEGORY_SPACE: r"\s",
    codes.CATEGORY_NOT_SPACE: r"\S",
    codes.CATEGORY_WORD: r"\w",
    codes.CATEGORY_NOT_WORD: r"\W",
}
