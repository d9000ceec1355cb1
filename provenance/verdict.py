"""What re-running a record showed, output by output. Kept in the vault as canonical JSON, `format: 1`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from provenance.compare import Comparison, Difference, Grade, compare_files, worst_grade
from provenance.digest import Digest, canonical_json, digest_bytes, parse_digest
from provenance.errors import DigestMismatch, ThawError
from provenance.record import RecordedOutput, format_time, parse_time

__all__ = [
    "Grade",
    "OutputVerdict",
    "Verdict",
    "VerdictInvalid",
    "judge",
    "verdict_from_bytes",
    "verdict_from_json",
]

FORMAT = 1
NO_RULE = "presence"
"""Stands where the rule would, for an output that has no other to be compared with."""

OpenExpected = Callable[[Digest], Path]
OpenFound = Callable[[RecordedOutput], Path]


class VerdictInvalid(ThawError):
    """A verdict cannot be read: wrong format, missing key, wrong type, or a grade its outputs do not give."""

    code = "verdict-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputVerdict:
    """How one output stands to the recorded one. `expected` and `found` are digests, None where none is."""

    name: str
    path: str
    comparison: Comparison
    expected: Digest | None = None
    found: Digest | None = None

    @property
    def grade(self) -> Grade:
        """The grade the rule gave."""
        return self.comparison.grade

    @property
    def rule(self) -> str:
        """The name of the rule that judged."""
        return self.comparison.rule

    @property
    def explanation(self) -> str:
        """What the rule saw, in one sentence."""
        return self.comparison.explanation

    def __str__(self) -> str:
        return f"{self.path}: {self.grade} by rule {self.rule}: {self.explanation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the run `repeated_by` showed of the run `run`; outputs are sorted by path and name.

    `reason` is empty, or says why the repetition as a whole is not the same, whatever its outputs say:
    it failed, it ended otherwise, there was nothing to compare.
    """

    run: str
    repeated_by: str
    outputs: tuple[OutputVerdict, ...]
    judged: datetime
    reason: str = ""

    @property
    def grade(self) -> Grade:
        """The worst grade of all outputs; at best `different` where there is a reason, or no output."""
        because = (Grade.DIFFERENT,) if self.reason else ()
        return worst_grade([*(output.grade for output in self.outputs), *because])

    @property
    def digest(self) -> Digest:
        """What names this verdict in the vault."""
        return digest_bytes(self.to_bytes())

    def to_json(self) -> dict[str, object]:
        """Format 1, as docs/comparison-rules.md specifies it."""
        return {
            "format": FORMAT,
            "run": self.run,
            "repeated_by": self.repeated_by,
            "grade": self.grade.value,
            "reason": self.reason,
            "judged": format_time(self.judged),
            "outputs": [_output_to_json(output) for output in self.outputs],
        }

    def to_bytes(self) -> bytes:
        """The verdict as canonical JSON."""
        return canonical_json(self.to_json())


def judge(
    expected: Sequence[RecordedOutput],
    found: Sequence[RecordedOutput],
    *,
    run: str,
    repeated_by: str,
    judged: datetime,
    open_expected: OpenExpected,
    open_found: OpenFound,
    reason: str = "",
) -> Verdict:
    """Judge the outputs of a repeated run by the rules in the record of the first one.

    Outputs answer each other by name and path, in whatever order they come. Files are opened only where the
    digests differ; what `open_expected` raises for an object that is gone or rotten is not caught.
    """
    answers = {(output.name, output.path): output for output in found}
    recorded = {(output.name, output.path) for output in expected}
    outputs = [
        _judge_output(output, answers.get((output.name, output.path)), open_expected, open_found)
        for output in expected
    ]
    outputs += [_judge_extra(output) for key, output in answers.items() if key not in recorded]
    if not outputs and not reason:
        reason = "nothing was compared: neither run has an output"
    return Verdict(
        run=run,
        repeated_by=repeated_by,
        outputs=tuple(sorted(outputs, key=lambda output: (output.path, output.name))),
        judged=judged,
        reason=reason,
    )


def _judge_output(
    expected: RecordedOutput, found: RecordedOutput | None, open_expected: OpenExpected, open_found: OpenFound
) -> OutputVerdict:
    if found is None:
        comparison = _say_missing(expected)
    elif found.digest == expected.digest:
        comparison = _say_same_digest(expected)
    else:
        comparison = compare_files(
            expected.rule.rule,
            expected.rule.options,
            expected=open_expected(expected.digest),
            found=open_found(found),
        )
    return OutputVerdict(
        name=expected.name,
        path=expected.path,
        comparison=comparison,
        expected=expected.digest,
        found=found.digest if found else None,
    )


def _say_missing(expected: RecordedOutput) -> Comparison:
    return Comparison(
        grade=Grade.MISSING,
        rule=expected.rule.rule,
        explanation=f"the repeated run did not give output {expected.name!r} ({expected.path})",
    )


