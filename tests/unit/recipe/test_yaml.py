"""YAML that is no recipe is refused with its line, and cannot hurt the reader."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from instantiator.recipe.nodes import MAX_BYTES, ListNode, MapNode, NotReadable, ScalarNode, read_nodes
from tests.unit.recipe.samples import change, mistakes_of, write_recipe

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8)
)


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"format: 1\nname: [a\n", 3, "not YAML"),
        (b"format: 1\n\ttitle: x\n", 2, "not YAML"),
        (b"format: 1\nname: caf\xe9\n", 2, "not UTF-8: byte 0xe9"),
        (b"\xff\xfef\x00o\x00", 1, "not UTF-8"),
        (b"", 1, "the file is empty"),
        (b"# only words\n", 1, "the file is empty"),
        (b"a: 1\n---\nb: 2\n", 2, "a second document"),
        (b"a: !!python/object/apply:os.system [ls]\n", 1, "recipes have no YAML tags"),
        (b"a: *nothing\n", 1, "*nothing names no anchor above it"),
        (b"a: &a [*a]\n", 1, "*a names no anchor above it"),
        (b"a:\n  [1, 2]: x\n", 2, "a list or a mapping stands where a key has to be"),
        (b"x" * (MAX_BYTES + 1), 1, "at most 1048576 (1 MiB)"),
        (b"a: " + b"[" * 900_000, 1, "nested more than 20 levels deep"),
        (b"- " * 300_000, 1, "nested more than 20 levels deep"),
        (BOMB.encode(), 5, "more than 50000 values"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_at_its_line(content: bytes, line: int, message: str) -> None:
    start = time.perf_counter()
    with pytest.raises(NotReadable) as caught:
        read_nodes(content)
    assert (caught.value.line, message in caught.value.message) == (line, True), caught.value.message
    assert time.perf_counter() - start < 2


def test_a_chain_of_aliases_cannot_get_around_the_bound_on_depth() -> None:
    chain = "a0: &a0 [[[[[[[[x]]]]]]]]\n" + "".join(
        f"a{i}: &a{i} [[[[[[[[*a{i - 1}]]]]]]]]\n" for i in range(1, 5)
    )
    with pytest.raises(NotReadable, match="nested more than 20"):
        read_nodes(chain.encode())


def test_nodes_know_their_lines_and_whether_they_were_quoted() -> None:
    root = read_nodes(b"\xef\xbb\xbfa: 1\nb:\n  - 'x'\n  - |\n    y\n")
    assert isinstance(root, MapNode)
    items = root.pairs[1][1]
    assert isinstance(items, ListNode)
    assert items.items == [
        ScalarNode(line=3, text="x", plain=False),
        ScalarNode(line=4, text="y\n", plain=False),
    ]


def test_the_loader_names_the_file_and_line_of_broken_yaml(tmp_path: Path) -> None:
    (found,) = mistakes_of(tmp_path, "format: 1\nname: 'midas\n")
    assert found.startswith("3: not YAML")


def test_merge_keys_are_unknown_keys(tmp_path: Path) -> None:
    text = change("base:\n", "base: &base\n")
    text = change("    title: Divide", "    <<: *base\n    title: Divide", text=text)
    assert any("unknown key '<<' in thread 'flatfield'" in found for found in mistakes_of(tmp_path, text))


def test_the_slow_reader_of_a_python_without_libyaml_reads_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    from instantiator.recipe.load import load_recipe

    folder = write_recipe(tmp_path)
    fast = load_recipe(folder)
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert load_recipe(folder) == fast
