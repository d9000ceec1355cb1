"""Lint: values are data, also for what a script itself evaluates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.lint.texts import find_templates, mark_expressions
from instantiator.recipe.model import Recipe, ScriptLanguage

_MARK = "\ufffc"
_EVALUATED = {
    ScriptLanguage.SH: re.compile(
        rf"\beval\b.*{_MARK}"
        rf"|\b\w*sh\s+(?:-\w+\s+)*-\w*c\b.*{_MARK}"
        rf"|\$\(\([^)]*{_MARK}"
        rf"|\blet\b.*{_MARK}"
        rf"|\[\[[^\]]*-(?:eq|ne|lt|le|gt|ge)[^\]]*{_MARK}|\[\[[^\]]*{_MARK}[^\]]*-(?:eq|ne|lt|le|gt|ge)\b"
        rf"|(?:^|[;&|(]|\b(?:then|do|else|exec))\s*{_MARK}"
    ),
    ScriptLanguage.PYTHON: re.compile(
        rf"\b(?:eval|exec|compile|__import__|system|popen|getoutput|getstatusoutput)\(.*{_MARK}"
        rf"|{_MARK}.*shell\s*=\s*True"
    ),
}


class EvaluatedExpression:
    """A script evaluates an expression as program text.

    `eval`, `sh -c`, `$((...))`, `[[ ... -eq ... ]]` and a value in the place of a command read a value as
    a program once more, behind Thaw's back; bash runs `$(...)` even inside arithmetic. Pass the value as
    an argument, compare with `[ ... ]`, or compute in the template: `{{ params.step * 2 }}`.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Lines of scripts that evaluate an expression."""
        for template in find_templates(recipe):
            pattern = _EVALUATED.get(template.language) if template.language else None
            lines = mark_expressions(template.text, _MARK).splitlines() if pattern else []
            for number, line in enumerate(lines, start=1):
                if pattern and pattern.search(line):
                    yield Spot(template.location_of(number), f"thread {template.thread.name!r}")
