"""A run's events as a stream that a client may leave and take up again."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from instantiator.operate.gate import Gate
from instantiator.queue.model import Event
from instantiator.queue.queue import Queue
from provenance.record import format_time, to_json

LOOK_S = 0.25
BEAT_S = 15.0
"""A silent stream says so this often: what stands between would else close it."""


async def follow(queue: Queue, run: str, after: int, *, wait_s: float, gate: Gate) -> AsyncIterator[str]:
    """The events of a run after number `after`, as they happen, until the run is final, the time is over or the
    service ends.
    """
    until = time.monotonic() + wait_s
    spoke = time.monotonic()
    while True:
        # Asked before the events: what a run says as it ends is in what is read after it has ended.
        state = (await run_in_threadpool(queue.get, run)).state
        for event in await run_in_threadpool(queue.events, run, after):
            yield write_event(event)
            after, spoke = event.number, time.monotonic()
        if state.is_final():
            yield f"event: end\nid: {after}\ndata: {json.dumps({'state': state.value})}\n\n"
            return
        if gate.is_ended or time.monotonic() >= until:
            return
        if time.monotonic() - spoke > BEAT_S:
            yield ": still here\n\n"
            spoke = time.monotonic()
        await asyncio.sleep(LOOK_S)


def write_event(event: Event) -> str:
    """One event as the stream writes it: one line of data, whatever is in it."""
    data = json.dumps({"when": format_time(event.when), **_plain(event)}, ensure_ascii=True)
    return f"id: {event.number}\nevent: {event.name}\ndata: {data}\n\n"


def _plain(event: Event) -> dict[str, object]:
    return {key: to_json(value) for key, value in event.data.items()}
