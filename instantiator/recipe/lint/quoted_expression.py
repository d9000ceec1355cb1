"""Lint: expressions of a template stand outside quotes."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Callable, Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.lint.texts import find_templates, mark_expressions
from instantiator.recipe.model import Recipe, ScriptLanguage

_HERE = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_]\w*)\1")
_MARK = "\ufffc"
_NAME = "_thaw_expression_"


class QuotedExpression:
    """An expression of a template stands inside quotes.

    In a script an expression becomes a reference that brings its own quotes: `cp {{ inputs.image }}
    x.fits` is right as it is. In quotes or a here-document the reference itself would be read as text.
    Take the quotes away, or assign it to a variable first: `image={{ inputs.image }}`.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Expressions in strings of sh and Python scripts."""
        for template in find_templates(recipe):
            find = _FINDERS.get(template.language) if template.language else None
            for line in find(template.text) if find else ():
                yield Spot(template.location_of(line), f"thread {template.thread.name!r}")


def find_quoted_in_sh(text: str) -> Iterator[int]:
    """The lines of a sh script that hold an expression in quotes or in a here-document."""
    marked, ends = mark_expressions(text, _MARK), [""]
    scanner, here = _QuoteScanner(), ""
    for number, line in enumerate(marked.splitlines(), start=1):
        if here:
            if _MARK in line:
                yield number
            here = "" if line.strip() == here else here
            continue
        if scanner.scan(line):
            yield number
        if (found := _HERE.search(line)) and scanner.stack == ends:
            here = found[2]


class _QuoteScanner:
    """Follows sh's quotes over lines; `stack` holds the open ones: "'", '"' and "(" for a substitution."""

    def __init__(self) -> None:
        self.stack = [""]

    def scan(self, line: str) -> bool:
        """Whether a marked expression stands in quotes in this line."""
        quoted, position = False, 0
        while position < len(line):
            sign, state = line[position], self.stack[-1]
            if sign == "#" and state in ("", "(") and (position == 0 or line[position - 1].isspace()):
                break
            if sign == "\\" and state != "'":
                position += 2
                continue
            quoted = quoted or (sign == _MARK and state in ("'", '"'))
            self._step(sign, state, line[position : position + 2])
            position += 1
        return quoted

    def _step(self, sign: str, state: str, pair: str) -> None:
        closes = (state in ("'", '"') and sign == state) or (state == "(" and sign == ")")
        if closes:
            self.stack.pop()
        elif state != "'" and pair == "$(":
            self.stack.append("(")
        elif state in ("", "(") and sign in ("'", '"'):
            self.stack.append(sign)


def find_quoted_in_python(text: str) -> Iterator[int]:
    """The lines of a Python script that hold an expression in a string, but for the braces of f-strings."""
    marked = mark_expressions(text, _NAME)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(marked).readline))
    except (tokenize.TokenError, SyntaxError):
        return
    for token in tokens:
        if token.type != tokenize.STRING or _NAME not in token.string:
            continue
        is_formatted = "f" in token.string[:2].lower()
        if not (is_formatted and re.search(rf"\{{[^{{}}]*{_NAME}[^{{}}]*\}}", token.string)):
            yield token.start[0]


_FINDERS: dict[ScriptLanguage, Callable[[str], Iterator[int]]] = {
    ScriptLanguage.SH: find_quoted_in_sh,
    ScriptLanguage.PYTHON: find_quoted_in_python,
}
