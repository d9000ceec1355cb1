from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.compare import Comparison, Grade, compare_files

EPS = Path(__file__).parents[2] / "data/compare/eps"
REFERENCE = EPS / "power_avg_eps-2.5.36_2015.csv"
FIRST, SECOND = EPS / "power_avg_eps-9.3.35_first.out", EPS / "power_avg_eps-9.3.35_second.out"
INSTRUMENTS = ["BELA", "ISA", "MERTIS", "MGNS", "PHEBUS"]
AGAINST_2015 = {"delimiter": ",", "comment": "#", "columns": INSTRUMENTS}

Compare = Callable[..., Comparison]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    def compare_contents(expected: str, found: str, **options: object) -> Comparison:
        (tmp_path / "expected").write_text(expected, newline="")
        (tmp_path / "found").write_text(found, newline="")
        return compare_files("table", options, expected=tmp_path / "expected", found=tmp_path / "found")

    return compare_contents


def change_mertis(path: Path, written: str) -> str:
    return path.read_text().replace(
        "_20:14:00,39.820,13.470,11.750,5.100", f"_20:14:00,39.820,13.470,11.750,{written}"
    )


def test_all_1130_powers_of_2015_come_out_of_the_eps_of_today() -> None:
    comparison = compare_files("table", AGAINST_2015, expected=REFERENCE, found=FIRST)
    assert (comparison.grade, comparison.measures["values_compared"]) == (Grade.IDENTICAL, 1130)
    assert comparison.explanation.startswith(
        "1130 of 1130 values the same in columns BELA, ISA, MERTIS, MGNS, PHEBUS; "
        "not judged: columns Elapsed time, Total, ANTENNA_X,"
    )


def test_a_change_of_one_power_names_row_column_and_size(compare: Compare) -> None:
    comparison = compare(REFERENCE.read_text(), change_mertis(FIRST, "5.300"), **AGAINST_2015)
    assert (comparison.grade, comparison.differences_total) == (Grade.DIFFERENT, 1)
    assert comparison.explanation == (
        "1 of 1130 values differs; "
        "row 15 (06-Oct-2022_20:14:00), column MERTIS: expected 5.100, found 5.300 (+0.2, 3.9 %)"
    )


def test_the_total_of_2015_is_another_because_it_had_more_instruments() -> None:
    options = {**AGAINST_2015, "columns": ["Total"]}
    comparison = compare_files("table", options, expected=REFERENCE, found=FIRST)
    assert (comparison.grade, comparison.differences_total) == (Grade.DIFFERENT, 226)
    assert len(comparison.differences) == 20
    assert "largest deviation at row 60 (06-Oct-2022_20:59:00), column Total" in comparison.explanation


def test_two_runs_of_eps_are_identical_but_for_the_generation_time() -> None:
    options = {"ignore": ["# Generation Time:.*"], "comment": "#"}
    comparison = compare_files("table", options, expected=FIRST, found=SECOND)
    assert (comparison.grade, comparison.measures["values_compared"]) == (Grade.IDENTICAL, 1582)
    assert comparison.explanation == (
        "identical but for 1 ignored line: # Generation Time: 20-November-2026_16:31:15 (UTC); "
        "1582 values compared"
    )


def test_a_table_of_which_only_comments_are_left_proves_nothing() -> None:
    first, second = (EPS / f"conflicts_eps-9.3.35_{which}.out" for which in ("first", "second"))
    comparison = compare_files("table", {"comment": "#"}, expected=first, found=second)
    assert comparison.grade is Grade.DIFFERENT
    assert comparison.explanation.startswith("nothing was compared: 20 lines ignored, 0 rows of values left")


def test_the_same_bytes_are_identical_and_their_values_counted() -> None:
    comparison = compare_files("table", AGAINST_2015, expected=FIRST, found=FIRST)
    assert (comparison.grade, comparison.measures["values_compared"]) == (Grade.IDENTICAL, 1130)


def test_a_column_that_is_not_there_is_different_and_names_the_nearest() -> None:
    options = {**AGAINST_2015, "columns": ["BELLA"]}
    comparison = compare_files("table", options, expected=REFERENCE, found=FIRST)
    assert (comparison.grade, comparison.measures["values_compared"]) == (Grade.DIFFERENT, 0)
    assert "none in the expected file (did you mean 'BELA'?)" in comparison.explanation


def test_numbers_written_otherwise_are_equivalent(compare: Compare) -> None:
    comparison = compare("t,power\n1,5.100\n2,0.05\n", "t,power\n1,5.1\n2,5.0D-02\n")
    assert comparison.grade is Grade.EQUIVALENT
    assert comparison.explanation == (
        "all 4 values are equal (rtol=0, atol=0); 2 written otherwise, "
        "first at row 1 (1), column power: expected '5.100', found '5.1'"
    )


