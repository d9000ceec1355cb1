"""Scalars as a recipe means them: text stays as written, and what YAML readers disagree on is refused."""

from __future__ import annotations

import re

from instantiator.recipe.kinds import Boolean, Choice, Duration, Integer, Number, Size, Text, Value
from instantiator.recipe.nodes import ScalarNode
from instantiator.recipe.words import find_control, shorten, suggest


class Wrong(Exception):
    """A scalar is not what was expected; the message goes on from the name of the key."""


YAML_11_WORDS = frozenset({"yes", "no", "on", "off", "true", "false"})
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][-+]?[0-9]{1,3})?")
_OTHER_NUMBER = re.compile(
    r"[-+]?(?:0[xob]?[0-9a-fA-F_]+|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|[0-9][0-9_]*(?:\.[0-9_]*)?)"
)
DURATION_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
SIZE_UNITS = {"MiB": 1, "GiB": 1024, "TiB": 1024 * 1024}
DURATION_PATTERN = r"[1-9][0-9]{0,5} ?(?:s|min|h|d)"
SIZE_PATTERN = r"[1-9][0-9]{0,6} ?(?:MiB|GiB|TiB)"


def read_text(node: ScalarNode, kind: Text) -> str:
    """The text of a scalar, checked against the pattern of its kind."""
    _refuse_ambiguous_word(node)
    if node.plain and is_number(node.text) and not kind.number:
        raise Wrong(
            f"has to be {kind.means}, found the number {node.text}: put quotes around it if it is meant"
        )
    text = node.text if kind.exact else node.text.strip()
    if not text and not kind.empty:
        raise Wrong(f"has to be {kind.means}, found nothing")
    if len(text) > kind.max_length:
        raise Wrong(f"has {len(text)} characters: at most {kind.max_length} are allowed")
    if sign := find_control(text, allowed="\n\t" if kind.multiline else ""):
        raise Wrong(f"has to be {kind.means}, found the control character {sign!r} in it")
    if kind.pattern and not _compiled(kind.pattern).fullmatch(text):
        raise Wrong(f"has to be {kind.means}, found {shorten(text)}")
    if kind.regex:
        _check_regex(text)
    return text


def read_integer(node: ScalarNode, kind: Integer) -> int:
    """The whole number of a scalar."""
    if not node.plain or not _WHOLE.fullmatch(node.text):
        raise Wrong(f"has to be a whole number{_bounds(kind)}, found {_describe(node)}{_number_advice(node)}")
    value = int(node.text)
    _check_bounds(value, kind, node.text)
    return value


def read_number(node: ScalarNode, kind: Number) -> float:
    """The number of a scalar; whole numbers stay `int`."""
    if not node.plain or not _DECIMAL.fullmatch(node.text) or re.fullmatch(r"[-+]?0[0-9]+", node.text):
        raise Wrong(f"has to be a number{_bounds(kind)}, found {_describe(node)}{_number_advice(node)}")
    value = int(node.text) if _WHOLE.fullmatch(node.text) else float(node.text)
    if value in (float("inf"), float("-inf")):
        raise Wrong(f"has to be a number{_bounds(kind)}, found {node.text}, which is too large")
    _check_bounds(value, kind, node.text)
    return value


def read_boolean(node: ScalarNode, kind: Boolean) -> bool:  # noqa: ARG001 (the shape of the family)
    """`true` or `false`, unquoted."""
    if node.plain and node.text in ("true", "false"):
        return node.text == "true"
    raise Wrong(f"has to be true or false, found {_describe(node)}")


def read_choice(node: ScalarNode, kind: Choice) -> str:
    """One of the words of the kind, as member of its enumeration where it has one."""
    _refuse_ambiguous_word(node)
    if node.text not in kind.words:
        raise Wrong(f"cannot be {shorten(node.text)}{suggest(node.text, kind.words)}")
    return kind.enum(node.text) if kind.enum else node.text


def read_duration(node: ScalarNode, kind: Duration) -> int:  # noqa: ARG001 (the shape of the family)
    """Seconds."""
    if not _compiled(DURATION_PATTERN).fullmatch(node.text):
        raise Wrong(f"has to be a whole number and s, min, h or d, such as 10 min, found {_describe(node)}")
    return _amount(node.text, DURATION_UNITS)


def read_size(node: ScalarNode, kind: Size) -> int:  # noqa: ARG001 (the shape of the family)
    """MiB."""
    if not _compiled(SIZE_PATTERN).fullmatch(node.text):
        raise Wrong(f"has to be a whole number and MiB, GiB or TiB, such as 512 MiB, found {_describe(node)}")
    return _amount(node.text, SIZE_UNITS)


def read_value(node: ScalarNode, kind: Value) -> str:  # noqa: ARG001 (the shape of the family)
    """The text of a parameter's value, to be read by the parameter's own type as on the command line."""
    if not (node.plain and node.text in ("true", "false")):
        _refuse_ambiguous_word(node)
    return node.text


def read_plain(node: ScalarNode) -> str | int | float | bool:
    """A scalar as JSON would hold it."""
    if not node.plain:
        return node.text
    if node.text in ("true", "false"):
        return node.text == "true"
    _refuse_ambiguous_word(node)
    return read_number(node, Number()) if is_number(node.text) else node.text


def is_number(text: str) -> bool:
    """Whether today's YAML readers take the unquoted `text` for a number."""
    return bool(_DECIMAL.fullmatch(text))


def _refuse_ambiguous_word(node: ScalarNode) -> None:
    if not node.plain:
        return
    if node.text in _NULLS:
        raise Wrong('has no value: write one, or "" in quotes for an empty text')
    if node.text.lower() in YAML_11_WORDS:
        raise Wrong(
            f"{node.text} is true or false to some YAML readers: put quotes around it if the word is meant"
        )


def _describe(node: ScalarNode) -> str:
    if node.plain:
        return node.text or "nothing"
    return f"the text {shorten(node.text)}"


def _number_advice(node: ScalarNode) -> str:
    if not node.plain and _DECIMAL.fullmatch(node.text):
        return ": leave the quotes away"
    if node.plain and _OTHER_NUMBER.fullmatch(node.text) and not _DECIMAL.fullmatch(node.text):
        return ", which YAML readers understand in different ways: write it in decimal"
    if node.plain and re.fullmatch(r"[-+]?0[0-9]+", node.text):
        return ", which is octal to some YAML readers: write it without the leading 0"
    return ""


def _bounds(kind: Integer | Number) -> str:
    if kind.minimum is not None and kind.maximum is not None:
        return f" from {kind.minimum} to {kind.maximum}"
    if kind.minimum is not None:
        return f" from {kind.minimum} on"
    return f" up to {kind.maximum}" if kind.maximum is not None else ""


def _check_bounds(value: float, kind: Integer | Number, text: str) -> None:
    too_small = kind.minimum is not None and value < kind.minimum
    if too_small or (kind.maximum is not None and value > kind.maximum):
        raise Wrong(f"has to be a number{_bounds(kind)}, found {text}")


def _amount(text: str, units: dict[str, int]) -> int:
    digits = re.match(r"[0-9]+", text)
    assert digits
    return int(digits[0]) * units[text[digits.end() :].strip()]


def _check_regex(text: str) -> None:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise Wrong(f"is no regular expression: {error}, in {shorten(text)}") from error


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
