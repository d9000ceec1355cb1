"""Words for messages: the nearest right one, a text cut short. `difflib` is imported only when something is wrong."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word a user most likely meant by `word`, if one is near."""
    from difflib import get_close_matches

    by_lower = {name.lower(): str(name) for name in known}
    found = get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def suggest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` where a known word is near, else ` (there is a, b, c)`, else nothing."""
    names = sorted({str(name) for name in known})
    if found := nearest(word, names):
        return f" (did you mean {found!r}?)"
    return f" (there is {', '.join(names)})" if 0 < len(names) <= 12 else ""


def find_control(text: str, *, allowed: str = "") -> str | None:
    """The first character that is no text: control characters, line separators, halves of a pair."""
    if text.isascii() and text.isprintable():
        return None
    for sign in text:
        if sign not in allowed and unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp"):
            return sign
    return None


def shorten(text: str) -> str:
    """The text in quotes, cut where it is long."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