def test_lines_written_otherwise_are_equivalent_at_best(compare: Compare) -> None:
    for found in ("t,power\r\n1,5.1\r\n", 't,"power"\n1,5.1\n', "t,power\n\n1,5.1\n"):
        assert compare("t,power\n1,5.1\n", found).grade is Grade.EQUIVALENT


def test_a_deviation_within_tolerance_says_which_where_and_how_large(compare: Compare) -> None:
    comparison = compare("t,power\n1,5.100\n2,8.000\n", "t,power\n1,5.101\n2,8.000\n", atol=0.001)
    assert comparison.grade is Grade.EQUIVALENT
    assert comparison.explanation == (
        "equal within rtol=0, atol=0.001: 3 of 4 values the same, 1 within tolerance; "
        "largest deviation at row 1 (1), column power: expected 5.100, found 5.101 (+0.001, 0.02 %)"
    )
    assert comparison.measures["max_absolute"] == pytest.approx(0.001)
    assert comparison.measures["max_relative"] == pytest.approx(0.001 / 5.1)


@pytest.mark.parametrize(("expected", "found"), [("5.100", "5.101"), ("5.101", "5.100"), ("0.3", "0.301")])
def test_a_last_digit_is_within_a_tolerance_of_one_last_digit(
    compare: Compare, expected: str, found: str
) -> None:
    assert compare(f"1,{expected}\n", f"1,{found}\n", atol=0.001).grade is Grade.EQUIVALENT
    assert compare(f"1,{expected}\n", f"1,{found}\n", atol=0.000999).grade is Grade.DIFFERENT


def test_a_relative_tolerance_is_relative_to_the_expected_value(compare: Compare) -> None:
    assert compare("1,100\n", "1,101\n", rtol=0.01).grade is Grade.EQUIVALENT
    assert compare("1,-100\n", "1,-102\n", rtol=0.01).grade is Grade.DIFFERENT
    assert compare("1,0\n", "1,0.001\n", rtol=0.01).grade is Grade.DIFFERENT


def test_a_tolerance_of_one_column_is_not_that_of_another(compare: Compare) -> None:
    tolerances = {"flux": {"atol": 0.5}}
    expected = "wave,flux\n15.5,3170.4\n"
    assert compare(expected, "wave,flux\n15.5,3170.9\n", tolerances=tolerances).grade is Grade.EQUIVALENT
    assert compare(expected, "wave,flux\n15.6,3170.4\n", tolerances=tolerances).grade is Grade.DIFFERENT


def test_counts_that_no_float_can_tell_apart_are_different(compare: Compare) -> None:
    comparison = compare("clock,n\n9007199254740993,1\n", "clock,n\n9007199254740992,1\n")
    assert str(comparison.differences[0]).endswith("found 9007199254740992 (-1, 1.1e-14 %)")


@pytest.mark.parametrize(("expected", "found"), [("000_20", "20"), ("1e400", "inf"), ("12:00", "12:01")])
def test_what_only_python_takes_for_a_number_is_a_word(compare: Compare, expected: str, found: str) -> None:
    assert compare(f"1,{expected}\n", f"1,{found}\n", atol=1e9).grade is Grade.DIFFERENT


@pytest.mark.parametrize(
    "found", ["1e-99999999999999999999", "1e99999999999999999999", "-1e-400", "********"]
)
def test_numbers_beyond_all_bounds_are_different_and_no_stack_trace(compare: Compare, found: str) -> None:
    assert compare("1,0.0\n", f"1,{found}\n").grade is Grade.DIFFERENT


def test_nan_equals_nan_unless_the_rule_says_otherwise(compare: Compare) -> None:
    assert compare("1,NaN\n2,7\n", "1,nan\n2,7\n").grade is Grade.EQUIVALENT
    assert compare("1,NaN\n2,7\n", "1,NaN\n2,7.0\n", nan_equal=False).grade is Grade.DIFFERENT
    assert compare("1,NaN\n2,7\n", "1,0.0\n2,7\n", atol=1e9).grade is Grade.DIFFERENT


def test_a_unit_that_changed_is_a_difference(compare: Compare) -> None:
    comparison = compare("t,power\ns,W\n1,5\n", "t,power\ns,mW\n1,5\n", columns=["power"])
    assert comparison.explanation.endswith("header row 2, column power: expected 'W', found 'mW'")


def test_columns_are_matched_by_name_unless_told_by_position(compare: Compare) -> None:
    expected, found = "t,ISA,BELA\n1,11.75,13.47\n", "t,BELA,ISA\n1,13.47,11.75\n"
    assert compare(expected, found).grade is Grade.EQUIVALENT
    assert compare(expected, found, match_columns_by="position").grade is Grade.DIFFERENT


