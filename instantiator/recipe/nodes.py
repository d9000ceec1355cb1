"""YAML bytes to nodes that know their line: nothing is guessed, and what would be ambiguous is refused.

Built on PyYAML's events, not on `yaml.compose`: composing recurses once per level, and libyaml's binding
dies with a segmentation fault on a file of a million `[`. Depth and number of nodes are bounded, each alias
counted with all it stands for, so that no anchor explodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_NODES = 50_000


@dataclass(slots=True, kw_only=True)
class ScalarNode:
    """One scalar as written. `plain` is false where it stands in quotes or in a block."""

    line: int
    text: str
    plain: bool


@dataclass(slots=True, kw_only=True)
class ListNode:
    """A sequence."""

    line: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class MapNode:
    """A mapping, in the order of the file."""

    line: int
    pairs: list[tuple[ScalarNode, Node]] = field(default_factory=list)


Node = ScalarNode | ListNode | MapNode


class NotReadable(Exception):
    """The file is no YAML that a recipe may be; `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line, self.message = line, message


def read_nodes(content: bytes) -> Node:
    """The one document in `content`; raises `NotReadable` at the first thing that is no plain YAML."""
    text = _decode(content)
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Composer(yaml.parse(text, Loader=loader)).document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise NotReadable(line, f"not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise NotReadable(1, f"not YAML: {error}") from error


def _decode(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise NotReadable(1, f"the file has {len(content)} bytes: a recipe has at most {MAX_BYTES} (1 MiB)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise NotReadable(
            line, f"not UTF-8: byte {content[error.start]:#04x}; save the file as UTF-8"
        ) from error


class _Composer:
    """Nodes from events, bounded before anything recurses. An alias gives the very node of its anchor."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._count = 0

    def document(self) -> Node:
        """The node of the only document."""
        import yaml

        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                node = self._node(event, depth=1)
                break
        else:
            raise NotReadable(1, "the file is empty: a recipe begins with `format: 1`")
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                raise NotReadable(
                    _line(event), "a second document: a recipe is one YAML document, without ---"
                )
        return node

    def _node(self, event: yaml.Event, *, depth: int) -> Node:
        import yaml

        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        before = self._count
        self._add(1, event)
        self._check_depth(depth, event)
        node = self._new_node(event, depth)
        if anchor := getattr(event, "anchor", None):
            self._anchors[anchor] = (node, self._count - before, _height(node))
        return node

    def _new_node(self, event: yaml.Event, depth: int) -> Node:
        import yaml

        if tag := getattr(event, "tag", None):
            raise NotReadable(_line(event), f"tag {tag}: recipes have no YAML tags")
        if isinstance(event, yaml.ScalarEvent):
            return ScalarNode(line=_line(event), text=event.value, plain=event.implicit[0])
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(event, depth)
        return self._map(event, depth)

    def _alias(self, event: yaml.AliasEvent, depth: int) -> Node:
        """The node of an anchor, which has to stand complete above: a node cannot hold itself."""
        if event.anchor not in self._anchors:
            raise NotReadable(
                _line(event), f"*{event.anchor} names no anchor above it: quote a text that begins with *"
            )
        node, size, height = self._anchors[event.anchor]
        self._add(size, event)
        self._check_depth(depth + height - 1, event)
        return node

    def _add(self, nodes: int, event: yaml.Event) -> None:
        self._count += nodes
        if self._count > MAX_NODES:
            raise NotReadable(
                _line(event), f"more than {MAX_NODES} values, those behind an alias each time anew"
            )

    def _check_depth(self, depth: int, event: yaml.Event) -> None:
        if depth > MAX_DEPTH:
            raise NotReadable(_line(event), f"nested more than {MAX_DEPTH} levels deep")

    def _list(self, event: yaml.Event, depth: int) -> ListNode:
        import yaml

        node = ListNode(line=_line(event))
        for inner in self._events:
            if isinstance(inner, yaml.SequenceEndEvent):
                break
            node.items.append(self._node(inner, depth=depth + 1))
        return node

    def _map(self, event: yaml.Event, depth: int) -> MapNode:
        import yaml

        node = MapNode(line=_line(event))
        for inner in self._events:
            if isinstance(inner, yaml.MappingEndEvent):
                break
            key = self._node(inner, depth=depth + 1)
            if not isinstance(key, ScalarNode):
                raise NotReadable(key.line, "a list or a mapping stands where a key has to be")
            node.pairs.append((key, self._node(next(self._events), depth=depth + 1)))
        return node


def _height(node: Node) -> int:
    if isinstance(node, ScalarNode):
        return 1
    inner = node.items if isinstance(node, ListNode) else [value for _, value in node.pairs]
    return 1 + max((_height(item) for item in inner), default=0)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
