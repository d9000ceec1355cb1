"""What a user gives becomes typed values, or one error that names every mistake."""

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instantiator.recipe.errors import ParameterInvalid
from instantiator.recipe.model import Parameter, ParameterType, ParameterValue
from instantiator.recipe.parameters import NotAValue, parameter_schema, parse_parameters, parse_value
from tests.unit.recipe.samples import parameter, thread

STEP = parameter(ParameterType.INT, bounds=(1, 86400), unit="s")
GAIN = parameter(ParameterType.FLOAT, name="gain", bounds=(0.1, 10))
MODE = parameter(ParameterType.CHOICE, name="mode", default="median")
TITLE = parameter(ParameterType.TEXT, name="title", pattern="[A-Z][a-z ]*")
NOTE = parameter(ParameterType.TEXT, name="note")
QUICK = parameter(ParameterType.BOOLEAN, name="quick")
START = parameter(ParameterType.TIME, name="start")
ALL = thread(STEP, GAIN, MODE, TITLE, NOTE, QUICK, START)


@pytest.mark.parametrize(
    ("declared", "given_value", "value"),
    [
        (STEP, "60", 60),
        (STEP, 60, 60),
        (STEP, " +60 ", 60),
        (STEP, 60.0, 60),
        (GAIN, "1e0", 1.0),
        (GAIN, "2", 2.0),
        (GAIN, ".5", 0.5),
        (GAIN, 1, 1.0),
        (MODE, "mean", "mean"),
        (TITLE, "Landing day", "Landing day"),
        (NOTE, "`rm -rf /` $(id) 'é'", "`rm -rf /` $(id) 'é'"),
        (NOTE, "", ""),
        (QUICK, "yes", True),
        (QUICK, "0", False),
        (QUICK, "TRUE", True),
        (QUICK, False, False),
        (START, "2014-11-12T15:34:00Z", "2014-11-12T15:34:00Z"),
        (START, "2014-11-12T15:34", "2014-11-12T15:34:00Z"),
        (START, "2014-11-12", "2014-11-12T00:00:00Z"),
        (START, "2014-11-12 15:34:00.250", "2014-11-12T15:34:00.25Z"),
        (START, "2014-11-12T15:34:00+01:00", "2014-11-12T14:34:00Z"),
    ],
)
def test_a_value_is_read_in_the_type_of_its_parameter(
    declared: Parameter, given_value: str | ParameterValue, value: ParameterValue
) -> None:
    found = parse_value(declared, given_value)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("declared", "given_value", "message"),
    [
        (STEP, "0", "has to be a whole number from 1 to 86400 (s), found 0"),
        (STEP, "86401", "found 86401"),
        (STEP, "1.5", "has to be a whole number"),
        (STEP, 1.5, "has to be a whole number"),
        (STEP, True, "has to be a whole number"),
        (STEP, "10 s", "found '10 s': give the number alone, in s"),
        (STEP, "٣", "has to be a whole number"),
        (STEP, "9" * 5000, "has to be a whole number"),
        (STEP, "", "found ''"),
        (GAIN, "nan", "has to be a number"),
        (GAIN, "inf", "has to be a number"),
        (GAIN, float("nan"), "has to be a number"),
        (GAIN, float("inf"), "has to be a number"),
        (GAIN, "1e999", "has to be a number"),
        (GAIN, 10**400, "has to be a number"),
        (GAIN, "1_0", "has to be a number"),
        (MODE, "maen", "cannot be 'maen' (did you mean 'mean'?)"),
        (MODE, 1, "cannot be 1"),
        (TITLE, "landing", "that matches [A-Z][a-z ]*, found 'landing'"),
        (TITLE, "Landing\n", "holds a line break"),
        (NOTE, "a\nb", "holds a line break"),
        (NOTE, "a\u2028b", "holds a line break"),
        (NOTE, "a\x00b", "the control character '\\x00'"),
        (NOTE, "a\x1b[31m", "the control character '\\x1b'"),
        (NOTE, "\ud800", "the control character"),
        (NOTE, "a" * 1001, "has 1001 characters: at most 1000"),
        (NOTE, 5, "has to be a line of text, found 5"),
        (QUICK, "maybe", "has to be true or false"),
        (QUICK, 1, "has to be true or false"),
        (START, "12-Nov-2014", "has to be a time in UTC such as 2014-11-12T15:34:00Z"),
        (START, "2014-13-01T00:00:00Z", "is no time"),
        (START, "2014-02-30", "is no time"),
        (START, "0001-01-01T00:00:00+01:00", "is no time"),
        (START, 1415806440, "has to be a time"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_was_expected(
    declared: Parameter, given_value: str | ParameterValue, message: str
) -> None:
    with pytest.raises(NotAValue) as caught:
        parse_value(declared, given_value)
    assert message in str(caught.value)


def test_what_is_not_given_is_the_default_or_none() -> None:
    assert parse_parameters(ALL, {"step": "5"}) == {
        "step": 5,
        "gain": None,
        "mode": "median",
        "title": None,
        "note": None,
        "quick": None,
        "start": None,
    }


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(ParameterInvalid) as caught:
        parse_parameters(ALL, {"stp": "5", "gain": "11", "start": "yesterday"})
    assert [mistake.parameter for mistake in caught.value.mistakes] == ["stp", "gain", "start"]
    assert "has no parameter 'stp' (did you mean 'step'?)" in caught.value.message
    assert "gain is a number from 0.1 to 10" in caught.value.hint


def test_a_required_parameter_has_to_be_given() -> None:
    needed = parameter(ParameterType.INT, required="yes")
    with pytest.raises(ParameterInvalid, match="parameter 'step' is missing: expected a whole number"):
        parse_parameters(thread(needed), {})


def test_the_schema_of_parameters_says_types_ranges_and_units() -> None:
    schema = parameter_schema(thread(STEP, MODE))
    assert schema["properties"] == {
        "step": {
            "description": "a whole number from 1 to 86400 (s) [s]",
            "type": "integer",
            "minimum": 1,
            "maximum": 86400,
        },
        "mode": {"description": "one of median, mean", "enum": ["median", "mean"], "default": "median"},
    }


_JSON = st.one_of(
    st.integers(-10, 100_000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(max_size=8),
    st.sampled_from(["median", "Landing day", "2014-11-12T15:34:00Z", "2014-11-12", "7", "true"]),
)


@given(st.dictionaries(st.sampled_from([p.name for p in ALL.parameters] + ["other"]), _JSON, max_size=4))
def test_what_the_schema_allows_the_parser_reads_but_for_calendar_and_control_characters(
    values: dict[str, int | float | str | bool],
) -> None:
    validator = jsonschema.Draft202012Validator(parameter_schema(ALL))
    if not validator.is_valid(values):
        return
    try:
        parse_parameters(ALL, values)
    except ParameterInvalid as error:
        assert all("is no time" in m.message or " holds " in m.message for m in error.mistakes)
