"""The rule `notebook`: what of an executed notebook counts, and what does not."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from provenance.compare import Comparison, Grade, check_rule, compare_files

Compare = Callable[..., Comparison]
Cells = list[dict[str, Any]]
PICTURE, OTHER_PICTURE = (base64.b64encode(f"\x89PNG {word}".encode()).decode() for word in ("sun", "moon"))


def code(
    source: str, *outputs: Mapping[str, object], count: int | None = 1, **more: object
) -> dict[str, Any]:
    cell = {"cell_type": "code", "source": source, "outputs": list(outputs), "metadata": {}}
    return {**cell, "execution_count": count, **more}


def printed(text: str | list[str], name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def shown(**data: object) -> dict[str, Any]:
    named = {kind.replace("_", "/"): content for kind, content in data.items()}
    return {"output_type": "display_data", "data": named, "metadata": {}}


def notebook(cells: Cells, **metadata: object) -> bytes:
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content).encode()


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    def compare_cells(expected: Cells | bytes, found: Cells | bytes, **options: object) -> Comparison:
        for name, side in (("expected", expected), ("found", found)):
            (tmp_path / name).write_bytes(side if isinstance(side, bytes) else notebook(side))
        return compare_files("notebook", options, expected=tmp_path / "expected", found=tmp_path / "found")

    return compare_cells


def test_when_and_in_which_pieces_a_notebook_ran_does_not_count(compare: Compare) -> None:
    timing = {"execution": {"iopub.execute_input": "2026-11-20T10:00:00Z"}}
    first = [code("go()", printed("one\n"), printed(["two\n", "three\n"]), count=1)]
    again = [code("go()", printed("one\ntwo\nthr"), printed("ee\n"), count=7, metadata=timing, id="b7")]
    comparison = compare(first, notebook(again, language_info={"version": "3.11.9"}))
    assert (comparison.grade, comparison.explanation) == (
        Grade.IDENTICAL,
        "the same outputs: 1 cell, 1 output compared",
    )


def test_a_changed_word_is_named_by_cell_output_and_line(compare: Compare) -> None:
    comparison = compare([code("x", printed("a\nEC 71\n"))], [code("x", printed("a\nNIC 71\n"))])
    assert (comparison.grade, comparison.differences_total) == (Grade.DIFFERENT, 1)
    assert comparison.explanation == (
        "1 place differs, 1 cell, 1 output compared; cell 1, stdout, line 2: expected 'EC 71', found 'NIC 71'"
    )


@pytest.mark.parametrize(
    ("found", "options", "grade"),
    [
        ("V-R  0.4601 mag", {}, Grade.DIFFERENT),
        ("V-R  0.4601 mag", {"rtol": 1e-3}, Grade.EQUIVALENT),
        ("V-R  0.4601 mag", {"atol": 2e-4}, Grade.EQUIVALENT),
        ("V-R  0.4601 mag", {"rtol": 1e-5}, Grade.DIFFERENT),
        ("V-R 0.460000 mag", {}, Grade.EQUIVALENT),
        ("V-I  0.46 mag", {"rtol": 1}, Grade.DIFFERENT),
    ],
)
def test_numbers_are_judged_with_a_tolerance_and_words_without(
    compare: Compare, found: str, options: dict[str, object], grade: Grade
) -> None:
    comparison = compare(
        [code("x", printed("V-R  0.46 mag\n"))], [code("x", printed(f"{found}\n"))], **options
    )
    assert comparison.grade is grade


def test_a_tolerated_deviation_is_measured(compare: Compare) -> None:
    comparison = compare([code("x", printed("2.0"))], [code("x", printed("2.5"))], atol=1)
    assert comparison.measures["max_absolute"] == 0.5
    assert (
        "1 number within rtol=0, atol=1; largest deviation at cell 1, stdout, line 1"
        in comparison.explanation
    )


def test_a_number_that_is_part_of_a_name_is_a_word(compare: Compare) -> None:
    comparison = compare(
        [code("x", printed("release 9.3.35"))], [code("x", printed("release 9.3.36"))], atol=9
    )
    assert comparison.grade is Grade.DIFFERENT


def test_images_are_judged_by_digest_unless_their_type_is_ignored(compare: Compare) -> None:
    sides = [
        [code("x", shown(image_png=picture, text_plain="<Figure>"))] for picture in (PICTURE, OTHER_PICTURE)
    ]
    assert compare(*sides).grade is Grade.DIFFERENT
    assert compare(sides[0], [code("x ", *sides[0][0]["outputs"])]).grade is Grade.DIFFERENT
    comparison = compare(*sides, ignore_types=["image/*"])
    assert (comparison.grade, comparison.measures["outputs_ignored"]) == (Grade.IDENTICAL, 1)
    same = compare(sides[0], [code("x", shown(image_png=[PICTURE + "\n"], text_plain="<Figure>"))])
    assert (same.grade, same.measures["images_compared"]) == (Grade.IDENTICAL, 1)


def test_addresses_in_memory_and_tracebacks_do_not_count_but_errors_do(compare: Compare) -> None:
    def ended(value: str, address: str) -> Cells:
        error = {"output_type": "error", "ename": "ValueError", "evalue": value, "traceback": [address]}
        return [code("x", shown(text_plain=f"<Axes at {address}>")), code("y", error)]

    assert compare(ended("no", "0x7f00aa11bb22"), ended("no", "0x7f99cc33dd44")).grade is Grade.IDENTICAL
    assert compare(ended("no", "0x7f00aa11bb22"), ended("yes", "0x7f00aa11bb22")).differences_total == 1


def test_ignored_lines_are_left_out(compare: Compare) -> None:
    sides = [[code("x", printed(f"took {seconds} s\n42\n"))] for seconds in (3, 5)]
    assert compare(*sides).grade is Grade.DIFFERENT
    assert compare(*sides, ignore=["took .*"]).grade is Grade.IDENTICAL


def test_a_cell_more_is_one_difference_and_does_not_move_the_rest(compare: Compare) -> None:
    cells = [code(f"cell({n})", printed(f"{n}\n")) for n in range(5)]
    comparison = compare(cells, [*cells[:2], code("new()"), *cells[2:]])
    assert (comparison.differences_total, comparison.measures["cells_compared"]) == (1, 5)
    assert str(comparison.differences[0]) == "cell 3, source: expected nothing, found 'new()'"


def test_an_output_that_is_gone_is_a_difference(compare: Compare) -> None:
    cells = [code("x", printed("1")), code("y", printed("2"))]
    comparison = compare(cells, [cells[0], code("y")])
    assert str(comparison.differences[0]) == "cell 2, stdout: expected stdout: '2', found nothing"


def test_a_notebook_without_outputs_proves_nothing(compare: Compare) -> None:
    comparison = compare([code("x")], [code("x", count=2)])
    assert comparison.grade is Grade.DIFFERENT
    assert comparison.explanation.startswith("nothing was compared: no cell has an output")
    assert compare([code("x")], [code("x")]).grade is Grade.IDENTICAL


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"nbformat": 3, "worksheets": []}',
        b'{"nbformat": 4}',
        b'{"nbformat": 4, "cells": [{}]}',
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": 3, "outputs": []}]}',
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "", "outputs": [{"output_type": "x"}]}]}',
        notebook([code("x", shown(image_png="A"))]),
        b"[" * 100_000,
    ],
)
def test_what_is_no_notebook_is_said_in_words(compare: Compare, content: bytes) -> None:
    comparison = compare([code("x", printed("1"))], content)
    assert comparison.grade is Grade.DIFFERENT
    assert comparison.explanation.startswith("the found file is no notebook")


def test_a_long_line_of_digits_is_judged_at_once(compare: Compare) -> None:
    start = time.monotonic()
    sides = [[code("x", printed("1" * 100_000 + end))] for end in ("a", "b")]
    assert compare(*sides).grade is Grade.DIFFERENT
    assert time.monotonic() - start < 2


def test_unknown_options_are_named() -> None:
    (mistake,) = check_rule("notebook", {"ignore_type": ["image/png"]})
    assert "did you mean 'ignore_types'?" in mistake
