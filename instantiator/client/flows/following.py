"""Follow a run as it happens: server-sent events, taken up again where the connection broke."""

from __future__ import annotations

import json
import math

from instantiator.client.actions import Flow, Now, Open, Pause, Read, Reply, Request, Shut, Tell
from instantiator.client.errors import AnswerInvalid, RunNotOver, ServiceUnreachable
from instantiator.client.flows.asking import AWAY, PAUSES, ROOT, accepted, error_of
from instantiator.client.flows.runs import look
from instantiator.client.models import Event, RunStatus

LONGEST_S = 3600
SILENCE_S = 60.0
"""The service says something every 15 s: a stream silent for longer is broken."""


class EventReader:
    """Server-sent events from bytes, however they are cut into pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, content: bytes) -> list[Event]:
        """The events that are complete by now."""
        *blocks, self._rest = (self._rest + content).split(b"\n\n")
        found = (_event(block.decode("utf-8", "replace")) for block in blocks)
        return [event for event in found if event is not None]


def _event(block: str) -> Event | None:
    lines = [line.partition(":") for line in block.splitlines() if not line.startswith(":")]
    keys = {name: value.removeprefix(" ") for name, _, value in lines}
    if "event" not in keys:
        return None
    try:
        return Event(number=int(keys["id"]), name=keys["event"], data=json.loads(keys["data"]))
    except (KeyError, ValueError) as error:
        raise AnswerInvalid(
            "the stream of events cannot be understood", hint="a newer service may need a newer client"
        ) from error


def follow(run: str, *, last: int = 0, timeout_s: float | None = None) -> Flow[bool]:
    """Tells each `Event` after number `last`, once. True when the run is over, False when the time is."""
    until = (yield Now()) + timeout_s if timeout_s is not None else None
    failures = 0
    while True:
        left = until - (yield Now()) if until is not None else LONGEST_S
        if left <= 0:
            return False
        failed: ServiceUnreachable | None = None
        reader = EventReader()
        try:
            yield from _open(run, last, min(LONGEST_S, math.ceil(left)))
            failures = 0
            while piece := (yield Read()):
                for event in reader.feed(piece):
                    if event.name == "end":
                        yield Shut()
                        return True
                    last = event.number
                    yield Tell(event)
        except ServiceUnreachable as error:
            failed = error
        if failed is not None and failures == len(PAUSES):
            raise failed
        yield Pause(PAUSES[failures])
        failures += failed is not None


def _open(run: str, last: int, wait_s: int) -> Flow[None]:
    request = Request(
        method="GET",
        path=f"{ROOT}/runs/{run}/events",
        query=(("wait_s", str(wait_s)),),
        headers={"Last-Event-ID": str(last), "Accept": "text/event-stream"},
        timeout_s=SILENCE_S,
    )
    reply: Reply = yield Open(request)
    if reply.status in AWAY:
        told = error_of(reply)
        raise ServiceUnreachable(told.message, where=told.where, hint=told.hint)
    accepted(reply)


def finish(run: str, timeout_s: float | None) -> Flow[RunStatus]:
    """Wait until a run is over, telling its events; raises `RunNotOver` where the time is over first."""
    is_over = yield from follow(run, timeout_s=timeout_s)
    status = yield from look(run)
    if not (is_over or status.state.is_final()):
        raise RunNotOver(
            f"run {run} is {status.state}: expected it to be over within {timeout_s} s",
            where=run,
            hint="it goes on; wait again, or cancel it",
        )
    return status
