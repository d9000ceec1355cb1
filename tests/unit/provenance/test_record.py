from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType

import pytest

from provenance.digest import canonical_json
from provenance.errors import RecordInvalid
from provenance.record import RunState, format_time, parse_time, record_from_bytes

REPOSITORY = Path(__file__).parents[3]
GOLDEN = (REPOSITORY / "tests/golden/record-format-1.json").read_bytes()
GOLDEN_DIGEST = "sha256:4a9749f223ab4e31241375ea04cce8bb0f00e95742f15351b0c5d0f0a4105eb4"
RECORD = record_from_bytes(GOLDEN)


def test_a_record_of_format_1_stays_readable_under_its_digest() -> None:
    assert (RECORD.run, RECORD.digest) == ("20261120-154949-k3f9", GOLDEN_DIGEST)


def test_a_record_is_written_as_it_was_read() -> None:
    assert RECORD.to_bytes() == GOLDEN


def test_a_record_read_from_format_1_has_every_value_in_its_place() -> None:
    (scenario,), (power,) = RECORD.inputs, RECORD.outputs
    assert (scenario.dataset, scenario.files, scenario.mount) == (
        "eps-bepicolombo-2015@1",
        11,
        "/in/scenario",
    )
    assert (power.path, power.rule.rule, power.rule.options["delimiter"]) == (
        "eps_output/power_avg.out",
        "table",
        ",",
    )
    assert RECORD.parameters == {
        "end": None, "margin": 0.5, "start": "2015-07-21T06:30:00Z", "time_step": 60, "verbose": False,
    }  # fmt: skip
    assert RECORD.job.command == ("python3", "/thaw/script")
    assert RECORD.started == datetime(2026, 11, 20, 15, 49, 49, 151_000, UTC)


def test_a_run_that_never_started_has_a_record_too() -> None:
    refused = replace(
        RECORD, started=None, exit_status=None, log=None, observed=None, repeats=None, outputs=()
    )
    assert record_from_bytes(refused.to_bytes()) == refused


def test_a_record_may_be_made_of_read_only_mappings() -> None:
    parameters = MappingProxyType(dict(RECORD.parameters))
    assert replace(RECORD, parameters=parameters).digest == RECORD.digest


def test_the_digest_does_not_depend_on_the_time_zone_a_time_was_given_in() -> None:
    summer_time = RECORD.ended.astimezone(timezone(timedelta(hours=2)))
    assert replace(RECORD, ended=summer_time).digest == RECORD.digest


@pytest.mark.parametrize("key", sorted(json.loads(GOLDEN)))
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(RecordInvalid, match=f"key '{key}' is missing"):
        record_from_bytes(_changed(lambda value: value.pop(key)))


@pytest.mark.parametrize(
    ("path", "wrong", "named"),
    [
        (("run",), 7, "key 'run' is 7: expected a text"),
        (("exit_status",), "0", "key 'exit_status' is '0': expected a whole number"),
        (("exit_status",), True, "key 'exit_status' is True: expected a whole number"),
        (("inputs",), {}, "key 'inputs' is {}: expected a list"),
        (("outputs", 0, "size"), 1.5, "key 'outputs[0].size' is 1.5: expected a whole number"),
        (("outputs", 0, "digest"), "sha256:12", "key 'outputs[0].digest': 'sha256:12' is not a digest"),
        (("outputs", 0, "rule"), None, "key 'outputs[0].rule' is None: expected an object"),
        (("job", "network"), 0, "key 'job.network' is 0: expected true or false"),
        (("job", "environment", "HOME"), None, "key 'job.environment.HOME' is None: expected a text"),
        (("job", "command", 1), 5, "key 'job.command[1]' is 5: expected a text"),
        (("job", "limits", "cpus"), "two", "key 'job.limits.cpus' is 'two': expected a number"),
        (("state",), "executing", "key 'state' is 'executing': expected one of completed, failed"),
        (("ended",), "yesterday", "key 'ended' is 'yesterday': expected a time like"),
        (("ended",), "2026-11-20T15:49:49Z", "expected a time like"),
        (("lock",), "bookworm", "key 'lock': 'bookworm' is not a digest"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_key(path: tuple[str | int, ...], wrong: object, named: str) -> None:
    with pytest.raises(RecordInvalid, match=re.escape(named)):
        record_from_bytes(_changed(lambda value: _put(value, path, wrong)))


@pytest.mark.parametrize("path", [("colour",), ("job", "colour"), ("inputs", 0, "colour")])
def test_an_unknown_key_is_refused_for_it_would_change_the_digest(path: tuple[str | int, ...]) -> None:
    with pytest.raises(RecordInvalid, match=r"unknown key '(job\.|inputs\[0\]\.)?colour'"):
        record_from_bytes(_changed(lambda value: _put(value, path, "red")))


def test_a_record_of_a_later_format_says_which() -> None:
    with pytest.raises(RecordInvalid, match="record of format 2: this Thaw reads format 1"):
        record_from_bytes(_changed(lambda value: _put(value, ("format",), 2)))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"[]", b"null", b'"record"', GOLDEN[:-40]])
def test_what_is_no_record_is_refused(content: bytes) -> None:
    with pytest.raises(RecordInvalid, match="not a record of format 1"):
        record_from_bytes(content)


def test_a_record_in_other_words_is_not_the_record() -> None:
    with pytest.raises(RecordInvalid, match="not canonical"):
        record_from_bytes(json.dumps(json.loads(GOLDEN), indent=1).encode())


@pytest.mark.parametrize("text", ["2026-11-20T15:49:49.000000Z", "0999-01-01T00:00:00.000001Z"])
def test_a_time_is_read_as_it_is_written(text: str) -> None:
    assert format_time(parse_time(text)) == text


@pytest.mark.parametrize(
    "text", ["2026-11-20", "2026-11-20T15:49:49.000000+01:00", "2026-11-20 15:49:49.000000Z"]
)
def test_a_time_in_another_notation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|isoformat"):
        parse_time(text)


def test_a_final_state_is_never_left() -> None:
    final = [state for state in RunState if state.is_final()]
    assert len(final) == 6
    assert not [(state, later) for state in final for later in RunState if state.may_become(later)]


def test_only_what_was_executed_can_be_completed() -> None:
    assert [state for state in RunState if state.may_become(RunState.COMPLETED)] == [RunState.EXECUTING]


def test_who_asked_and_where_an_answer_came_from_are_kept_and_else_left_out() -> None:
    answered = replace(RECORD, user="ada", answered_from="20261119-101010-abcd")
    assert record_from_bytes(answered.to_bytes()) == answered
    assert {"user", "answered_from"} & set(json.loads(RECORD.to_bytes())) == set()
    described = (REPOSITORY / "docs/record-format.md").read_text()
    assert "`user`" in described and "`answered_from`" in described


def test_every_key_of_the_format_is_described() -> None:
    described = (REPOSITORY / "docs/record-format.md").read_text()
    keys = set(json.loads(GOLDEN)) | set(json.loads(GOLDEN)["job"])
    assert [key for key in sorted(keys) if f"`{key}`" not in described] == []


def _changed(change: Callable[[dict[str, object]], object]) -> bytes:
    value = json.loads(GOLDEN)
    change(value)
    return canonical_json(value)


def _put(value: object, path: tuple[str | int, ...], wrong: object) -> None:
    for step in path[:-1]:
        assert isinstance(value, (dict, list))
        value = value[step]  # type: ignore[index]  # a path into JSON: keys of objects, numbers of lists
    assert isinstance(value, (dict, list))
    value[path[-1]] = wrong  # type: ignore[index]  # as above
