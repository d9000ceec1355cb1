"""The gateway's relay against websockify, both in front of the same display, measured in turn in one run.

    python bench/gateway.py [--rounds N] [--megabytes N]

The display answers each 16-byte request with as many bytes as it names; display and browser are as cheap as they can
be, so that the relay's own cost shows. Streams: one that takes all it can get, one of small round trips, a hundred
that each ask for 16 KiB as soon as the last came, then ten times a second. CPU and memory are those of all
the relay's processes.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import multiprocessing
import os
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvloop
from aiohttp import web

ROOT = Path(__file__).resolve().parents[1]
GREETING, ASK = b"RFB 003.008\n", 16
ORIGIN = "http://127.0.0.1"
BLOCK = memoryview(bytes(256 * 1024))
CROWD, UPDATE, PACE_S = 100, 16 << 10, 0.1
HANDSHAKE = (
    f"GET /ws/session HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: {ORIGIN}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: binary, thaw.ticket.benchmark-of-the-gateway\r\n\r\n"
).encode()


def serve_display(listener: socket.socket) -> None:
    """Answer each connection in a thread of its own, with blocking calls: the least a display can cost."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    connection.sendall(GREETING)
    with suppress(OSError):
        while asked := connection.recv(ASK, socket.MSG_WAITALL):
            owed = int.from_bytes(asked)
            while owed:
                owed -= connection.send(BLOCK[:owed])


def run_display(folder: str) -> None:
    """The display and, beside it, a portal that lets everybody in."""

    async def serve() -> None:
        async def redeem(_: web.Request) -> web.Response:
            return web.json_response({"socket": f"{folder}/rfb.sock", "view_only": False, "user": "bench"})

        async def note(_: web.Request) -> web.Response:
            return web.json_response({})

        app = web.Application()
        app.router.add_post("/internal/redeem", redeem)
        app.router.add_post("/internal/activity", note)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, f"{folder}/portal.sock").start()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{folder}/rfb.sock")
        listener.listen(256)
        threading.Thread(target=serve_display, args=(listener,), daemon=True).start()
        await asyncio.Event().wait()

    uvloop.run(serve())


class Viewer:
    """A browser with blocking calls: asks, waits for all of the answer, looks at no more of it than frame headers."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.due = len(GREETING)
        self._buffer = memoryview(bytearray(256 * 1024))
        self._head = b""
        self._left = 0

    def ask(self, size: int) -> float:
        """Seconds until `size` bytes were there."""
        self.due = size
        started = time.perf_counter()
        self.send(size)
        self.wait()
        return time.perf_counter() - started

    def send(self, size: int) -> None:
        """One binary frame with one request; a mask of zeros is as good as any."""
        self.connection.sendall(bytes((0x82, 0x80 | ASK)) + bytes(4) + size.to_bytes(ASK))

    def wait(self) -> None:
        while self.due > 0:
            self.take()

    def take(self) -> None:
        """Whatever has arrived."""
        count = self.connection.recv_into(self._buffer)
        if not count:
            raise ConnectionError("the relay closed the connection")
        at = 0
        while at < count:
            if not self._left:
                at = self._read_head(at, count)
            taken = min(self._left, count - at)
            self._left, self.due, at = self._left - taken, self.due - taken, at + taken

    def _read_head(self, at: int, count: int) -> int:
        while at < count:
            self._head += bytes(self._buffer[at : at + 1])
            at += 1
            size = {126: 4, 127: 10}.get(self._head[1], 2) if len(self._head) > 1 else 10
            if len(self._head) == size:
                if self._head[0] != 0x82:
                    raise ConnectionError(f"unexpected frame {self._head!r}")
                self._left = self._head[1] if size == 2 else int.from_bytes(self._head[2:])
                self._head = b""
                break
        return at


def join(port: int) -> Viewer:
    """Open a WebSocket as noVNC does, and wait for the greeting."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(10)
    connection.sendall(HANDSHAKE)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(1)
        if not answer:
            raise ConnectionError("no answer to the handshake")
    viewer = Viewer(connection)
    viewer.wait()
    return viewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """One of the two, running."""

    name: str
    pid: int
    port: int

    def join(self) -> Viewer:
        """A viewer; websockify drops some where the display's backlog is full."""
        for _ in range(20):
            try:
                return join(self.port)
            except OSError:
                time.sleep(0.1)
        return join(self.port)

    def cpu_s(self) -> float:
        """Processor seconds of the process and its living children."""
        return sum(_read_cpu(pid) for pid in (self.pid, *_children(self.pid)))

    def memory_mb(self) -> float:
        """Proportional memory of the process and its children."""
        return sum(_read_pss(pid) for pid in (self.pid, *_children(self.pid)))


def _children(pid: int) -> list[int]:
    return [int(p) for t in Path(f"/proc/{pid}/task").iterdir() for p in (t / "children").read_text().split()]


