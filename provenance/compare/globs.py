"""Globs over paths with `/`: what `*`, `**`, `?` and `[...]` stand for."""

from __future__ import annotations

import re
from functools import lru_cache


def matches_glob(path: str, pattern: str) -> bool:
    """Whether a path matches. `*` stays within one name, `**/` is any number of folders.

    A pattern without `/` is for the last name alone, in whatever folder.
    """
    return _compile_glob(pattern).fullmatch(path) is not None


@lru_cache(maxsize=1024)
def _compile_glob(pattern: str) -> re.Pattern[str]:
    anywhere = "" if "/" in pattern else "(?:.*/)?"
    return re.compile(anywhere + _translate(pattern.removeprefix("/")), re.DOTALL)


def _translate(pattern: str) -> str:
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.findall(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\]|.", pattern, re.DOTALL)
    return "".join(signs.get(part) or _translate_set(part) for part in parts)


def _translate_set(part: str) -> str:
    if len(part) < 3:
        return re.escape(part)
    body = part[1:-1].replace("\\", r"\\").replace("[", r"\[").replace("]", r"\]").replace("^", r"\^")
    return f"(?!/)[^{body[1:]}]" if body.startswith("!") else f"[{body}]"
