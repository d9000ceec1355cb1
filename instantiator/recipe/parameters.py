"""What a user gives for a thread's parameters, as typed values; every mistake is reported at once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from instantiator.recipe.errors import ParameterInvalid, ParameterMistake
from instantiator.recipe.model import Parameter, ParameterType, ParameterValue, Thread
from instantiator.recipe.words import find_control, shorten, suggest

BOOLEAN_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
TIME_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][-+]?[0-9]{1,3})?")


class NotAValue(Exception):
    """A value is not what its parameter takes; the message says what was expected and what was found."""


def parse_parameters(
    thread: Thread, given: Mapping[str, str | ParameterValue]
) -> dict[str, ParameterValue | None]:
    """The value of every parameter of `thread`: given, else its default, else None.

    Raises `ParameterInvalid` with all mistakes: unknown names, wrong types, out of range, missing.
    """
    values: dict[str, ParameterValue | None] = {}
    mistakes = list(_find_unknown(thread, given))
    for parameter in thread.parameters:
        try:
            values[parameter.name] = _value_of(parameter, given)
        except NotAValue as error:
            mistakes.append(ParameterMistake(parameter=parameter.name, message=str(error)))
    if mistakes:
        raise ParameterInvalid(
            mistakes, where=f"thread {thread.name!r}", hint=_describe_parameters(thread, mistakes)
        )
    return values


def parse_value(parameter: Parameter, given: str | ParameterValue) -> ParameterValue:
    """The typed value of one parameter; raises `NotAValue`."""
    return _PARSERS[parameter.type](parameter, given)


def describe_type(parameter: Parameter) -> str:
    """What a parameter takes, in words: `a whole number from 1 to 86400 (s)`."""
    words = {
        ParameterType.INT: "a whole number",
        ParameterType.FLOAT: "a number",
        ParameterType.CHOICE: f"one of {', '.join(parameter.choices)}",
        ParameterType.TEXT: "a line of text",
        ParameterType.BOOLEAN: "true or false",
        ParameterType.TIME: "a time in UTC such as 2014-11-12T15:34:00Z",
    }[parameter.type]
    pattern = f" that matches {parameter.pattern}" if parameter.pattern else ""
    unit = f" ({parameter.unit})" if parameter.unit else ""
    return f"{words}{pattern}{_describe_range(parameter)}{unit}"


def parameter_schema(thread: Thread) -> dict[str, object]:
    """The JSON Schema (2020-12) of an object that holds values for the thread's parameters."""
    required = [parameter.name for parameter in thread.parameters if parameter.required]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": thread.title,
        "type": "object",
        "properties": {parameter.name: _schema_of(parameter) for parameter in thread.parameters},
        "required": required,
        "additionalProperties": False,
    }


def _find_unknown(thread: Thread, given: Mapping[str, object]) -> Iterator[ParameterMistake]:
    known = [parameter.name for parameter in thread.parameters]
    for name in given:
        if name not in known:
            message = f"thread {thread.name!r} has no parameter {name!r}{suggest(name, known)}"
            yield ParameterMistake(parameter=name, message=message)


def _value_of(parameter: Parameter, given: Mapping[str, str | ParameterValue]) -> ParameterValue | None:
    if parameter.name in given:
        return parse_value(parameter, given[parameter.name])
    if parameter.required:
        raise NotAValue(f"parameter {parameter.name!r} is missing: expected {describe_type(parameter)}")
    return parameter.default


def _describe_parameters(thread: Thread, mistakes: list[ParameterMistake]) -> str:
    wrong = {mistake.parameter for mistake in mistakes}
    lines = [f"{p.name} is {describe_type(p)}" for p in thread.parameters if p.name in wrong]
    if lines:
        return "; ".join(lines)
    names = ", ".join(parameter.name for parameter in thread.parameters) or "none"
    return f"the thread's parameters: {names}"


def _describe_range(parameter: Parameter) -> str:
    least, most = parameter.minimum, parameter.maximum
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if least is not None:
        return f" from {least} on"
    return f" up to {most}" if most is not None else ""


def _parse_int(parameter: Parameter, given: str | ParameterValue) -> ParameterValue:
    if isinstance(given, str) and _WHOLE.fullmatch(given.strip()):
        given = int(given)
    if isinstance(given, float) and given.is_integer():
        given = int(given)  # JSON does not tell 5.0 from 5
    if not isinstance(given, int) or isinstance(given, bool):
        raise _unexpected(parameter, given)
    return _check_range(parameter, given)


def _parse_float(parameter: Parameter, given: str | ParameterValue) -> ParameterValue:
    if isinstance(given, str) and _DECIMAL.fullmatch(given.strip()):
        given = float(given)
    if isinstance(given, (str, bool)) or abs(given) > 1.7e308 or not math.isfinite(given):
        raise _unexpected(parameter, given)
    return _check_range(parameter, float(given))


