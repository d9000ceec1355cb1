"""A service made of functions: what it was asked, and what it answers or breaks off."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from instantiator.client import AsyncThaw, Thaw
from instantiator.client.drivers import AsyncDriver, Driver
from instantiator.client.service import Service
from instantiator.secret import Secret

SERVICE = Service(url="http://127.0.0.1:8765", token=Secret("thaw_secret"))
Answer = Callable[[httpx.Request], httpx.Response]


@dataclass
class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in pieces, that may break off after them."""

    pieces: list[bytes]
    is_whole: bool = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if not self.is_whole:
            raise httpx.ReadError("broken off")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        if not self.is_whole:
            raise httpx.ReadError("broken off")


@dataclass
class Answering:
    """Answers in turn; the last one stands for all that follow."""

    answers: list[Answer]
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(request)

    def thaw(self) -> Thaw:
        return Thaw(driver=Driver(SERVICE, transport=httpx.MockTransport(self)))

    def awaited(self) -> AsyncThaw:
        return AsyncThaw(driver=AsyncDriver(SERVICE, transport=httpx.MockTransport(self)))


def data(value: Any, status: int = 200) -> Answer:
    return lambda _request: httpx.Response(status, json=value)


def lost(_request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("the answer is lost")


def broken(*pieces: bytes, status: int = 200) -> Answer:
    return lambda _request: httpx.Response(status, stream=Pieces(list(pieces)))


def body(content: bytes, status: int = 200) -> Answer:
    return lambda _request: httpx.Response(status, stream=Pieces([content], is_whole=True))


RUN = {
    "run": "20261120-120000-f000",
    "kind": "thread",
    "user": "caroline",
    "label": "",
    "recipe": "rosetta-eps/9.3.35",
    "thread": "simulate",
    "parameters": {"time_step": 60},
    "datasets": {"scenario": "cruise@1"},
    "state": "completed",
    "message": "",
    "submitted": "2026-11-20T12:00:00.000000Z",
    "started": "2026-11-20T12:00:01.000000Z",
    "ended": "2026-11-20T12:00:03.000000Z",
    "exit_status": 0,
    "position": None,
    "attempts": 1,
    "record": "sha256:" + 64 * "a",
    "answered_from": None,
    "repeats": None,
}