def test_a_column_more_or_less_is_a_difference_where_all_are_judged(compare: Compare) -> None:
    assert compare("t,ISA\n1,2\n", "t,ISA,BELA\n1,2,3\n").differences[0].place == "column BELA"
    assert compare("t,ISA,BELA\n1,2,3\n", "t,ISA\n1,2\n").differences[0].place == "column BELA"


def test_a_cell_beyond_the_header_is_judged_too(compare: Compare) -> None:
    comparison = compare("t,ISA\n1,2\n3,4,5\n", "t,ISA\n1,2\n3,4,6\n")
    assert str(comparison.differences[0]) == "row 2 (3), column 3: expected 5, found 6 (+1, 20 %)"


def test_a_cell_that_is_gone_is_a_difference(compare: Compare) -> None:
    comparison = compare("t,ISA\n1,2\n3,4\n", "t,ISA\n1,2\n3\n")
    assert str(comparison.differences[0]) == "row 2, column ISA: expected '4', found nothing"


def test_rows_are_aligned_by_their_key(compare: Compare) -> None:
    expected = "mode,power\nSCAN,5\nOFF,0\nSCAN,7\n"
    assert compare(expected, "mode,power\nOFF,0\nSCAN,5\nSCAN,7\n", key="mode").grade is Grade.EQUIVALENT
    comparison = compare(expected, "mode,power\nOFF,1\nSCAN,5\nWARMUP,2\n", key="mode")
    assert [str(difference) for difference in comparison.differences] == [
        "row 2 (OFF), found as row 1, column power: expected 0, found 1 (+1)",
        "row 3 (SCAN): expected line 4, found nothing",
        "row 3 (WARMUP): expected nothing, found line 4",
    ]


def test_a_row_that_is_gone_is_named_with_its_line(compare: Compare) -> None:
    comparison = compare("# made\nt,power\n1,5\n2,6\n", "# made\nt,power\n1,5\n", comment="#")
    assert [str(difference) for difference in comparison.differences] == [
        "row 2 (2): expected line 4, found nothing"
    ]


def test_a_key_that_is_no_column_is_a_difference(compare: Compare) -> None:
    comparison = compare("mode,power\nOFF,0\n", "mode,power\nOFF,1\n", key="node")
    assert "(did you mean 'mode'?)" in comparison.explanation


def test_tables_of_words_alone_are_compared_as_words(compare: Compare) -> None:
    expected = "Current time\ntime,BELA\n20:00,PBS\n20:20,STANDBY\n"
    comparison = compare(expected, expected.replace("PBS", "OFF"))
    assert str(comparison.differences[0]) == "row 1 (20:00), column BELA: expected 'PBS', found 'OFF'"


def test_names_that_repeat_are_joined_with_the_row_below(compare: Compare) -> None:
    expected = "Current,ISA,ISA\ntime,Up,Down\n1,2,3\n"
    assert (
        compare(expected, expected.replace(",3", ",4")).differences[0].place == "row 1 (1), column ISA Down"
    )


def test_whitespace_separates_cells_where_told(compare: Compare) -> None:
    expected = "wave flux\n15.5525   3170.39\n10.5080 1434.04\n"
    comparison = compare(expected, expected.replace("   3170.39", "\t3170.39"), delimiter="whitespace")
    assert (comparison.grade, comparison.measures["values_compared"]) == (Grade.EQUIVALENT, 4)


def test_columns_without_a_header_are_called_by_number(compare: Compare) -> None:
    comparison = compare("1;5\n2;6\n", "1;5\n9;6\n", delimiter=";", columns=[2])
    assert (comparison.grade, comparison.measures["values_compared"]) == (Grade.IDENTICAL, 2)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("", "the found file has no row of values; "),
        ("t,power\n1,\0\n", "the found file is binary, not text: a NUL at character 10"),
        ("t,power\n1," + "5" * 200_000, "the found file, line 2 is no row of a table: field larger than"),
    ],
)
def test_files_that_are_no_table_are_different_in_words(compare: Compare, found: str, words: str) -> None:
    comparison = compare("t,power\n1,5\n", found)
    assert comparison.grade is Grade.DIFFERENT
    assert comparison.explanation.startswith(words)


def test_a_table_of_300000_values_is_compared_in_seconds(compare: Compare) -> None:
    rows = [f"{number},{number / 7:.4f},{number / 11:.4f},{number / 13:.4f}" for number in range(75_000)]
    changed = [row if number % 5 else row + "1" for number, row in enumerate(rows)]
    started = time.perf_counter()
    comparison = compare("\n".join(rows), "\n".join(changed), atol=0.01)
    assert (comparison.grade, comparison.measures["values_compared"]) == (Grade.EQUIVALENT, 300_000)
    assert time.perf_counter() - started < 10  # 0.4 s on an idle machine
