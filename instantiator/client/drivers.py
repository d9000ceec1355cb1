"""Carry flows out over HTTP: one driver waits, the other awaits. The one door to httpx."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from instantiator.client.actions import Action, Do, Flow, Now, Open, Pause, Read, Reply, Request, Shut, Tell
from instantiator.client.errors import ServiceUnreachable
from instantiator.client.service import Service, is_loopback

Result = TypeVar("Result")
Hear = Callable[[Any], object]
"""Gets what a flow tells (Any: each flow tells its own kind of values)."""

_CONNECT_S = 10.0
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class _Machine:
    """A flow under way: what it wants next, given the answer of what it wanted before."""

    def __init__(self, flow: Flow[Result]) -> None:
        self._flow = flow
        self.result: Any = None

    def next(self, answer: object) -> Action | None:
        """The next action; None where the flow is done, its result is in `result`."""
        try:
            if isinstance(answer, ServiceUnreachable):
                return self._flow.throw(answer)
            return self._flow.send(answer)
        except StopIteration as end:
            self.result = end.value
            return None

    def close(self) -> None:
        """Give the flow up, wherever it stands."""
        self._flow.close()


class Driver:
    """Carries flows out and waits for each answer. May be used by several threads."""

    def __init__(self, service: Service, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = service.url
        self._http = httpx.Client(**_options(service), transport=transport)

    def do(self, flow: Flow[Result], hear: Hear | None = None) -> Result:
        """What a flow gives; `hear` gets what it tells."""
        steps = self._steps(flow)
        while True:
            try:
                told = next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            if hear is not None:
                hear(told)

    def each(self, flow: Flow[object]) -> Iterator[Any]:
        """What a flow tells."""
        yield from self._steps(flow)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _steps(self, flow: Flow[Result]) -> Generator[Any, None, Result]:
        machine, stream, answer = _Machine(flow), _Stream(self._http), None
        try:
            while (action := machine.next(answer)) is not None:
                answer = None
                if isinstance(action, Tell):
                    yield action.value
                else:
                    answer = self._act(action, stream)
        finally:
            machine.close()
            stream.shut()
        result: Result = machine.result
        return result

    def _act(self, action: Action, stream: _Stream) -> object:
        try:
            match action:
                case Request():
                    reply = self._http.send(_build(self._http, action))
                    return _reply(reply, reply.content, action)
                case Open():
                    return stream.open(action.request)
                case Read():
                    return stream.read()
                case Shut():
                    stream.shut()
                case Pause():
                    time.sleep(action.seconds)
                case Now():
                    return time.monotonic()
                case Do():
                    return action.call()
        except httpx.HTTPError as error:
            stream.shut()
            return _lost(error, self.url)
        return None


class _Stream:
    """An answer that is read piece by piece."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())

    def open(self, request: Request) -> Reply:
        self.shut()
        response = self._http.send(_build(self._http, request), stream=True)
        self._response, self._pieces = response, response.iter_raw()
        if response.status_code < 300:
            return _reply(response, b"", request)
        content = response.read()
        self.shut()
        return _reply(response, content, request)

    def read(self) -> bytes:
        return next(self._pieces, b"")

    def shut(self) -> None:
        response, self._response, self._pieces = self._response, None, iter(())
        if response is not None:
            response.close()


class AsyncDriver:
    """Carries flows out and awaits each answer."""

    def __init__(self, service: Service, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = service.url
        self._http = httpx.AsyncClient(**_options(service), transport=transport)

    async def do(self, flow: Flow[Result], hear: Hear | None = None) -> Result:
        """What a flow gives; `hear` gets what it tells."""
        machine = _Machine(flow)
        async for told in self._steps(machine):
            if hear is not None:
                hear(told)
        result: Result = machine.result
        return result

    async def each(self, flow: Flow[object]) -> AsyncIterator[Any]:
        """What a flow tells."""
        steps = self._steps(_Machine(flow))
        try:
            async for told in steps:
                yield told
        finally:
            await steps.aclose()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _steps(self, machine: _Machine) -> AsyncGenerator[Any, None]:
        stream, answer = _AsyncStream(self._http), None
        try:
            while (action := machine.next(answer)) is not None:
                answer = None
                if isinstance(action, Tell):
                    yield action.value
                else:
                    answer = await self._act(action, stream)
        finally:
            machine.close()
            await stream.shut()

    async def _act(self, action: Action, stream: _AsyncStream) -> object:
        try:
            match action:
                case Request():
                    reply = await self._http.send(_build(self._http, action))
                    return _reply(reply, reply.content, action)
                case Open():
                    return await stream.open(action.request)
                case Read():
                    return await stream.read()
                case Shut():
                    await stream.shut()
                case Pause():
                    await asyncio.sleep(action.seconds)
                case Now():
                    return time.monotonic()
                case Do():
                    return await asyncio.to_thread(action.call)
        except httpx.HTTPError as error:
            await stream.shut()
            return _lost(error, self.url)
        return None


class _AsyncStream:
    """An answer that is read piece by piece."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._response: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None

    async def open(self, request: Request) -> Reply:
        await self.shut()
        response = await self._http.send(_build(self._http, request), stream=True)
        self._response, self._pieces = response, response.aiter_raw()
        if response.status_code < 300:
            return _reply(response, b"", request)
        content = await response.aread()
        await self.shut()
        return _reply(response, content, request)

    async def read(self) -> bytes:
        return await anext(self._pieces, b"") if self._pieces is not None else b""

    async def shut(self) -> None:
        response, self._response, self._pieces = self._response, None, None
        if response is not None:
            await response.aclose()


def _options(service: Service) -> dict[str, Any]:
    """No redirect is followed, so a token goes nowhere else; a proxy is not asked for this host itself."""
    from instantiator import __version__

    headers = {
        "Authorization": f"Bearer {service.token.reveal()}",
        "User-Agent": f"thaw/{__version__}",
        "Accept-Encoding": "identity",
    }
    is_here = is_loopback(urlsplit(service.url).hostname or "")
    return {"base_url": service.url, "headers": headers, "trust_env": not is_here}


def _build(http: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    return http.build_request(
        request.method,
        request.path,
        params=request.query or None,
        headers=dict(request.headers),
        json=request.json,
        content=request.content,
        timeout=httpx.Timeout(request.timeout_s, connect=_CONNECT_S),
    )


def _reply(response: httpx.Response, content: bytes, request: Request) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(status=response.status_code, headers=headers, content=content, path=request.path)


def _lost(error: httpx.HTTPError, url: str) -> ServiceUnreachable:
    was_sent = not isinstance(error, _NEVER_SENT)
    what = "the connection broke" if was_sent else "the service does not answer"
    return ServiceUnreachable(
        f"{what}: {str(error) or type(error).__name__}",
        where=url,
        hint="is it running, and is this its address? what was begun there goes on",
        was_sent=was_sent,
    )
