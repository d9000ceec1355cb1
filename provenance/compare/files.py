"""The two files of a comparison: what can be said before their content is looked at, and reading them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from provenance.compare.findings import say_different
from provenance.compare.model import Comparison, Grade
from provenance.digest import CHUNK
from provenance.errors import ObjectMissing, ThawError


class Unreadable(ThawError):
    """One of the two files is not what its rule reads; the message is the verdict's explanation."""

    code = "comparison-unreadable"


def check_files(expected: Path, found: Path, rule: str) -> Comparison | None:
    """The comparison where the files themselves settle it: one is absent, is no file, or cannot be opened."""
    if not os.path.lexists(expected):
        raise ObjectMissing(
            f"{expected} is not there: there is nothing to compare with",
            where=str(expected),
            hint="check the vault: thaw vault audit",
        )
    if not os.path.lexists(found):
        return missing(rule)
    kinds = describe_kind(expected), describe_kind(found)
    if kinds != ("a file", "a file"):
        return say_different(rule, "the output", *kinds)
    if not os.access(found, os.R_OK):
        return say_different(rule, "the output", "a file", "a file that may not be read")
    return None


def missing(rule: str) -> Comparison:
    """The comparison where the repeated run did not give the output."""
    return Comparison(grade=Grade.MISSING, rule=rule, explanation="the repeated run did not give this output")


def same_bytes(rule: str, size: int, measures: dict[str, float] | None = None) -> Comparison:
    """The comparison of two files that are equal, byte for byte."""
    return Comparison(
        grade=Grade.IDENTICAL,
        rule=rule,
        explanation=f"the same bytes ({size})",
        measures={"bytes_compared": size, **(measures or {})},
    )


def describe_kind(path: Path) -> str:
    """What a path is, in words; a symbolic link is what it points to."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return "a link that leads nowhere"
    if stat.S_ISREG(mode):
        return "a file"
    return "a folder" if stat.S_ISDIR(mode) else "something that is no file"


def first_difference(expected: Path, found: Path) -> int | None:
    """The offset of the first byte that differs, None where all are the same."""
    offset = 0
    for one, other in zip_longest(_read_chunks(expected), _read_chunks(found), fillvalue=b""):
        if one != other:
            return offset + _first_unequal(one, other)
        offset += len(one)
    return None


def _read_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _first_unequal(one: bytes, other: bytes) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def read_texts(expected: Path, found: Path, encoding: str | None) -> tuple[str, str]:
    """Both files as text, in the same encoding: the one asked for, else UTF-8, else Latin-1 for both.

    Raises `Unreadable` in words where one is not text.
    """
    contents = ("the expected file", expected.read_bytes()), ("the found file", found.read_bytes())
    texts = _decode_both(contents, encoding)
    for (which, _), text in zip(contents, texts, strict=True):
        if (offset := text.find("\0")) >= 0:
            raise Unreadable(f"{which} is binary, not text: a NUL at character {offset}")
    return texts


def _decode_both(
    contents: tuple[tuple[str, bytes], tuple[str, bytes]], encoding: str | None
) -> tuple[str, str]:
    (_, expected), (_, found) = contents
    try:
        return expected.decode(encoding or "utf-8"), found.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding is None:
            return expected.decode("latin-1"), found.decode("latin-1")
        which = contents[0][0] if error.object == expected else contents[1][0]
        raise Unreadable(f"{which} is not {encoding}: {error.reason} at byte {error.start}") from error