def _check_range(parameter: Parameter, value: float) -> float:
    too_small = parameter.minimum is not None and value < parameter.minimum
    if too_small or (parameter.maximum is not None and value > parameter.maximum):
        raise _unexpected(parameter, value)
    return value


def _parse_choice(parameter: Parameter, given: str | ParameterValue) -> ParameterValue:
    if isinstance(given, str) and given in parameter.choices:
        return given
    raise NotAValue(
        f"parameter {parameter.name!r} cannot be {_show(given)}{suggest(str(given), parameter.choices)}"
    )


def _parse_text(parameter: Parameter, given: str | ParameterValue) -> ParameterValue:
    if not isinstance(given, str):
        raise _unexpected(parameter, given)
    if sign := find_control(given):
        what = "a line break" if sign in "\n\r\u2028\u2029" else f"the control character {sign!r}"
        raise NotAValue(f"parameter {parameter.name!r} holds {what}: expected {describe_type(parameter)}")
    if len(given) > parameter.max_length:
        found, most = len(given), parameter.max_length
        raise NotAValue(f"parameter {parameter.name!r} has {found} characters: at most {most} are allowed")
    if parameter.pattern and not re.fullmatch(parameter.pattern, given):
        raise _unexpected(parameter, given)
    return given


def _parse_boolean(parameter: Parameter, given: str | ParameterValue) -> ParameterValue:
    if isinstance(given, bool):
        return given
    if isinstance(given, str) and given.strip().lower() in BOOLEAN_WORDS:
        return BOOLEAN_WORDS[given.strip().lower()]
    raise _unexpected(parameter, given)


def _parse_time(parameter: Parameter, given: str | ParameterValue) -> ParameterValue:
    if not isinstance(given, str) or not re.fullmatch(TIME_PATTERN, given.strip(), re.ASCII):
        raise _unexpected(parameter, given)
    try:
        time = datetime.fromisoformat(given.strip())
        aware = time if time.tzinfo else time.replace(tzinfo=UTC)
        return _format_time(aware.astimezone(UTC))
    except (ValueError, OverflowError) as error:
        raise NotAValue(f"parameter {parameter.name!r} is no time: {error}, found {_show(given)}") from error


def _format_time(time: datetime) -> str:
    """`2014-11-12T15:34:00Z`, with microseconds only where there are any."""
    whole = time.replace(microsecond=0, tzinfo=None).isoformat()
    fraction = (
        f".{time.microsecond:06d}".rstrip("0") if time - time.replace(microsecond=0) > timedelta() else ""
    )
    return f"{whole}{fraction}Z"


def _unexpected(parameter: Parameter, given: object) -> NotAValue:
    expected, advice = describe_type(parameter), _advice(parameter, given)
    return NotAValue(f"parameter {parameter.name!r} has to be {expected}, found {_show(given)}{advice}")


def _show(given: object) -> str:
    return shorten(given) if isinstance(given, str) else str(given)


def _advice(parameter: Parameter, given: object) -> str:
    """What most likely went wrong: a unit was written, or a fraction for a whole number."""
    if not isinstance(given, str) or parameter.type not in (ParameterType.INT, ParameterType.FLOAT):
        return ""
    number = re.match(r"\s*[-+]?[0-9.]+(?=\s*[^\W\d]+\s*$)", given)
    if number and parameter.unit:
        return f": give the number alone, in {parameter.unit}"
    return ""


_PARSERS = {
    ParameterType.INT: _parse_int,
    ParameterType.FLOAT: _parse_float,
    ParameterType.CHOICE: _parse_choice,
    ParameterType.TEXT: _parse_text,
    ParameterType.BOOLEAN: _parse_boolean,
    ParameterType.TIME: _parse_time,
}


def _schema_of(parameter: Parameter) -> dict[str, object]:
    schema: dict[str, object] = {"description": _describe(parameter), **_type_schema(parameter)}
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema


def _describe(parameter: Parameter) -> str:
    unit = f" [{parameter.unit}]" if parameter.unit else ""
    return (parameter.help or describe_type(parameter)) + unit


def _type_schema(parameter: Parameter) -> dict[str, object]:
    if parameter.type in (ParameterType.INT, ParameterType.FLOAT):
        bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum}
        name = "integer" if parameter.type is ParameterType.INT else "number"
        return {"type": name, **{key: bound for key, bound in bounds.items() if bound is not None}}
    if parameter.type is ParameterType.CHOICE:
        return {"enum": list(parameter.choices)}
    if parameter.type is ParameterType.BOOLEAN:
        return {"type": "boolean"}
    if parameter.type is ParameterType.TIME:
        return {"type": "string", "pattern": f"^{TIME_PATTERN}$"}
    pattern = {"pattern": f"^(?:{parameter.pattern})$"} if parameter.pattern else {}
    return {"type": "string", "maxLength": parameter.max_length, **pattern}