def _say_same_digest(expected: RecordedOutput) -> Comparison:
    return Comparison(
        grade=Grade.IDENTICAL,
        rule=expected.rule.rule,
        explanation=f"the same bytes ({expected.size}), {expected.digest}",
        measures={"bytes_compared": expected.size},
    )


def _judge_extra(found: RecordedOutput) -> OutputVerdict:
    extra = Difference(place=found.path, expected=None, found=f"a file of {found.size} bytes")
    comparison = Comparison(
        grade=Grade.DIFFERENT,
        rule=NO_RULE,
        explanation=f"output {found.name!r} ({found.path}) is one that the recorded run did not give",
        differences=(extra,),
        differences_total=1,
    )
    return OutputVerdict(name=found.name, path=found.path, comparison=comparison, found=found.digest)


def _output_to_json(output: OutputVerdict) -> dict[str, object]:
    comparison = output.comparison
    return {
        "name": output.name,
        "path": output.path,
        "expected": output.expected,
        "found": output.found,
        "grade": comparison.grade.value,
        "rule": comparison.rule,
        "explanation": comparison.explanation,
        "differences": [_difference_to_json(difference) for difference in comparison.differences],
        "differences_total": comparison.differences_total,
        "measures": dict(comparison.measures),
    }


def _difference_to_json(difference: Difference) -> dict[str, object]:
    return {
        "place": difference.place,
        "expected": difference.expected,
        "found": difference.found,
        "absolute": difference.absolute,
        "relative": difference.relative,
    }


def verdict_from_bytes(content: bytes) -> Verdict:
    """The verdict in canonical JSON; raises `VerdictInvalid` where it is none."""
    try:
        value = json.loads(content)
    except ValueError as error:
        raise _invalid(f"not a verdict: {error}") from error
    if not isinstance(value, dict):
        raise _invalid(f"not a verdict: expected a mapping, found {type(value).__name__}")
    return verdict_from_json(value)


def verdict_from_json(value: Mapping[str, object]) -> Verdict:
    """The verdict that `Verdict.to_json` wrote; raises `VerdictInvalid` naming what is wrong."""
    if value.get("format") != FORMAT:
        raise _invalid(f"verdict of format {value.get('format')!r}: this Thaw reads format {FORMAT}")
    try:
        verdict = Verdict(
            run=_text(value, "run"),
            repeated_by=_text(value, "repeated_by"),
            outputs=tuple(_output_from_json(item) for item in _list(value, "outputs")),
            judged=parse_time(_text(value, "judged")),
            reason=_text(value, "reason"),
        )
    except (KeyError, TypeError, ValueError, DigestMismatch) as error:
        raise _invalid(f"not a verdict: {error!r}") from error
    if value.get("grade") != verdict.grade:
        raise _invalid(f"the verdict says {value.get('grade')!r}, its outputs give {verdict.grade.value!r}")
    return verdict


def _invalid(message: str) -> VerdictInvalid:
    return VerdictInvalid(message, hint="check the vault: thaw vault audit")


def _output_from_json(item: Mapping[str, object]) -> OutputVerdict:
    comparison = Comparison(
        grade=Grade(_text(item, "grade")),
        rule=_text(item, "rule"),
        explanation=_text(item, "explanation"),
        differences=tuple(_difference_from_json(entry) for entry in _list(item, "differences")),
        differences_total=_whole(item, "differences_total"),
        measures=_measures(item["measures"]),
    )
    return OutputVerdict(
        name=_text(item, "name"),
        path=_text(item, "path"),
        comparison=comparison,
        expected=_digest(item["expected"]),
        found=_digest(item["found"]),
    )


def _difference_from_json(entry: Mapping[str, object]) -> Difference:
    return Difference(
        place=_text(entry, "place"),
        expected=_text(entry, "expected") if entry["expected"] is not None else None,
        found=_text(entry, "found") if entry["found"] is not None else None,
        absolute=_number(entry["absolute"]) if entry["absolute"] is not None else None,
        relative=_number(entry["relative"]) if entry["relative"] is not None else None,
    )


def _digest(value: object) -> Digest | None:
    return None if value is None else parse_digest(str(value))


def _text(value: Mapping[str, object], key: str) -> str:
    text = value[key]
    if not isinstance(text, str):
        raise TypeError(f"{key} is no text")
    return text


def _whole(value: Mapping[str, object], key: str) -> int:
    number = value[key]
    if not isinstance(number, int):
        raise TypeError(f"{key} is no whole number")
    return number


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is no number")
    return value


def _list(value: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    items = value[key]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise TypeError(f"{key} is no list of mappings")
    return items


def _measures(value: object) -> dict[str, float]:
    if not isinstance(value, dict):
        raise TypeError("measures is no mapping")
    return {str(name): _number(number) for name, number in value.items()}
