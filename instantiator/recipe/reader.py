"""Nodes held against the language: a tree of checked sections, and every mistake with its line."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field

from instantiator.recipe import scalars
from instantiator.recipe.kinds import (
    Anything,
    Boolean,
    Choice,
    Duration,
    Integer,
    Kind,
    ListOf,
    MapOf,
    Mapping,
    Number,
    Size,
    Text,
    Value,
)
from instantiator.recipe.model import line_of
from instantiator.recipe.nodes import ListNode, MapNode, Node, ScalarNode
from instantiator.recipe.scalars import Wrong
from instantiator.recipe.words import nearest, shorten, suggest


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A mapping that was read. `values` holds what was right, `keys` every key that was written.

    `whole` says that nothing in it, at any depth, was wrong.
    """

    path: str
    label: str
    line: int
    kind: Mapping | MapOf
    values: Dict[str, object]
    keys: frozenset[str]
    whole: bool

    def text(self, key: str) -> str:
        """The text under `key`; empty where it is absent or was wrong."""
        value = self.values.get(key, "")
        return value if isinstance(value, str) else ""

    def section(self, key: str) -> Section | None:
        """The section under `key`, if there is one."""
        value = self.values.get(key)
        return value if isinstance(value, Section) else None

    def sections(self, key: str) -> dict[str, Section]:
        """The sections under `key`: of a list by its items' numbers, of a mapping by its keys."""
        value = self.values.get(key)
        if isinstance(value, Section):
            return {name: item for name, item in value.values.items() if isinstance(item, Section)}
        items = value if isinstance(value, tuple) else ()
        return {f"{number}": item for number, item in enumerate(items) if isinstance(item, Section)}

    def names(self, key: str) -> frozenset[str]:
        """The names under `key`, also of those that are wrong inside."""
        value = self.values.get(key)
        if isinstance(value, Section):
            return value.keys
        return frozenset(item.text("name") for item in self.sections(key).values()) - {""}


@dataclass(slots=True, kw_only=True)
class Reading:
    """What came of a file: the sections, the line of every path, the mistakes as (line, message)."""

    root: Section | None = None
    lines: dict[str, int] = field(default_factory=dict)
    mistakes: list[tuple[int, str]] = field(default_factory=list)

    def refuse(self, line: int, message: str) -> None:
        """Note a mistake."""
        self.mistakes.append((line, message))

    def refuse_at(self, path: str, message: str) -> None:
        """Note a mistake at a path, or at the nearest part of it that stands in the file."""
        self.refuse(line_of(self.lines, path), message)


def read_language(node: Node, language: Mapping) -> Reading:
    """Hold a document against the language."""
    reading = Reading()
    root = _Walk(reading).read(node, language, path="", label="the recipe")
    reading.root = root if isinstance(root, Section) else None
    return reading


_ABSENT = object()
_SCALARS = {
    Text: scalars.read_text,
    Integer: scalars.read_integer,
    Number: scalars.read_number,
    Boolean: scalars.read_boolean,
    Choice: scalars.read_choice,
    Duration: scalars.read_duration,
    Size: scalars.read_size,
    Value: scalars.read_value,
}


