"""Reads a JSON object key by key: every key must be there, have its type, and be known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TypeVar

from provenance.digest import Digest, parse_digest
from provenance.errors import DigestMismatch

_Value = TypeVar("_Value")


class WrongShape(ValueError):
    """A key is missing, unknown or of another type than expected; the text says which and where."""


class Reader:
    """One JSON object. As a context manager it refuses, at the end, the keys nobody asked for."""

    def __init__(self, value: object, *, at: str = "") -> None:
        if not isinstance(value, dict):
            raise WrongShape(f"{_quote(at) if at else 'the whole'} is {_shown(value)}: expected an object")
        self._value: dict[str, object] = value
        self._at = at
        self._asked: set[str] = set()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        unknown = sorted(set(self._value) - self._asked)
        if kind is None and unknown:
            raise WrongShape(f"unknown {', '.join(_quote(self._path(key)) for key in unknown)}")

    def has(self, key: str) -> bool:
        """Whether the key is there with a value other than null; it must be there."""
        return self._get(key) is not None

    def may_have(self, key: str) -> bool:
        """Whether the key is there at all: one that writers leave out where they have nothing to say."""
        return key in self._value

    def optional(self, read: Callable[[str], _Value], key: str) -> _Value | None:
        """What `read` gives for a key that may be null."""
        return read(key) if self.has(key) else None

    def text(self, key: str) -> str:
        """A text."""
        return self._text(self._get(key), self._path(key))

    def whole(self, key: str) -> int:
        """A whole number."""
        found = self._get(key)
        if isinstance(found, bool) or not isinstance(found, int):
            raise self._wrong(self._path(key), found, "a whole number")
        return found

    def truth(self, key: str) -> bool:
        """True or false."""
        found = self._get(key)
        if not isinstance(found, bool):
            raise self._wrong(self._path(key), found, "true or false")
        return found

    def digest(self, key: str) -> Digest:
        """A digest."""
        found = self.text(key)
        try:
            return parse_digest(found)
        except DigestMismatch as error:
            raise WrongShape(f"{_quote(self._path(key))}: {error.message}") from error

    def mapping(self, key: str) -> Mapping[str, object]:
        """An object with keys of its own."""
        return self._mapping(self._get(key), self._path(key))

    def mappings(self, key: str) -> tuple[Mapping[str, object], ...]:
        """A list of such objects."""
        return tuple(self._mapping(item, at) for at, item in self._items(key))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(self._text(item, at) for at, item in self._items(key))

    def texts_by_key(self, key: str) -> Mapping[str, str]:
        """An object whose values are texts."""
        at = self._path(key)
        return {name: self._text(item, f"{at}.{name}") for name, item in self.mapping(key).items()}

    def numbers(self, key: str) -> Mapping[str, float]:
        """An object whose values are numbers."""
        at = self._path(key)
        return {name: self._number(item, f"{at}.{name}") for name, item in self.mapping(key).items()}

    def optional_numbers(self, key: str) -> Mapping[str, float | None]:
        """An object whose values are numbers or null."""
        at = self._path(key)
        return {
            name: None if item is None else self._number(item, f"{at}.{name}")
            for name, item in self.mapping(key).items()
        }

    def reader(self, key: str) -> Reader:
        """An object to be read key by key."""
        return Reader(self._get(key), at=self._path(key))

    def readers(self, key: str) -> tuple[Reader, ...]:
        """A list of objects to be read key by key."""
        return tuple(Reader(item, at=at) for at, item in self._items(key))

    def _get(self, key: str) -> object:
        if key not in self._value:
            raise WrongShape(f"{_quote(self._path(key))} is missing")
        self._asked.add(key)
        return self._value[key]

    def _items(self, key: str) -> list[tuple[str, object]]:
        found, at = self._get(key), self._path(key)
        if not isinstance(found, list):
            raise self._wrong(at, found, "a list")
        return [(f"{at}[{index}]", item) for index, item in enumerate(found)]

    def _mapping(self, found: object, at: str) -> Mapping[str, object]:
        if not isinstance(found, dict):
            raise self._wrong(at, found, "an object")
        return found

    def _text(self, found: object, at: str) -> str:
        if not isinstance(found, str):
            raise self._wrong(at, found, "a text")
        return found

    def _number(self, found: object, at: str) -> float:
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise self._wrong(at, found, "a number")
        return found

    def _path(self, key: str) -> str:
        return f"{self._at}.{key}" if self._at else key

    @staticmethod
    def _wrong(at: str, found: object, expected: str) -> WrongShape:
        return WrongShape(f"{_quote(at)} is {_shown(found)}: expected {expected}")


def _quote(path: str) -> str:
    return f"key {path!r}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
