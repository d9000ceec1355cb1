from __future__ import annotations

from pathlib import Path

import pytest

from provenance.compare import Comparison, Grade, compare_files
from provenance.errors import ObjectMissing


def compare(tmp_path: Path, expected: bytes, found: bytes) -> Comparison:
    (tmp_path / "expected").write_bytes(expected)
    (tmp_path / "found").write_bytes(found)
    return compare_files("bytes", {}, expected=tmp_path / "expected", found=tmp_path / "found")


def test_the_same_bytes_are_identical(tmp_path: Path) -> None:
    comparison = compare(tmp_path, b"\0\1\2", b"\0\1\2")
    assert (comparison.grade, comparison.explanation) == (Grade.IDENTICAL, "the same bytes (3)")


def test_one_changed_byte_is_named_by_offset_and_value(tmp_path: Path) -> None:
    content = bytes(3_000_000)
    comparison = compare(tmp_path, content, content[:2_500_001] + b"A" + content[2_500_002:])
    assert comparison.grade is Grade.DIFFERENT
    assert comparison.explanation == "3000000 bytes each; byte 2500001: expected 0x00, found 0x41"


def test_a_file_cut_short_says_where_it_ends(tmp_path: Path) -> None:
    comparison = compare(tmp_path, b"power", b"pow")
    assert str(comparison.differences[0]) == "byte 3: expected 0x65, found the end of the file"
    assert comparison.explanation.startswith("expected 5 bytes, found 3; ")


def test_a_file_that_is_too_long_says_what_comes_after_its_end(tmp_path: Path) -> None:
    comparison = compare(tmp_path, b"", b"x")
    assert str(comparison.differences[0]) == "byte 0: expected the end of the file, found 0x78"


@pytest.mark.parametrize("rule", ["bytes", "text", "table", "fits", "tree"])
def test_an_output_that_is_not_there_is_missing_by_every_rule(tmp_path: Path, rule: str) -> None:
    (tmp_path / "expected").write_bytes(b"1,2\n")
    comparison = compare_files(rule, {}, expected=tmp_path / "expected", found=tmp_path / "found")
    assert comparison.grade is Grade.MISSING


@pytest.mark.parametrize("rule", ["bytes", "text", "table", "fits", "tree"])
def test_nothing_to_compare_with_is_an_error_and_no_verdict(tmp_path: Path, rule: str) -> None:
    (tmp_path / "found").write_bytes(b"1,2\n")
    with pytest.raises(ObjectMissing):
        compare_files(rule, {}, expected=tmp_path / "expected", found=tmp_path / "found")


@pytest.mark.parametrize("rule", ["bytes", "text", "table", "fits"])
def test_a_folder_or_a_dead_link_where_a_file_was_is_different(tmp_path: Path, rule: str) -> None:
    (tmp_path / "expected").write_bytes(b"1,2\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    for name, kind in (("folder", "a folder"), ("link", "a link that leads nowhere")):
        comparison = compare_files(rule, {}, expected=tmp_path / "expected", found=tmp_path / name)
        assert (comparison.grade, comparison.explanation) == (
            Grade.DIFFERENT,
            f"the output: expected a file, found {kind}",
        )
