from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.compare import Comparison, Grade, compare_files
from provenance.compare.alignment import align_lines

EPS = Path(__file__).parents[2] / "data/compare/eps"
FIRST, SECOND = EPS / "power_avg_eps-9.3.35_first.out", EPS / "power_avg_eps-9.3.35_second.out"
GENERATION_TIME = {"ignore": ["# Generation Time:.*"]}

Compare = Callable[..., Comparison]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    def compare_contents(expected: bytes, found: bytes, **options: object) -> Comparison:
        (tmp_path / "expected").write_bytes(expected)
        (tmp_path / "found").write_bytes(found)
        return compare_files("text", options, expected=tmp_path / "expected", found=tmp_path / "found")

    return compare_contents


def test_two_runs_of_eps_are_identical_but_for_the_generation_time() -> None:
    comparison = compare_files("text", GENERATION_TIME, expected=FIRST, found=SECOND)
    assert comparison.grade is Grade.IDENTICAL
    assert comparison.explanation == (
        "identical but for 1 ignored line: # Generation Time: 20-November-2026_16:31:15 (UTC)"
    )
    assert comparison.measures == {"lines_compared": 249, "lines_ignored": 1}


def test_two_runs_of_eps_differ_where_nothing_is_ignored() -> None:
    comparison = compare_files("text", {}, expected=FIRST, found=SECOND)
    assert comparison.explanation == (
        "1 line of 250 differs; line 3: expected '# Generation Time: 20-November-2026_16:31:15 (UTC)', "
        "found '# Generation Time: 20-November-2026_16:31:17 (UTC)'"
    )


def test_a_pattern_has_to_match_a_line_as_a_whole() -> None:
    comparison = compare_files("text", {"ignore": ["# Generation Time:"]}, expected=FIRST, found=SECOND)
    assert comparison.grade is Grade.DIFFERENT


def test_one_changed_value_is_named_by_its_line_in_the_file(compare: Compare) -> None:
    content = FIRST.read_bytes()
    changed = SECOND.read_bytes().replace(b"_20:14:00,39.820,13.470", b"_20:14:00,39.820,13.471")
    comparison = compare(content, changed, **GENERATION_TIME)
    assert (comparison.grade, comparison.differences_total) == (Grade.DIFFERENT, 1)
    assert comparison.explanation == (
        "1 line of 249 differs; line 39: "
        "expected '06-Oct-2022_20:14:00,39.820,13.470,11.750,5.100,3.500,6.000', "
        "found '06-Oct-2022_20:14:00,39.820,13.471,11.750,5.100,3.500,6.000'"
    )


def test_a_rule_that_ignores_every_line_proves_nothing() -> None:
    comparison = compare_files("text", {"ignore": [".*"]}, expected=FIRST, found=SECOND)
    assert comparison.grade is Grade.DIFFERENT
    assert comparison.explanation.startswith("nothing was compared: all 250 lines are ignored")


def test_an_inserted_line_is_one_difference_and_moves_nothing_else(compare: Compare) -> None:
    comparison = compare(b"SCAN\nSTANDBY\nOFF\n", b"WARMUP\nSCAN\nSTANDBY\nOFF!\n")
    assert [str(difference) for difference in comparison.differences] == [
        "line 1 of the found file: expected nothing, found 'WARMUP'",
        "line 3 (found: line 4): expected 'OFF', found 'OFF!'",
    ]


def test_a_line_that_is_gone_is_named_as_such(compare: Compare) -> None:
    comparison = compare(b"SCAN\nSTANDBY\nOFF\n", b"SCAN\nOFF\n")
    assert [str(difference) for difference in comparison.differences] == [
        "line 2 of the expected file: expected 'STANDBY', found nothing"
    ]


def test_line_ends_count_unless_the_rule_says_otherwise(compare: Compare) -> None:
    exact = compare(b"SCAN\nOFF\n", b"SCAN\r\nOFF")
    assert (exact.grade, exact.differences_total) == (Grade.DIFFERENT, 2)
    assert str(exact.differences[0]) == "line 1: expected 'SCAN\\n', found 'SCAN\\r\\n'"
    relaxed = compare(b"SCAN\nOFF\n", b"SCAN\r\nOFF", newline="any")
    assert relaxed.explanation == "identical but for line ends or spaces before them, as told"


def test_trailing_space_counts_unless_the_rule_says_otherwise(compare: Compare) -> None:
    assert compare(b"SCAN  \nOFF\n", b"SCAN\nOFF\t\n").differences_total == 2
    assert compare(b"SCAN  \nOFF\n", b"SCAN\nOFF\t\n", ignore_trailing_space=True).grade is Grade.IDENTICAL
    assert compare(b"SCAN  \n", b"SCAN\r\n", ignore_trailing_space=True).grade is Grade.DIFFERENT


def test_text_that_is_not_utf_8_is_read_as_latin_1(compare: Compare) -> None:
    comparison = compare(b"Temp\xe9rature\n", b"Temp\xe8rature\n")
    assert str(comparison.differences[0]) == "line 1: expected 'Température', found 'Tempèrature'"


def test_a_file_that_is_not_in_the_encoding_asked_for_is_different_in_words(compare: Compare) -> None:
    comparison = compare(b"Temperature\n", b"Temp\xe8rature\n", encoding="utf-8")
    assert comparison.explanation == "the found file is not utf-8: invalid continuation byte at byte 4"


def test_binary_where_text_is_expected_is_different_in_words(compare: Compare) -> None:
    comparison = compare(b"SCAN\n", b"SCAN\0\1\2")
    assert comparison.grade is Grade.DIFFERENT
    assert comparison.explanation == "the found file is binary, not text: a NUL at character 4"


def test_an_empty_file_is_different_in_words(compare: Compare) -> None:
    comparison = compare(b"SCAN\nOFF\n", b"")
    assert comparison.explanation.startswith("the found file is empty; line 1 of the expected file: ")


def test_twenty_differences_are_kept_and_all_are_counted(compare: Compare) -> None:
    comparison = compare(b"".join(b"%d\n" % n for n in range(100)), b"x\n" * 100)
    assert (len(comparison.differences), comparison.differences_total) == (20, 100)


def test_two_long_lines_are_shown_where_they_begin_to_differ(compare: Compare) -> None:
    comparison = compare(b"a" * 5000 + b"1", b"a" * 5000 + b"2")
    assert "'aaaaaaaaaaaaaaaaaaaa1' from character 4981 on" in comparison.explanation


def test_a_log_of_100000_lines_is_compared_in_seconds(compare: Compare) -> None:
    lines = [b"mode %d at second %d" % (number % 7, number) for number in range(100_000)]
    changed = [b"new", *lines[:7], *lines[8:]]
    changed[1000::1000] = [line + b"0" for line in changed[1000::1000]]
    started = time.perf_counter()
    comparison = compare(b"\n".join(lines), b"\n".join(changed), ignore=["# .*"])
    assert comparison.differences_total == 2 + 99
    assert time.perf_counter() - started < 10  # 0.4 s on an idle machine


@given(st.lists(st.sampled_from("abcde"), max_size=30), st.lists(st.sampled_from("abcde"), max_size=30))
def test_what_lies_between_two_stretches_that_differ_is_the_same(one: list[str], other: list[str]) -> None:
    at, other_at = 0, 0
    for low, high, other_low, other_high in align_lines(one, other):
        assert one[at:low] == other[other_at:other_low]
        assert high > low or other_high > other_low
        at, other_at = high, other_high
    assert one[at:] == other[other_at:]
