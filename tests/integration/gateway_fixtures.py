"""What the gateway's tests stand on: a portal on a unix socket, a display that is a function, the process itself."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

ROOT = Path(__file__).resolve().parents[2]
SESSION = "20261120-154949-k3f9"
TICKET = "a-ticket-that-is-good-once"
GREETING = b"RFB 003.008\n"
ORIGIN = "http://thaw.example:8080"
HEADERS = {"Host": "thaw.example:8080"}
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class FakePortal:
    """A portal that knows tickets, and shows what it was sent."""

    socket: Path
    display: Path
    lab: Path
    tickets: dict[str, dict[str, object]] = field(default_factory=dict)
    activity: list[dict[str, object]] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)
    received: int = 0

    def issue(self, ticket: str = TICKET, *, user: str = "ada", view_only: bool = False) -> str:
        """A ticket for the one session there is."""
        self.tickets[ticket] = {"socket": str(self.display), "view_only": view_only, "user": user}
        return ticket

    async def redeem(self, request: web.Request) -> web.Response:
        asked = await request.json()
        admission = self.tickets.pop(asked["ticket"], None) if asked["session"] == SESSION else None
        if admission is None:
            return web.json_response({"code": "ticket-refused"}, status=403)
        return web.json_response(admission)

    async def find_lab(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked["session"] != SESSION or request.cookies.get("thaw") != "ada":
            return web.json_response({}, status=403)
        return web.json_response({"socket": str(self.lab), "user": "ada"})

    async def note_activity(self, request: web.Request) -> web.Response:
        self.activity.append(await request.json())
        return web.json_response({})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if request.path == "/upload":
            async for chunk in request.content.iter_chunked(1 << 20):
                self.received += len(chunk)
            return web.json_response({"received": self.received})
        if request.path == "/events":
            return await send_events(request)
        response = web.Response(text=f"portal: {request.path}")
        response.headers.add("Set-Cookie", "thaw=ada; HttpOnly; Path=/")
        response.headers.add("Set-Cookie", "theme=dark; Path=/")
        response.headers["X-Hop"] = "1"
        response.headers["Connection"] = "X-Hop"
        response.headers["Content-Security-Policy"] = "sandbox"
        return response

    def app(self) -> web.Application:
        app = web.Application(client_max_size=0)
        app.router.add_post("/internal/redeem", self.redeem)
        app.router.add_post("/internal/lab", self.find_lab)
        app.router.add_post("/internal/activity", self.note_activity)
        app.router.add_route("*", "/{path:.*}", self.answer)
        return app


async def send_events(request: web.Request) -> web.StreamResponse:
    """Two server-sent events; the second only once the first was seen."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"data: first\n\n")
    await asyncio.sleep(0.5)
    await response.write(b"data: second\n\n")
    return response


async def answer_as_lab(request: web.Request) -> web.StreamResponse:
    """A web lab: echoes over a WebSocket, else shows the headers it got, and sets a cookie for the whole site."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        there = web.WebSocketResponse(protocols=("v1.kernel",))
        await there.prepare(request)
        async for message in there:
            await there.send_str(
                message.data
            ) if message.type is aiohttp.WSMsgType.TEXT else await there.send_bytes(message.data)
        return there
    response = web.json_response({"headers": dict(request.headers), "path": request.raw_path})
    response.headers.add("Set-Cookie", "_xsrf=2; Path=/; Domain=thaw.example")
    response.headers.add("Set-Cookie", "thaw=stolen; Path=/")
    return response


@asynccontextmanager
async def serve_app(app: web.Application, path: Path) -> AsyncIterator[None]:
    """An application on a unix socket."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve_display(display: Serve | None, path: Path) -> AsyncIterator[None]:
    """A display on a unix socket; its connections end with it."""
    if display is None:
        yield
        return
    living: set[asyncio.Task[None]] = set()

    async def show(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(display(reader, writer))
        living.add(task)
        await asyncio.wait([task])
        with suppress(asyncio.CancelledError, ConnectionError):
            task.result()
        writer.transport.abort()

    server = await asyncio.start_unix_server(show, path)
    try:
        yield
    finally:
        server.close()
        for task in living:
            task.cancel()
        await asyncio.sleep(0.05)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A display that greets, then gives back what it is sent."""
    writer.write(GREETING)
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@dataclass(slots=True)
class Running:
    """The gateway as a process, and what stands behind it."""

    url: str
    portal: FakePortal
    process: subprocess.Popen[str]
    http: aiohttp.ClientSession
    log: Path

    def join(
        self, ticket: str, *, origin: str = ORIGIN, session: str = SESSION
    ) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse[bool]]:
        """A WebSocket to a session, as noVNC opens it."""
        protocols = ("binary", f"thaw.ticket.{ticket}")
        return self.http.ws_connect(
            f"{self.url}/ws/{session}",
            protocols=protocols,
            origin=origin,
            headers=HEADERS,
            max_msg_size=1 << 24,
        )

    def memory_mb(self) -> float:
        """The resident memory of the gateway's process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 2**20


def free_port() -> int:
    """A TCP port of this host that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def run_gateway(
    folder: Path, *options: str, display: Serve | None = echo, novnc: Path | None = None
) -> AsyncIterator[Running]:
    """The gateway in front of a fake portal, a lab and a display (None: there is one already at `rfb.sock`)."""
    portal = FakePortal(socket=folder / "portal.sock", display=folder / "rfb.sock", lab=folder / "lab.sock")
    lab = web.Application()
    lab.router.add_route("*", "/{path:.*}", answer_as_lab)
    async with (
        serve_display(display, portal.display),
        serve_app(portal.app(), portal.socket),
        serve_app(lab, portal.lab),
    ):
        process, port = start_gateway(folder, portal.socket, *options, novnc=novnc)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as http:
            try:
                yield Running(f"http://127.0.0.1:{port}", portal, process, http, folder / "gateway.log")
            finally:
                process.terminate()
                await asyncio.to_thread(process.wait, 15)
                assert process.stdout is not None
                process.stdout.close()


def start_gateway(
    folder: Path, portal: Path, *options: str, novnc: Path | None = None
) -> tuple[subprocess.Popen[str], int]:
    """The gateway's process, listening, and its port."""
    if novnc is None:
        novnc = folder / "novnc"
        (novnc / "core").mkdir(parents=True, exist_ok=True)
        (novnc / "core/rfb.js").write_text("export default class RFB {}\n")
        (novnc / "package.json").write_text("{}")
    command = [sys.executable, "-m", "vnc_gateway", "--listen", "127.0.0.1:0", "--portal", str(portal)]
    command += ["--novnc", str(novnc), "--origin", ORIGIN, *options]
    with (folder / "gateway.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("listening on"), (folder / "gateway.log").read_text()
    return process, int(line.rpartition(":")[2])
