from __future__ import annotations

import pytest

from provenance.compare import RULES, CompareRuleInvalid, check_rule, find_rule


def test_every_rule_has_a_name_and_takes_no_option_at_all() -> None:
    assert sorted(RULES) == ["bytes", "fits", "notebook", "table", "text", "tree"]
    assert [check_rule(name, {}) for name in RULES] == [()] * 6


def test_an_unknown_rule_names_the_nearest_one() -> None:
    assert check_rule("tabel", {}) == ("unknown rule 'tabel' (did you mean 'table'?)",)


def test_an_unknown_option_names_the_nearest_one() -> None:
    assert check_rule("table", {"colums": ["BELA"]}) == (
        "unknown option 'colums' of rule 'table' (did you mean 'columns'?)",
    )


def test_a_rule_without_options_refuses_every_option() -> None:
    assert check_rule("bytes", {"ignore": ["#.*"]}) == ("unknown option 'ignore' of rule 'bytes'",)


def test_all_mistakes_of_a_rule_are_reported_at_once() -> None:
    mistakes = check_rule("table", {"rtol": -1, "ignore": ["(", 3.5], "header_rows": 1.5, "keys": "time"})
    assert mistakes == (
        "option 'rtol' of rule 'table' is a number from 0 on, found -1",
        "option 'ignore' of rule 'table' is a list of texts, found 3.5 in it",
        "option 'ignore' of rule 'table' holds '(', which is no regular expression: "
        "missing ), unterminated subpattern at position 0",
        "option 'header_rows' of rule 'table' is a whole number from 0 on, found 1.5",
        "unknown option 'keys' of rule 'table' (did you mean 'key'?)",
    )


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("text", {"encoding": "klingon"}),
        ("text", {"newline": "unix"}),
        ("text", {"ignore_trailing_space": "yes"}),
        ("table", {"delimiter": "::"}),
        ("table", {"match_columns_by": "colour"}),
        ("table", {"match_columns_by": ""}),
        ("table", {"columns": {"BELA": 1}}),
        ("table", {"rtol": float("nan")}),
        ("table", {"atol": True}),
        ("table", {"tolerances": {"BELA": 0.1}}),
        ("table", {"tolerances": {"BELA": {"atoll": 0.1}}}),
        ("fits", {"ignore_keywords": 3.5}),
        ("tree", {"members": [{"rule": "fits"}]}),
        ("tree", {"members": [{"match": "*.fits", "rule": "fit"}]}),
        ("tree", {"members": [{"match": "*.fits", "rule": "fits", "rtoll": 1}]}),
    ],
)
def test_an_option_of_the_wrong_kind_is_one_mistake(rule: str, options: dict[str, object]) -> None:
    assert len(check_rule(rule, options)) == 1


def test_a_mistake_in_a_tolerance_names_its_column() -> None:
    (mistake,) = check_rule("table", {"tolerances": {"BELA": {"atoll": 0.1}}})
    assert mistake == "unknown option 'atoll' of column 'BELA' of rule 'table' (did you mean 'atol'?)"


def test_a_tolerance_that_yaml_took_for_a_text_is_still_a_number() -> None:
    assert RULES["table"].parse_options({"rtol": "1e-6"}).tolerance.rtol == 1e-6


def test_a_wrong_rule_is_an_error_with_a_code_and_a_next_step() -> None:
    with pytest.raises(CompareRuleInvalid) as caught:
        find_rule("txt")
    assert caught.value.code == "compare-rule-invalid"
    assert caught.value.hint == "docs/comparison-rules.md lists every rule with its options"
