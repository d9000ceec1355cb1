"""The immutable account of a finished run, format 1: canonical JSON in the vault (docs/record-format.md)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from provenance.digest import Digest, canonical_json, digest_bytes
from provenance.errors import RecordInvalid
from provenance.reader import Reader, WrongShape

FORMAT = 1


class RunState(StrEnum):
    """Where a run stands. Everything after EXECUTING is final and has a record."""

    PENDING = "pending"
    QUEUED = "queued"
    EXECUTING = "executing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"
    OUT_OF_MEMORY = "out-of-memory"
    INTERRUPTED = "interrupted"

    def is_final(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self not in _NEXT

    def may_become(self, later: RunState) -> bool:
        """Whether a run in this state may be put into state `later`. The one place that says so."""
        return later in _NEXT.get(self, frozenset())


_LEFT_OUT_WHEN_NONE = ("user", "answered_from")

_GIVEN_UP = frozenset({RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED})
"""How a run may end that was never executed: refused, called off, or left behind by a dead process."""

_NEXT: Mapping[RunState, frozenset[RunState]] = {
    RunState.PENDING: _GIVEN_UP | {RunState.QUEUED, RunState.EXECUTING},
    RunState.QUEUED: _GIVEN_UP | {RunState.EXECUTING},
    RunState.EXECUTING: _GIVEN_UP | {RunState.COMPLETED, RunState.TIMED_OUT, RunState.OUT_OF_MEMORY},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The rule an output is judged by, with its options as in the recipe."""

    rule: str = "bytes"
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedInput:
    """A dataset a run was given: the digest is that of the tree, `mount` the path the program saw."""

    name: str
    dataset: str
    digest: Digest
    files: int
    size: int
    mount: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedOutput:
    """One file a run gave. `name` is the output's in the thread, `path` is relative to the output folder."""

    name: str
    path: str
    digest: Digest
    size: int
    media_type: str
    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedJob:
    """What was executed, so completely that it can be executed again without the recipe."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    script: Digest | None
    working_dir: str
    uid: int
    limits: Mapping[str, float]
    network: bool
    writable_root: bool
    capabilities: tuple[str, ...]
    outputs: tuple[Mapping[str, object], ...]
    success: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A finished run. `id` is not part of it: a record is named by the digest of its canonical JSON.

    `user` asked for it, where the service knows. `answered_from` is the run whose outputs this one was given
    instead of being executed. Both keys are left out where they are None: older records have none.
    """

    run: str
    kind: str
    recipe: str
    recipe_digest: Digest
    lock: Digest
    image: str
    thread: str
    parameters: Mapping[str, object]
    inputs: tuple[RecordedInput, ...]
    outputs: tuple[RecordedOutput, ...]
    job: RecordedJob
    state: RunState
    exit_status: int | None
    message: str
    submitted: datetime
    started: datetime | None
    ended: datetime
    log: Digest | None
    resources: Mapping[str, float | None]
    host: Mapping[str, object]
    software: Mapping[str, str]
    observed: Mapping[str, object] | None = None
    repeats: str | None = None
    user: str | None = None
    answered_from: str | None = None

    @property
    def digest(self) -> Digest:
        """What names this record."""
        return digest_bytes(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The record as canonical JSON with `"format": 1`."""
        fields = _fields_to_json(self)
        for key in _LEFT_OUT_WHEN_NONE:
            if fields[key] is None:
                del fields[key]
        return canonical_json({"format": FORMAT, **fields})


def record_from_bytes(content: bytes) -> Record:
    """The record in `content`; raises `RecordInvalid` naming the key that is wrong.

    A record that is read gives the same bytes again: its digest does not depend on the Thaw that read it.
    """
    record = _read(content)
    if record.to_bytes() != content:
        raise _invalid("its JSON is not canonical: expected sorted keys, no spaces, UTF-8")
    return record


def format_time(time: datetime) -> str:
    """UTC with microseconds, as `2026-11-20T15:49:49.000000Z`: as times are kept, sorted and published."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """The aware UTC time `format_time` wrote; raises `ValueError` for a time in any other notation."""
    # fromisoformat is 30 times as fast as strptime, and a list of runs has thousands of times.
    time = datetime.fromisoformat(text)
    if format_time(time) != text:
        raise ValueError(f"{text!r} is not a time as 2026-11-20T15:49:49.000000Z")
    return time


def to_json(value: object) -> object:
    """A value of a record as plain JSON data: dataclasses become objects, times UTC text, tuples lists."""
    if isinstance(value, datetime):
        return format_time(value)
    if dataclasses.is_dataclass(value):
        return _fields_to_json(value)
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    return value


def _fields_to_json(value: object) -> dict[str, object]:
    names = getattr(value, "__dataclass_fields__", {})
    return {name: to_json(getattr(value, name)) for name in names}


def _invalid(reason: str) -> RecordInvalid:
    return RecordInvalid(
        f"not a record of format {FORMAT}: {reason}", hint="check the vault: thaw vault audit"
    )


def _read(content: bytes) -> Record:
    try:
        reader = Reader(json.loads(content))
        _check_format(reader)
        with reader:
            return _record(reader)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise _invalid(f"it is not JSON ({error})") from error
    except WrongShape as error:
        raise _invalid(str(error)) from error


def _check_format(reader: Reader) -> None:
    found = reader.whole("format")
    if found != FORMAT:
        raise RecordInvalid(
            f"record of format {found}: this Thaw reads format {FORMAT}",
            hint="update Thaw: a newer Thaw reads every older format",
        )


def _record(reader: Reader) -> Record:
    return Record(
        run=reader.text("run"),
        kind=reader.text("kind"),
        recipe=reader.text("recipe"),
        recipe_digest=reader.digest("recipe_digest"),
        lock=reader.digest("lock"),
        image=reader.text("image"),
        thread=reader.text("thread"),
        parameters=reader.mapping("parameters"),
        inputs=tuple(_input(item) for item in reader.readers("inputs")),
        outputs=tuple(_output(item) for item in reader.readers("outputs")),
        job=_job(reader.reader("job")),
        state=_state(reader),
        exit_status=reader.optional(reader.whole, "exit_status"),
        message=reader.text("message"),
        submitted=_time(reader, "submitted"),
        started=_time(reader, "started") if reader.has("started") else None,
        ended=_time(reader, "ended"),
        log=reader.optional(reader.digest, "log"),
        resources=reader.optional_numbers("resources"),
        host=reader.mapping("host"),
        software=reader.texts_by_key("software"),
        observed=reader.optional(reader.mapping, "observed"),
        repeats=reader.optional(reader.text, "repeats"),
        user=reader.text("user") if reader.may_have("user") else None,
        answered_from=reader.text("answered_from") if reader.may_have("answered_from") else None,
    )


def _input(reader: Reader) -> RecordedInput:
    with reader:
        return RecordedInput(
            name=reader.text("name"),
            dataset=reader.text("dataset"),
            digest=reader.digest("digest"),
            files=reader.whole("files"),
            size=reader.whole("size"),
            mount=reader.text("mount"),
        )


def _output(reader: Reader) -> RecordedOutput:
    with reader:
        return RecordedOutput(
            name=reader.text("name"),
            path=reader.text("path"),
            digest=reader.digest("digest"),
            size=reader.whole("size"),
            media_type=reader.text("media_type"),
            rule=_rule(reader.reader("rule")),
        )


def _rule(reader: Reader) -> Rule:
    with reader:
        return Rule(rule=reader.text("rule"), options=reader.mapping("options"))


def _job(reader: Reader) -> RecordedJob:
    with reader:
        return RecordedJob(
            command=reader.texts("command"),
            environment=reader.texts_by_key("environment"),
            script=reader.optional(reader.digest, "script"),
            working_dir=reader.text("working_dir"),
            uid=reader.whole("uid"),
            limits=reader.numbers("limits"),
            network=reader.truth("network"),
            writable_root=reader.truth("writable_root"),
            capabilities=reader.texts("capabilities"),
            outputs=reader.mappings("outputs"),
            success=reader.mapping("success"),
        )


def _state(reader: Reader) -> RunState:
    found = reader.text("state")
    final = [state.value for state in RunState if state.is_final()]
    if found not in final:
        raise WrongShape(f"key 'state' is {found!r}: expected one of {', '.join(final)}")
    return RunState(found)


def _time(reader: Reader, key: str) -> datetime:
    found = reader.text(key)
    try:
        return parse_time(found)
    except ValueError as error:
        raise WrongShape(
            f"key {key!r} is {found!r}: expected a time like 2026-11-20T15:49:49.000000Z"
        ) from error