def _read_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _read_pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one relay did in one round."""

    mb_per_s: float
    cpu_per_gb: float
    p50_us: float
    p99_us: float
    crowd_mb_per_s: float
    crowd_p50_ms: float
    crowd_p99_ms: float
    paced_p50_ms: float
    paced_p99_ms: float
    crowd_memory_mb: float


def measure(relay: Relay, megabytes: int) -> Measured:
    """One round."""
    viewer = relay.join()
    viewer.ask(64 << 20)
    cpu, size = relay.cpu_s(), megabytes << 20
    seconds = viewer.ask(size)
    cpu = relay.cpu_s() - cpu
    trips = sorted([viewer.ask(64) for _ in range(8000)][200:])
    viewer.connection.close()
    crowd = [relay.join() for _ in range(CROWD)]
    memory = relay.memory_mb()
    started = time.perf_counter()
    waits = sorted(ask_in_turn(crowd, seconds=4))
    took = time.perf_counter() - started
    paced = sorted(ask_in_turn(crowd, seconds=4, every_s=PACE_S))
    for one in crowd:
        one.connection.close()
    time.sleep(0.5)
    count = len(waits)
    return Measured(
        mb_per_s=size / seconds / 1e6,
        cpu_per_gb=cpu / (size / 1e9),
        p50_us=trips[len(trips) // 2] * 1e6,
        p99_us=trips[len(trips) * 99 // 100] * 1e6,
        crowd_mb_per_s=count * UPDATE / took / 1e6,
        crowd_p50_ms=waits[count // 2] * 1e3,
        crowd_p99_ms=waits[count * 99 // 100] * 1e3,
        paced_p50_ms=paced[len(paced) // 2] * 1e3,
        paced_p99_ms=paced[len(paced) * 99 // 100] * 1e3,
        crowd_memory_mb=memory,
    )


def ask_in_turn(crowd: list[Viewer], *, seconds: float, every_s: float = 0.0) -> list[float]:
    """The waits of viewers that each ask for an update every so often, or (0) as soon as the last came."""
    waits: list[float] = []
    start = time.perf_counter()
    due = [(start + every_s * number / len(crowd), number) for number in range(len(crowd))]
    since = [0.0] * len(crowd)
    with selectors.DefaultSelector() as selector:
        for number, one in enumerate(crowd):
            selector.register(one.connection, selectors.EVENT_READ, number)
        while (now := time.perf_counter()) < start + seconds:
            while due and due[0][0] <= now:
                since[number := heapq.heappop(due)[1]] = time.perf_counter()
                crowd[number].due = UPDATE
                crowd[number].send(UPDATE)
            for key, _ in selector.select(max(0.0, due[0][0] - now) if due else 1):
                one = crowd[key.data]
                one.take()
                if one.due <= 0:
                    now = time.perf_counter()
                    waits.append(now - since[key.data])
                    heapq.heappush(due, (since[key.data] + every_s, key.data))
    asleep = {number for _, number in due}
    for number in set(range(len(crowd))) - asleep:  # nothing is left over for the next measurement
        crowd[number].wait()
    return waits


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def run_relay(name: str, folder: Path) -> Iterator[Relay]:
    """The gateway or websockify in front of the display."""
    port = _free_port()
    if name == "gateway":
        (folder / "core").mkdir(exist_ok=True)
        (folder / "core/rfb.js").touch()
        options = ["--portal", f"{folder}/portal.sock", "--novnc", str(folder), "--origin", ORIGIN]
        command = ["-m", "vnc_gateway", "--listen", f"127.0.0.1:{port}", "--max-per-user", "200", *options]
    else:
        command = ["-m", "websockify", "--unix-target", f"{folder}/rfb.sock", f"127.0.0.1:{port}"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=quiet, stderr=quiet)
    try:
        _wait_for_port(port)
        yield Relay(name=name, pid=process.pid, port=port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _wait_for_port(port: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")


def main() -> None:
    """Print every ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=2000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        display = multiprocessing.get_context("spawn").Process(target=run_display, args=(name,), daemon=True)
        display.start()
        while not (folder / "rfb.sock").exists():
            time.sleep(0.05)
        results: dict[str, list[Measured]] = {"gateway": [], "websockify": []}
        for _ in range(chosen.rounds):
            for relay_name, found in results.items():
                with run_relay(relay_name, folder) as relay:
                    found.append(measure(relay, chosen.megabytes))
        display.terminate()
    report(results)


GOALS = {
    "mb_per_s": ("one stream, MB/s", ">= 1.5x"),
    "cpu_per_gb": ("CPU seconds per GB", ""),
    "p50_us": ("round trip, one stream, p50 us", "<= 0.6x"),
    "p99_us": ("round trip, one stream, p99 us", ""),
    "crowd_mb_per_s": ("100 streams, MB/s", ""),
    "crowd_p50_ms": ("100 streams, p50 ms", ""),
    "crowd_p99_ms": ("100 streams, p99 ms", "<= 0.2x"),
    "paced_p50_ms": ("100 streams, 10 updates/s, p50 ms", ""),
    "paced_p99_ms": ("100 streams, 10 updates/s, p99 ms", "<= 0.2x"),
    "crowd_memory_mb": ("100 streams, memory MB", ""),
}


def report(results: dict[str, list[Measured]]) -> None:
    """Medians of both, and how they stand to each other."""
    print(f"{'':34}{'gateway':>10}{'websockify':>12}{'ratio':>8}  goal")
    for field, (what, goal) in GOALS.items():
        ours, other = (statistics.median(getattr(m, field) for m in found) for found in results.values())
        print(f"{what:34}{ours:10.2f}{other:12.2f}{ours / other:7.2f}x  {goal}")


if __name__ == "__main__":
    main()
