"""The kinds of values the recipe language is made of. `fields.py` describes the language with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A scalar taken as the text that stands there. `pattern` must match all of it.

    `number` says whether an unquoted number is taken as its text (`version: 9.10`); where it is not, quotes
    are asked for. `exact` keeps white space at both ends. A `regex` is itself a pattern and has to compile.
    """

    means: str = "text"
    pattern: str = ""
    multiline: bool = False
    exact: bool = False
    number: bool = True
    empty: bool = False
    regex: bool = False
    max_length: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer:
    """A whole number within bounds (both included)."""

    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A decimal number within bounds (both included)."""

    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Boolean:
    """`true` or `false`; YAML 1.1's `yes`, `no`, `on`, `off` are refused, since readers disagree on them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of a few words. With `enum`, the value becomes its member."""

    words: tuple[str, ...]
    enum: type[StrEnum] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """A time with its unit, `10 min`; becomes seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """An amount of memory or disk with its unit, `512 MiB`; becomes MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A parameter's value, written as on the command line; the parameter's own type decides what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anything:
    """Any YAML, as JSON would hold it: for options whose owner checks them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """A list of values of one kind."""

    item: Kind
    minimum: int = 0
    unique: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """A mapping with free keys: the key is the name of what stands under it."""

    key: Text
    item: Kind
    noun: str
    minimum: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A key of a mapping: what it holds, what it is for, and the attribute of the model that takes it."""

    key: str
    kind: Kind
    help: str
    required: bool = False
    default: str = ""
    attribute: str = ""

    @property
    def target(self) -> str:
        """The attribute of the model that takes the value."""
        return self.attribute or self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A mapping with known keys; `make` makes the model's value of it, by the fields' attributes.

    `others` is what further keys hold, where there may be any.
    `exactly_one` and `at_least_one` are sets of keys; `together` says which keys one key asks for.
    """

    noun: str
    help: str
    fields: tuple[Field, ...]
    make: Callable[..., object]
    located: bool = True
    others: Kind | None = None
    exactly_one: tuple[tuple[str, ...], ...] = ()
    at_least_one: tuple[tuple[str, ...], ...] = ()
    together: tuple[tuple[str, tuple[str, ...]], ...] = ()
    by_key: dict[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_key", {known.key: known for known in self.fields})


Kind = (
    Text | Integer | Number | Boolean | Choice | Duration | Size | Value | Anything | ListOf | MapOf | Mapping
)
