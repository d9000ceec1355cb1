"""What a request asks of a service, read from its query or form. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from instantiator.queue.model import Phase, phase_of
from instantiator.recipe.model import Thread
from instantiator.recipe.parameters import BOOLEAN_WORDS
from provenance.errors import ThawError
from provenance.record import RunState

PHASES = frozenset({*(phase.value for phase in Phase), "HELD", "SUSPENDED", "UNKNOWN", "ARCHIVED"})
"""All phases UWS knows; no job here is ever in the last four."""

_CONTROLS = frozenset(
    {"PHASE", "RUNID", "UPLOAD", "EXECUTIONDURATION", "DESTRUCTION", "FRESH", "RESPONSEFORMAT"}
)
Pairs = Sequence[tuple[str, str]]


class RequestInvalid(ThawError):
    """The request is not as UWS has it."""

    code = "request-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which jobs a list shows. `states` None is all, an empty one none."""

    states: tuple[RunState, ...] | None = None
    after: datetime | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """How long a client waits for a change of phase, and from which phase."""

    seconds: float
    phase: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A job asked for. `uploads` says for each input in which parts of the form its files are."""

    datasets: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    uploads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    run: bool = False
    fresh: bool = False
    label: str = ""
    time_limit_s: int | None = None
    destruction: datetime | None = None


def read_filter(pairs: Pairs) -> Filter:
    """PHASE (any number of them), AFTER and LAST; all have to hold."""
    phases = {_phase(value) for value in _all(pairs, "PHASE")}
    after, last = _one(pairs, "AFTER"), _one(pairs, "LAST")
    states = tuple(state for state in RunState if phase_of(state).value in phases) if phases else None
    return Filter(
        states=states,
        after=read_time("AFTER", after) if after is not None else None,
        last=_whole("LAST", last, least=1) if last is not None else None,
    )


def read_wait(pairs: Pairs, *, longest_s: float) -> Wait | None:
    """WAIT and PHASE; a negative WAIT is as long as the service lets anybody wait."""
    wait, phase = _one(pairs, "WAIT"), _one(pairs, "PHASE")
    if wait is None:
        return None
    try:
        seconds = float(wait)
    except ValueError:
        seconds = float("nan")
    if seconds != seconds:
        raise _wrong("WAIT", "a number of seconds, -1 for as long as possible", wait)
    capped = longest_s if seconds < 0 else min(seconds, longest_s)
    return Wait(seconds=capped, phase=_phase(phase) if phase is not None else None)


def read_job(pairs: Pairs, thread: Thread) -> Asked:
    """The job a form asks for. Names are read as DALI has it, whatever their case; a thread's own come first."""
    inputs = {item.name for item in thread.inputs}
    own = {name.casefold(): name for name in (*(item.name for item in thread.parameters), *inputs)}
    datasets: dict[str, str] = {}
    parameters: dict[str, str] = {}
    controls: list[tuple[str, str]] = []
    for key, value in pairs:
        exact = key in own.values()
        if not exact and key.upper() in _CONTROLS:
            controls.append((key, value))
            continue
        name = key if exact else own.get(key.casefold(), key)
        target = datasets if name in inputs else parameters
        if name in target:
            raise RequestInvalid(f"{name!r} is given twice", hint="give each parameter once")
        target[name] = value
    return _with_controls(controls, datasets, parameters, inputs)


def read_time(name: str, text: str) -> datetime:
    """A time in ISO 8601; UTC where it does not say."""
    try:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _wrong(name, "a time in UTC such as 2026-11-20T12:00:00Z", text) from error


def read_duration(text: str) -> int | None:
    """Seconds a job may take; 0, which is unlimited in UWS, gives None: as long as the thread may."""
    return _whole("EXECUTIONDURATION", text, least=0) or None


def read_control(pairs: Pairs, name: str) -> str:
    """The one value of a parameter that has to be there."""
    found = _one(pairs, name)
    if found is None:
        raise RequestInvalid(f"the form has no {name}", hint=f"send {name}=... as a form")
    return found


def _with_controls(
    controls: Pairs, datasets: Mapping[str, str], parameters: Mapping[str, str], inputs: Iterable[str]
) -> Asked:
    phase, fresh = _one(controls, "PHASE"), _one(controls, "FRESH") or "false"
    if phase not in (None, "RUN"):
        raise _wrong("PHASE", "RUN, or none for a job that is started later", phase or "")
    if fresh.lower() not in BOOLEAN_WORDS:
        raise _wrong("FRESH", "true or false", fresh)
    duration, destruction = _one(controls, "EXECUTIONDURATION"), _one(controls, "DESTRUCTION")
    uploads = _uploads(_all(controls, "UPLOAD"), inputs)
    both = sorted(set(uploads) & set(datasets))
    if both:
        raise RequestInvalid(f"input {both[0]!r} is given by name and as an upload", hint="give it once")
    return Asked(
        datasets=datasets,
        parameters=parameters,
        uploads=uploads,
        run=phase == "RUN",
        fresh=BOOLEAN_WORDS[fresh.lower()],
        label=_one(controls, "RUNID") or "",
        time_limit_s=read_duration(duration) if duration is not None else None,
        destruction=read_time("DESTRUCTION", destruction) if destruction is not None else None,
    )


def _uploads(values: Iterable[str], inputs: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """`UPLOAD=input,param:part`, repeated or joined by `;`. Several files of one input are a folder."""
    known = {name.casefold(): name for name in inputs}
    found: dict[str, tuple[str, ...]] = {}
    for item in (item.strip() for value in values for item in value.split(";")):
        name, _, uri = item.partition(",")
        if name.strip().casefold() not in known:
            raise _wrong(
                "UPLOAD", f"INPUT,param:PART with an input of {', '.join(known.values()) or 'none'}", item
            )
        kind, _, part = uri.strip().partition(":")
        if kind.lower() != "param" or not part:
            raise RequestInvalid(
                f"UPLOAD has to be INPUT,param:PART, found {item[:200]!r}",
                hint="send the file in the same form; a file at an address is registered first, with its sha256",
            )
        own = known[name.strip().casefold()]
        found[own] = (*found.get(own, ()), part)
    return found


def _phase(text: str) -> str:
    if text.upper() not in PHASES:
        raise _wrong("PHASE", f"one of {', '.join(sorted(PHASES))}", text)
    return text.upper()


def _whole(name: str, text: str, *, least: int) -> int:
    if text.strip().isdecimal() and len(text.strip()) < 10 and int(text) >= least:
        return int(text)
    raise _wrong(name, f"a whole number from {least} on", text)


def _all(pairs: Pairs, name: str) -> list[str]:
    return [value for key, value in pairs if key.upper() == name]


def _one(pairs: Pairs, name: str) -> str | None:
    found = _all(pairs, name)
    if len(found) > 1:
        raise RequestInvalid(f"{name} is given {len(found)} times", hint="give it once")
    return found[0] if found else None


def _wrong(name: str, expected: str, found: str) -> RequestInvalid:
    return RequestInvalid(f"{name} has to be {expected}, found {found[:200]!r}", hint="docs/uws.md")
