"""Runs: submit, look, list, cancel, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from instantiator.client.actions import Flow, Pause, Reply, Request, Tell
from instantiator.client.errors import OutputWrong, RemoteError
from instantiator.client.flows.asking import ROOT, ask, error_from, get
from instantiator.client.flows.uploading import upload
from instantiator.client.models import (
    OutputFile,
    RunStatus,
    VerdictEntry,
    items_of,
    read_json,
    read_status,
    read_values,
)
from instantiator.client.notebook import Shown
from provenance.digest import digest_bytes
from provenance.record import RunState, format_time

LOOK_S = 0.5
PREVIEWED = 6
LONG_S = 600.0
PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What runs are asked for; empty asks for all of one's own. `everybody` is for operators."""

    state: RunState | None = None
    recipe: str | None = None
    thread: str | None = None
    after: datetime | None = None
    everybody: bool = False

    def query(self) -> list[tuple[str, str]]:
        """As the service takes it."""
        given = {
            "state": self.state.value if self.state else None,
            "recipe": self.recipe,
            "thread": self.thread,
            "after": format_time(self.after) if self.after else None,
            "everybody": "true" if self.everybody else None,
        }
        return [(key, value) for key, value in given.items() if value is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitting:
    """A run to be submitted; the key makes it safe to send twice."""

    recipe: str
    thread: str
    key: str
    datasets: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    fresh: bool = False
    label: str = ""


def submit(asked: Submitting) -> Flow[RunStatus]:
    """Submit a run; a lost answer does not run it twice."""
    body = {
        "recipe": asked.recipe,
        "thread": asked.thread,
        "datasets": dict(asked.datasets),
        "parameters": dict(asked.parameters),
        "fresh": asked.fresh,
        "label": asked.label,
    }
    request = Request(
        method="POST",
        path=f"{ROOT}/runs",
        json=body,
        headers={"Idempotency-Key": asked.key},
        timeout_s=LONG_S,
    )
    return _status((yield from ask(request)))


def start(asked: Submitting, datasets: Mapping[str, str | Path]) -> Flow[RunStatus]:
    """Submit a run; datasets given as paths are brought there first (telling `Sent`), others are names."""
    named: dict[str, str] = {}
    for name, item in datasets.items():
        named[name] = (yield from upload(item, described={})).dataset if isinstance(item, Path) else item
    return (yield from submit(replace(asked, datasets=named)))


def look(run: str) -> Flow[RunStatus]:
    """A run as it stands."""
    return _status((yield from ask(get(_path(run)))))


def cancel(run: str) -> Flow[RunStatus]:
    """Cancel a run; a finished one stays as it is."""
    return _status((yield from ask(Request(method="POST", path=f"{ROOT}{_path(run)}/cancel"))))


def each(asked: Asked, limit: int | None) -> Flow[None]:
    """Tells the runs as `RunStatus`, newest first, page by page, at most `limit`."""
    left, cursor = limit, None
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        query = [*asked.query(), ("limit", str(size)), *([("cursor", cursor)] if cursor else [])]
        page = read_json((yield from ask(get("/runs", *query))).content)
        found = items_of(page, "runs")
        for item in found:
            yield Tell(read_status(item))
        cursor = page.get("next")
        left = None if left is None else left - len(found)
        if cursor is None:
            return


def log(run: str, offset: int = 0) -> Flow[bytes]:
    """What the program printed by now, from `offset` on."""
    pieces = []
    while True:
        reply = yield from ask(get(f"{_path(run)}/log", ("offset", str(offset))))
        pieces.append(reply.content)
        offset += len(reply.content)
        if not reply.content or offset >= int(reply.headers.get("thaw-log-end", "0")):
            return b"".join(pieces)


def record(status: RunStatus) -> Flow[bytes]:
    """The record of a finished run, byte for byte; raises `OutputWrong` where it is another."""
    reply = yield from ask(get(f"{_path(status.run)}/record"))
    named = status.record or reply.headers.get("etag", "").strip('"')
    return _checked(reply.content, named, f"the record of run {status.run}")


def outputs(run: str) -> Flow[tuple[OutputFile, ...]]:
    """What a run gave."""
    reply = yield from ask(get(f"{_path(run)}/outputs"))
    return read_values(OutputFile, reply.content, "outputs")


def verdicts(run: str) -> Flow[tuple[VerdictEntry, ...]]:
    """How repetitions of a run were judged, oldest first."""
    reply = yield from ask(get(f"{_path(run)}/verdicts"))
    return read_values(VerdictEntry, reply.content, "verdicts")


def verify(run: str) -> Flow[tuple[str, bytes]]:
    """Repeat a run and judge it: digest and bytes of the verdict. Tells each of the work's steps as it ends."""
    before = {entry.verdict for entry in (yield from verdicts(run))}
    request = Request(method="POST", path=f"{ROOT}{_path(run)}/verdicts", repeatable=False)
    work = read_json((yield from ask(request)).content)
    told = 0
    while work.get("state") == "running":
        yield Pause(LOOK_S)
        work = read_json((yield from ask(get(f"/work/{quote(str(work['work']), safe='')}"))).content)
        told = yield from _tell_steps(work, told)
    if work.get("problem") is not None:
        raise error_from(work["problem"], 500, f"verify {run}")
    made = [entry for entry in (yield from verdicts(run)) if entry.verdict not in before]
    if not made:
        raise RemoteError(
            f"run {run} was repeated, and there is no verdict", code="verdict-missing", status=500
        )
    digest = made[-1].verdict
    content = (yield from ask(get(f"/verdicts/{digest}"))).content
    return digest, _checked(content, digest, f"the verdict on run {run}")


def _tell_steps(work: Mapping[str, Any], told: int) -> Flow[int]:
    steps = items_of(work, "steps")
    over = [step for step in steps if step.get("seconds") is not None and step.get("state") != "running"]
    for step in over[told:]:
        yield Tell(step)
    return len(over)


def export(run: str, form: str) -> Flow[bytes]:
    """A run for other people's tools."""
    request = Request(
        method="GET", path=f"{ROOT}{_path(run)}/export/{quote(form, safe='')}", timeout_s=LONG_S
    )
    return (yield from ask(request)).content


def shown(status: RunStatus) -> Flow[Shown]:
    """What a notebook shows of a run: its outputs, and previews of the first few."""
    if status.record is None:
        return Shown(outputs=(), previews={})
    found = yield from outputs(status.run)
    previews: dict[int, Mapping[str, Any]] = {}
    for output in found[:PREVIEWED]:
        seen = yield from _preview(status.run, output)
        if seen is not None:
            previews[output.number] = seen
    return Shown(outputs=found, previews=previews)


def _preview(run: str, output: OutputFile) -> Flow[Mapping[str, Any] | None]:
    """A picture, table or beginning of an output as the service shows it; None where there is none."""
    request = Request(method="GET", path=f"/api{_path(run)}/outputs/{output.number}/preview")
    try:
        return read_json((yield from ask(request)).content)
    except RemoteError:
        return None


def _status(reply: Reply) -> RunStatus:
    return read_status(read_json(reply.content))


def _path(run: str) -> str:
    return f"/runs/{quote(run, safe='')}"


def _checked(content: bytes, named: str, what: str) -> bytes:
    found = digest_bytes(content)
    if found != named:
        raise OutputWrong(f"{what} is not the one named: expected {named}, found {found}", hint="ask again")
    return content