class _Walk:
    """Reads a node by its kind; what is wrong is noted and left out."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def read(self, node: Node, kind: Kind, *, path: str, label: str) -> object:
        """The value of `node`, or `_ABSENT` where it is wrong. `label` names the key in messages."""
        if isinstance(kind, Mapping):
            return self._mapping(node, kind, path, label)
        if isinstance(kind, MapOf):
            return self._named(node, kind, path, label)
        if isinstance(kind, ListOf):
            return self._list(node, kind, path, label)
        if isinstance(kind, Anything):
            return self._anything(node, path, label)
        return self._scalar(node, kind, label)

    def _scalar(self, node: Node, kind: Kind, label: str) -> object:
        if not isinstance(node, ScalarNode):
            return self._refuse_shape(node, "a single value", label)
        try:
            return _SCALARS[type(kind)](node, kind)  # type: ignore[operator]  # each function takes the kind it stands under
        except Wrong as wrong:
            return self._refuse(node.line, f"{label} {wrong}")

    def _list(self, node: Node, kind: ListOf, path: str, label: str) -> object:
        if not isinstance(node, ListNode):
            return self._refuse_shape(node, "a list", label)
        if len(node.items) < kind.minimum:
            return self._refuse(node.line, f"{label} is empty: it needs at least {kind.minimum}")
        items = [
            self._item(item, kind, f"{path}.{number}", label, number)
            for number, item in enumerate(node.items)
        ]
        if kind.unique:
            self._refuse_repeats(node, label)
        return tuple(item for item in items if item is not _ABSENT)

    def _item(self, node: Node, kind: ListOf, path: str, label: str, number: int) -> object:
        self._reading.lines[path] = node.line
        owner = label.partition(" in ")[2]
        if isinstance(kind.item, Mapping):
            inner = f"{kind.item.noun} {_name_of(node) or number + 1}"
            label = inner if owner in ("", "the recipe") else f"{inner} of {owner}"
        else:
            label = f"item {number + 1} of {label}"
        return self.read(node, kind.item, path=path, label=label)

    def _refuse_repeats(self, node: ListNode, label: str) -> None:
        seen: set[str] = set()
        for item in node.items:
            if isinstance(item, ScalarNode):
                if item.text in seen:
                    self._refuse(item.line, f"{label} names {shorten(item.text)} twice")
                seen.add(item.text)

    def _named(self, node: Node, kind: MapOf, path: str, label: str) -> object:
        if not isinstance(node, MapNode):
            return self._refuse_shape(node, f"a mapping whose keys are the names of its {kind.noun}s", label)
        before, values, owner = len(self._reading.mistakes), {}, label.partition(" in ")[2]
        if len(node.pairs) < kind.minimum:
            self._refuse(self._line(node, path), f"{label} is empty: it needs at least {kind.minimum}")
        for key, inner, here in self._pairs(node, path, label):
            name = f"{kind.noun} {key.text!r}"
            self._check_name(key, kind)
            scoped = name if owner in ("", "the recipe") else f"{name} of {owner}"
            value = self.read(inner, kind.item, path=here, label=scoped)
            if value is not _ABSENT:
                values[key.text] = value
        return self._section(node, kind, path, label, values, before)

    def _check_name(self, key: ScalarNode, kind: MapOf) -> None:
        try:
            scalars.read_text(
                ScalarNode(line=key.line, text=key.text, plain=key.plain and not _is_digits(key)), kind.key
            )
        except Wrong as wrong:
            self._refuse(key.line, f"the name of {kind.noun} {key.text!r} {wrong}")

    def _mapping(self, node: Node, kind: Mapping, path: str, label: str) -> object:
        if not isinstance(node, MapNode):
            return self._refuse_shape(node, f"a mapping ({', '.join(kind.by_key)})", label)
        before, values = len(self._reading.mistakes), {}
        for key, inner, here in self._pairs(node, path, label):
            inner_kind = kind.by_key[key.text].kind if key.text in kind.by_key else kind.others
            if inner_kind is None:
                self._refuse_unknown_key(key, kind, label)
                continue
            value = self.read(inner, inner_kind, path=here, label=f"{key.text!r} in {label}")
            if value is not _ABSENT:
                values[key.text] = value
        self._check_keys(node, kind, path, label)
        return self._section(node, kind, path, label, values, before)

    def _anything(self, node: Node, path: str, label: str) -> object:
        if isinstance(node, ListNode):
            return tuple(self._anything(item, f"{path}.{i}", label) for i, item in enumerate(node.items))
        if isinstance(node, MapNode):
            pairs = self._pairs(node, path, label)
            return {key.text: self._anything(inner, here, label) for key, inner, here in pairs}
        try:
            return scalars.read_plain(node)
        except Wrong as wrong:
            return self._refuse(node.line, f"{label} {wrong}")

    def _pairs(self, node: MapNode, path: str, label: str) -> list[tuple[ScalarNode, Node, str]]:
        """The pairs of a mapping without repeated keys, with their paths, whose lines are noted."""
        found: dict[str, tuple[ScalarNode, Node, str]] = {}
        for key, inner in node.pairs:
            if key.text in found:
                first = found[key.text][0].line
                self._refuse(key.line, f"key {key.text!r} stands twice in {label} (first in line {first})")
                continue
            here = f"{path}.{key.text}" if path else key.text
            self._reading.lines.setdefault(here, key.line)
            found[key.text] = (key, inner, here)
        return list(found.values())

    def _refuse_unknown_key(self, key: ScalarNode, kind: Mapping, label: str) -> None:
        self._refuse(key.line, f"unknown key {key.text!r} in {label}{suggest(key.text, kind.by_key)}")

    def _check_keys(self, node: MapNode, kind: Mapping, path: str, label: str) -> None:
        found, line = _intended_keys(node, kind), self._line(node, path)
        for known in kind.fields:
            if known.required and known.key not in found:
                self._refuse(line, f"key {known.key!r} is missing in {label}: {known.help}")
        for keys in kind.exactly_one:
            given = [key for key in keys if key in found]
            if len(given) != 1:
                several = f"found {' and '.join(given)}" if given else "found none"
                self._refuse(line, f"{label} needs exactly one of {', '.join(keys)}: {several}")
        for keys in kind.at_least_one:
            if not found.intersection(keys):
                self._refuse(line, f"{label} needs at least one of {', '.join(keys)}: found none")
        for key, others in kind.together:
            lacking = [other for other in others if other not in found]
            if key in found and lacking:
                self._refuse(line, f"key {key!r} in {label} needs {' and '.join(lacking)} beside it")

    def _section(
        self,
        node: MapNode,
        kind: Mapping | MapOf,
        path: str,
        label: str,
        values: dict[str, object],
        before: int,
    ) -> Section:
        return Section(
            path=path,
            label=label,
            line=self._line(node, path),
            kind=kind,
            values=values,
            keys=frozenset(key.text for key, _ in node.pairs),
            whole=len(self._reading.mistakes) == before,
        )

    def _line(self, node: MapNode, path: str) -> int:
        """Where the key of a mapping stands: the mapping itself begins a line later."""
        return self._reading.lines.get(path, node.line)

    def _refuse_shape(self, node: Node, expected: str, label: str) -> object:
        found = {ScalarNode: "a single value", ListNode: "a list", MapNode: "a mapping"}[type(node)]
        if isinstance(node, ScalarNode):
            found = shorten(node.text) if node.text else "nothing"
        return self._refuse(node.line, f"{label} has to be {expected}, found {found}")

    def _refuse(self, line: int, message: str) -> object:
        self._reading.refuse(line, message)
        return _ABSENT


def _intended_keys(node: MapNode, kind: Mapping) -> set[str]:
    """The keys that were written; for a misspelt one also the key that was meant, which is not missing then."""
    written = {key.text for key, _ in node.pairs}
    unknown = written - set(kind.by_key) if kind.others is None else set()
    return written | {meant for key in unknown if (meant := nearest(key, kind.by_key))}


def _is_digits(key: ScalarNode) -> bool:
    return key.text.isdigit()


def _name_of(node: Node) -> str:
    """The `name:` of a list's item, for messages."""
    pairs = node.pairs if isinstance(node, MapNode) else []
    return next((repr(v.text) for k, v in pairs if k.text == "name" and isinstance(v, ScalarNode)), "")
