"""Reading the options of a rule: every mistake is collected, and names the nearest right word."""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from provenance.compare.model import CompareRuleInvalid


def suggest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'text'?)` where a known word is near, else the list of what is known."""
    known = list(known)
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f" (did you mean {near[0]!r}?)"
    return f" (known: {', '.join(known)})" if known else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """A number is within tolerance where |found - expected| <= atol + rtol * |expected|."""

    rtol: float = 0.0
    atol: float = 0.0

    def limit(self, expected: float) -> float:
        """The largest deviation allowed from `expected`."""
        return self.atol + self.rtol * abs(expected)

    def __str__(self) -> str:
        return f"rtol={self.rtol:g}, atol={self.atol:g}"


class OptionReader:
    """Takes options one by one and remembers what was wrong; `finish` raises all mistakes at once."""

    def __init__(self, rule: str, options: Mapping[str, object], *, within: str = "") -> None:
        self.rule = rule
        self.mistakes: list[str] = []
        self._options = options
        self._within = f" of {within}" if within else ""
        self._known: list[str] = []

    def refuse(self, name: str, problem: str) -> None:
        """Note a mistake in the option `name`."""
        self.mistakes.append(f"option {name!r}{self._within} of rule {self.rule!r} {problem}")

    def value(self, name: str, default: object = None) -> object:
        """An option as it was given."""
        self._known.append(name)
        return self._options.get(name, default)

    def flag(self, name: str, *, default: bool) -> bool:
        """An option that is true or false."""
        value = self.value(name, default)
        if isinstance(value, bool):
            return value
        self.refuse(name, f"is true or false, found {value!r}")
        return default

    def text(self, name: str, default: str) -> str:
        """An option that is a text."""
        value = self.value(name, default)
        if isinstance(value, str):
            return value
        self.refuse(name, f"is a text, found {value!r}")
        return default

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """An option that is one of `choices`."""
        value = self.text(name, default)
        if value in choices or name not in self._options:
            return value
        self.refuse(name, f"cannot be {value!r}{suggest(value, choices)}")
        return default

    def count(self, name: str) -> int | None:
        """An option that is a whole number from 0 on, or left out."""
        value = self.value(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        self.refuse(name, f"is a whole number from 0 on, found {value!r}")
        return None

    def number(self, name: str, default: float = 0.0) -> float:
        """An option that is a finite number from 0 on."""
        value = self.value(name, default)
        number = _to_number(value)
        if number is not None and math.isfinite(number) and number >= 0:
            return number
        self.refuse(name, f"is a number from 0 on, found {value!r}")
        return default

    def tolerance(self, default: Tolerance | None = None) -> Tolerance:
        """The options `rtol` and `atol`."""
        default = default or Tolerance()
        return Tolerance(rtol=self.number("rtol", default.rtol), atol=self.number("atol", default.atol))

    def items(self, name: str) -> tuple[object, ...]:
        """An option that is a list; one text or number alone is a list of one."""
        value = self.value(name, ())
        if isinstance(value, (list, tuple)):
            return tuple(value)
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            return (value,)
        self.refuse(name, f"is a list, found {value!r}")
        return ()

    def words(self, name: str) -> tuple[str, ...]:
        """An option that is a list of texts; whole numbers are taken as texts."""
        items = self.items(name)
        for item in items:
            if not isinstance(item, (str, int)) or isinstance(item, bool):
                self.refuse(name, f"is a list of texts, found {item!r} in it")
        return tuple(str(item) for item in items)

    def patterns(self, name: str) -> tuple[re.Pattern[str], ...]:
        """An option that is a list of regular expressions, each for a whole line."""
        compiled = (self._compile(name, word) for word in self.words(name))
        return tuple(pattern for pattern in compiled if pattern is not None)

    def encoding(self, name: str) -> str | None:
        """An option that names a text encoding, or is left out."""
        value = self.value(name)
        if value is None:
            return None
        try:
            return codecs.lookup(str(value)).name
        except LookupError:
            self.refuse(name, f"names no encoding: {value!r} (utf-8, latin-1, ascii ...)")
            return None

    def note_unknown(self) -> None:
        """Note every option that was given and never asked for."""
        unknown = [name for name in self._options if name not in self._known]
        for name in unknown:
            self.mistakes.append(
                f"unknown option {name!r}{self._within} of rule {self.rule!r}{suggest(name, self._known)}"
            )

    def finish(self) -> None:
        """Raise every mistake found, unknown options among them."""
        self.note_unknown()
        if self.mistakes:
            raise CompareRuleInvalid(self.rule, tuple(self.mistakes))

    def _compile(self, name: str, word: str) -> re.Pattern[str] | None:
        try:
            return re.compile(word)
        except re.error as error:
            self.refuse(name, f"holds {word!r}, which is no regular expression: {error}")
            return None


def _to_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)  # YAML 1.1 takes 1e-6 for a text, since it has no point
    except ValueError:
        return None
