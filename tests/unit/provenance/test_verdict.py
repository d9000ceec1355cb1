from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provenance.compare import Comparison, Grade
from provenance.digest import Digest, digest_bytes
from provenance.errors import ObjectMissing
from provenance.record import RecordedOutput, Rule
from provenance.verdict import Verdict, VerdictInvalid, judge, verdict_from_bytes, verdict_from_json

NOW = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
POWER = b"# Generation Time: 16:31:15\nt,BELA\n1,13.470\n"
MODES = b"SCAN\nOFF\n"
TEXT = Rule(rule="text", options={"ignore": ["# Generation Time:.*"]})


class Outputs:
    """Outputs of two runs, kept by digest as a vault does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[Digest] = []

    def keep(self, name: str, content: bytes, rule: Rule = TEXT) -> RecordedOutput:
        digest = digest_bytes(content)
        (self.folder / digest).write_bytes(content)
        return RecordedOutput(
            name=name,
            path=f"eps_output/{name}.out",
            digest=digest,
            size=len(content),
            media_type="text/plain",
            rule=rule,
        )

    def open(self, digest: Digest) -> Path:
        self.opened.append(digest)
        if not (self.folder / digest).exists():
            raise ObjectMissing(f"the vault has no {digest}")
        return self.folder / digest

    def judge(self, expected: list[RecordedOutput], found: list[RecordedOutput], reason: str = "") -> Verdict:
        return judge(
            expected,
            found,
            run="20261120-154949-k3f9",
            repeated_by="20261120-160000-aaaa",
            judged=NOW,
            open_expected=self.open,
            open_found=lambda output: self.open(output.digest),
            reason=reason,
        )


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def test_equal_digests_are_identical_and_no_file_is_opened(outputs: Outputs) -> None:
    verdict = outputs.judge([outputs.keep("modes", MODES)], [outputs.keep("modes", MODES)])
    assert (verdict.grade, outputs.opened) == (Grade.IDENTICAL, [])
    assert verdict.outputs[0].explanation.startswith("the same bytes (9), sha256:")


def test_an_output_is_judged_by_the_rule_in_the_record(outputs: Outputs) -> None:
    again = outputs.keep("power", POWER.replace(b"31:15", b"31:17"), rule=Rule())
    verdict = outputs.judge([outputs.keep("power", POWER)], [again])
    assert str(verdict.outputs[0]) == (
        "eps_output/power.out: identical by rule text: "
        "identical but for 1 ignored line: # Generation Time: 16:31:15"
    )


def test_the_worst_output_decides_and_its_place_and_size_are_named(outputs: Outputs) -> None:
    table = Rule(rule="table", options={"comment": "#"})
    expected = [outputs.keep("modes", MODES), outputs.keep("power", POWER, table)]
    found = [outputs.keep("power", POWER.replace(b"13.470", b"13.570")), outputs.keep("modes", MODES)]
    verdict = outputs.judge(expected, found)
    assert (verdict.grade, [output.grade for output in verdict.outputs]) == (
        Grade.DIFFERENT,
        [Grade.IDENTICAL, Grade.DIFFERENT],
    )
    assert str(verdict.outputs[1]) == (
        "eps_output/power.out: different by rule table: 1 of 2 values differs; "
        "row 1 (1), column BELA: expected 13.470, found 13.570 (+0.1, 0.74 %)"
    )


def test_a_tolerance_makes_the_verdict_equivalent(outputs: Outputs) -> None:
    table = Rule(rule="table", options={"comment": "#", "atol": 0.1})
    verdict = outputs.judge(
        [outputs.keep("power", POWER, table)], [outputs.keep("power", POWER.replace(b"13.470", b"13.570"))]
    )
    assert (verdict.grade, verdict.grade.is_repeated()) == (Grade.EQUIVALENT, True)


def test_an_output_that_did_not_come_is_missing_and_outweighs_all(outputs: Outputs) -> None:
    expected = [outputs.keep("modes", MODES), outputs.keep("power", POWER)]
    verdict = outputs.judge(expected, [outputs.keep("modes", b"SCAN\n")])
    assert (verdict.grade, verdict.outputs[1].found) == (Grade.MISSING, None)
    assert verdict.outputs[1].explanation == (
        "the repeated run did not give output 'power' (eps_output/power.out)"
    )


def test_an_output_more_is_different_and_named(outputs: Outputs) -> None:
    verdict = outputs.judge([], [outputs.keep("modes", MODES)])
    assert (verdict.grade, verdict.outputs[0].expected) == (Grade.DIFFERENT, None)
    assert verdict.outputs[0].explanation == (
        "output 'modes' (eps_output/modes.out) is one that the recorded run did not give"
    )


def test_the_order_of_outputs_does_not_matter(outputs: Outputs) -> None:
    both = [outputs.keep("modes", MODES), outputs.keep("power", POWER)]
    assert outputs.judge(both, both[::-1]) == outputs.judge(both[::-1], both)


def test_one_file_may_be_two_outputs_each_with_its_rule(outputs: Outputs) -> None:
    power = outputs.keep("power", POWER)
    again = outputs.keep("power", POWER.replace(b"31:15", b"31:17"))
    expected = [power, replace(power, name="tables", rule=Rule())]
    verdict = outputs.judge(expected, [again, replace(again, name="tables")])
    assert [output.grade for output in verdict.outputs] == [Grade.IDENTICAL, Grade.DIFFERENT]


def test_a_repetition_that_failed_is_different_whatever_its_outputs_say(outputs: Outputs) -> None:
    modes = [outputs.keep("modes", MODES)]
    verdict = outputs.judge(modes, modes, reason="the repeated run failed: exit status 1")
    assert (verdict.grade, verdict.outputs[0].grade) == (Grade.DIFFERENT, Grade.IDENTICAL)


def test_a_run_without_outputs_proves_nothing(outputs: Outputs) -> None:
    verdict = outputs.judge([], [])
    assert (verdict.grade, verdict.reason) == (
        Grade.DIFFERENT,
        "nothing was compared: neither run has an output",
    )


def test_a_recorded_output_that_is_gone_from_the_vault_is_an_error(outputs: Outputs) -> None:
    power = outputs.keep("power", POWER)
    (outputs.folder / power.digest).unlink()
    with pytest.raises(ObjectMissing):
        outputs.judge([power], [outputs.keep("power", b"other")])


def make_verdict(outputs: Outputs) -> Verdict:
    table = Rule(rule="table", options={"comment": "#"})
    expected = [outputs.keep("power", POWER, table), outputs.keep("modes", MODES)]
    return outputs.judge(expected, [outputs.keep("power", POWER.replace(b"13.470", b"13.570"))])


def test_a_verdict_is_read_as_it_was_written(outputs: Outputs) -> None:
    verdict = make_verdict(outputs)
    again = verdict_from_bytes(verdict.to_bytes())
    assert (again, again.digest) == (verdict, verdict.digest)


def test_a_verdict_is_canonical_json_with_a_format(outputs: Outputs) -> None:
    verdict = make_verdict(outputs)
    value = json.loads(verdict.to_bytes())
    assert (value["format"], value["grade"], value["judged"]) == (
        1,
        "missing",
        "2026-11-20T16:00:00.000000Z",
    )
    assert value["outputs"][1]["differences"] == [
        {
            "absolute": pytest.approx(0.1),
            "expected": "13.470",
            "found": "13.570",
            "place": "row 1 (1), column BELA",
            "relative": pytest.approx(0.1 / 13.47),
        }
    ]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("format", 2, "verdict of format 2: this Thaw reads format 1"),
        ("run", None, "run is no text"),
        ("judged", "yesterday", "not a verdict: ValueError"),
        ("outputs", [{"name": "power"}], "KeyError"),
        ("grade", "identical", "the verdict says 'identical', its outputs give 'missing'"),
    ],
)
def test_what_is_no_verdict_is_refused(outputs: Outputs, key: str, value: object, words: str) -> None:
    with pytest.raises(VerdictInvalid, match=words):
        verdict_from_json({**make_verdict(outputs).to_json(), key: value})


def test_bytes_that_are_no_json_are_no_verdict() -> None:
    for content in (b"\xff", b"[]", b"{"):
        with pytest.raises(VerdictInvalid):
            verdict_from_bytes(content)


def test_grades_are_ordered_from_identical_to_missing() -> None:
    comparison = Comparison(grade=Grade.MISSING, rule="bytes", explanation="")
    assert sorted(Grade, key=lambda grade: grade.severity) == [
        Grade.IDENTICAL,
        Grade.EQUIVALENT,
        Grade.DIFFERENT,
        comparison.grade,
    ]
