"""The rules a repeated output is judged by: one file each, one list (docs/comparison-rules.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from provenance.compare.model import (
    CompareRuleInvalid,
    Comparison,
    Difference,
    Grade,
    Rule,
    worst_grade,
)
from provenance.compare.options import suggest

__all__ = [
    "RULES",
    "CompareRuleInvalid",
    "Comparison",
    "Difference",
    "Grade",
    "Rule",
    "check_rule",
    "compare_files",
    "find_rule",
    "worst_grade",
]


def _load_bytes() -> Rule[Any]:  # Any, here and below: each rule is handed only what its parse_options gave
    from provenance.compare.bytes import BytesRule

    return BytesRule()


def _load_text() -> Rule[Any]:
    from provenance.compare.text import TextRule

    return TextRule()


def _load_table() -> Rule[Any]:
    from provenance.compare.table import TableRule

    return TableRule()


def _load_fits() -> Rule[Any]:
    from provenance.compare.fits import FitsRule

    return FitsRule()


def _load_tree() -> Rule[Any]:
    from provenance.compare.tree import TreeRule

    return TreeRule(RULES)


def _load_notebook() -> Rule[Any]:
    from provenance.compare.notebook import NotebookRule

    return NotebookRule()


class _Rules(Mapping[str, Rule[Any]]):
    """Rules by name, each imported when it is first asked for: a recipe is read before every cold start."""

    def __init__(self, loaders: Mapping[str, Callable[[], Rule[Any]]]) -> None:
        self._loaders = loaders
        self._rules: dict[str, Rule[Any]] = {}

    def __getitem__(self, name: str) -> Rule[Any]:
        if name not in self._rules:
            self._rules[name] = self._loaders[name]()
        return self._rules[name]

    def __contains__(self, name: object) -> bool:
        return name in self._loaders

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)


RULES: Mapping[str, Rule[Any]] = _Rules(
    {
        "bytes": _load_bytes,
        "text": _load_text,
        "table": _load_table,
        "fits": _load_fits,
        "tree": _load_tree,
        "notebook": _load_notebook,
    }
)


def compare_files(rule: str, options: Mapping[str, object], *, expected: Path, found: Path) -> Comparison:
    """Judge `found` against `expected` by a named rule; raises `CompareRuleInvalid` where there is none."""
    judge = find_rule(rule)
    return judge.compare(expected, found, judge.parse_options(options))


def find_rule(name: str) -> Rule[Any]:
    """The rule of that name; raises `CompareRuleInvalid` naming the nearest one."""
    if name not in RULES:
        raise CompareRuleInvalid(name, (f"unknown rule {name!r}{suggest(name, RULES)}",))
    return RULES[name]


def check_rule(name: str, options: Mapping[str, object]) -> tuple[str, ...]:
    """Every mistake in the name and the options of a rule; empty where there is none."""
    try:
        find_rule(name).parse_options(options)
    except CompareRuleInvalid as error:
        return error.mistakes
    return ()
