"""The gateway's relay against websockify, both in front of the same display, measured in turn in one run.

    python bench/gateway.py [--rounds N] [--megabytes N]

The display answers each 16-byte request with as many bytes as it names; it and the browsers cost as little as they can.
Streams: one that takes all it gets, one of small round trips, a hundred that each ask for 16 KiB as soon as the
last came, then at two paces. CPU and memory are those of all the relay's processes.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import multiprocessing
import os
import select
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
CROWD, UPDATE = 100, 16 << 10
PACES = (0, 60, 10)
HANDSHAKE = (
    "GET /ws/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: " + ORIGIN + "\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: binary, thaw.ticket.benchmark-of-the-gateway\r\n\r\n"
)


class Display:
    """Answers each request where it is read, without threads: the least a display can cost."""

    def __init__(self, path: str, waiting: select.epoll) -> None:
        self.waiting = waiting
        self._open: dict[int, socket.socket] = {}
        self._owed: dict[int, int] = {}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(256)
        threading.Thread(target=self._greet, daemon=True).start()

    def _greet(self) -> None:
        """Apart, since whoever joins waits for it; asleep while anything is measured."""
        while True:
            connection, _ = self._listener.accept()
            connection.sendall(GREETING)
            connection.setblocking(False)
            self._open[connection.fileno()] = connection
            self.waiting.register(connection, select.EPOLLIN)

    def serve(self, number: int) -> bool:
        """Answer what this descriptor's owner asks; False where it is no connection of this display's."""
        if number not in self._open:
            return False
        owed = self._owed.get(number, 0)
        left = _answer(self._open[number], owed)
        if left is None:
            self._open.pop(number).close()
            self._owed.pop(number, None)
        elif left != owed:
            self._owed[number] = left
            self.waiting.modify(number, select.EPOLLOUT if left else select.EPOLLIN)
        return True


def _answer(connection: socket.socket, owed: int) -> int | None:
    """Send what is owed, or what is asked now; what is still owed then, None once nobody asks any more."""
    try:
        if not owed:
            asked = connection.recv(ASK)
            if not asked:
                return None
            owed = int.from_bytes(asked)
        while owed:
            owed -= connection.send(BLOCK[:owed])
    except BlockingIOError:
        pass
    except OSError:
        return None
    return owed


def run_display(folder: str) -> None:
    """The display of the single stream and, beside it, a portal that lets everybody in."""
    threading.Thread(target=uvloop.run, args=(_serve_portal(folder),), daemon=True).start()
    display = Display(f"{folder}/apart.sock", select.epoll())
    while True:
        for number, _ in display.waiting.poll():
            display.serve(number)


async def _serve_portal(folder: str) -> None:
    async def redeem(request: web.Request) -> web.Response:
        session = (await request.json())["session"]
        return web.json_response({"socket": f"{folder}/{session}.sock", "view_only": False, "user": "bench"})

    async def note(_: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/internal/redeem", redeem)
    app.router.add_post("/internal/activity", note)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, f"{folder}/portal.sock").start()
    await asyncio.Event().wait()


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
        if count == UPDATE + 4 == self.due + 4 and not self._left and not self._head:
            at, self.due = count, 0  # one update in one frame, as nearly all come
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


def join(port: int, display: str) -> Viewer:
    """Open a WebSocket as noVNC does, and wait for the greeting."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(10)
    connection.sendall(HANDSHAKE.format(display).encode())
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
    display: str

    def join(self) -> Viewer:
        """A viewer; websockify drops some where the display's backlog is full."""
        for _ in range(20):
            try:
                return join(self.port, self.display)
            except OSError:
                time.sleep(0.1)
        return join(self.port, self.display)

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


Found = dict[str, float]


def measure_one(relay: Relay, megabytes: int) -> Found:
    """One stream that takes all it can get, then small round trips."""
    viewer = relay.join()
    viewer.ask(64 << 20)
    cpu, size = relay.cpu_s(), megabytes << 20
    seconds = viewer.ask(size)
    cpu = relay.cpu_s() - cpu
    trips = [viewer.ask(64) for _ in range(8000)][200:]
    viewer.connection.close()
    p50, p99 = percentiles(trips)
    rates = {"mb_per_s": size / seconds / 1e6, "cpu_per_gb": cpu / (size / 1e9)}
    return rates | {"p50_us": p50 * 1e6, "p99_us": p99 * 1e6}


def measure_crowd(relay: Relay, display: Display) -> Found:
    """A hundred streams at each pace."""
    crowd = [relay.join() for _ in range(CROWD)]
    found = {"crowd_memory_mb": relay.memory_mb()}
    for pace in PACES:
        cpu = relay.cpu_s()
        waits = ask_in_turn(crowd, display, seconds=4, every_s=1 / pace if pace else 0.0)
        p50, p99 = percentiles(waits)
        found |= {f"{pace}_p50_ms": p50 * 1e3, f"{pace}_p99_ms": p99 * 1e3}
        each = (relay.cpu_s() - cpu) / len(waits)
        found |= {f"{pace}_mb_per_s": len(waits) * UPDATE / 4e6, f"{pace}_cpu_us": each * 1e6}
    for one in crowd:
        one.connection.close()
    return found


def percentiles(waits: list[float]) -> tuple[float, float]:
    """The 50th and the 99th."""
    ordered = sorted(waits)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


def ask_in_turn(crowd: list[Viewer], display: Display, *, seconds: float, every_s: float) -> list[float]:
    """The waits of viewers that ask every so often, or (0) at once again; their display serves here too."""
    waits: list[float] = []
    start = time.perf_counter()
    due = [(start + every_s * number / len(crowd), number) for number in range(len(crowd))]
    since = [0.0] * len(crowd)
    viewers = {one.connection.fileno(): number for number, one in enumerate(crowd)}
    for descriptor in viewers:
        display.waiting.register(descriptor, select.EPOLLIN)
    while len(due) < len(crowd) or time.perf_counter() < start + seconds:
        now = time.perf_counter()
        while due and due[0][0] <= now < start + seconds:
            since[number := heapq.heappop(due)[1]] = time.perf_counter()
            crowd[number].due = UPDATE
            crowd[number].send(UPDATE)
        # Rounded up to a millisecond: this process sleeps rather than hold the processor the relay is woken on.
        for descriptor, _ in display.waiting.poll(max(0.0, due[0][0] - now) if due else 1.0):
            if display.serve(descriptor):
                continue
            one = crowd[number := viewers[descriptor]]
            one.take()
            if one.due <= 0:
                now = time.perf_counter()
                waits.append(now - since[number])
                heapq.heappush(due, (since[number] + every_s, number))
    for descriptor in viewers:
        display.waiting.unregister(descriptor)
    return waits


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def run_relay(name: str, folder: Path, display: str) -> Iterator[Relay]:
    """The gateway or websockify in front of a display."""
    port = _free_port()
    if name == "gateway":
        (folder / "core").mkdir(exist_ok=True)
        (folder / "core/rfb.js").touch()
        options = ["--portal", f"{folder}/portal.sock", "--novnc", str(folder), "--origin", ORIGIN]
        command = ["-m", "vnc_gateway", "--listen", f"127.0.0.1:{port}", "--max-per-user", "200", *options]
    else:
        command = ["-m", "websockify", "--unix-target", f"{folder}/{display}.sock", f"127.0.0.1:{port}"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=quiet, stderr=quiet)
    try:
        _wait_for_port(port)
        yield Relay(name=name, pid=process.pid, port=port, display=display)
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


def take_precedence() -> None:
    """Display, viewers and both relays alike, where this is root: other work on the machine shows less."""
    with suppress(OSError):
        os.nice(-10)
        Path("/proc/self/autogroup").write_text("-10")


def main() -> None:
    """Print every ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=2000)
    chosen = parser.parse_args()
    take_precedence()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        apart = multiprocessing.get_context("spawn").Process(target=run_display, args=(name,), daemon=True)
        apart.start()
        together = Display(f"{name}/together.sock", select.epoll())
        while not (folder / "apart.sock").exists() or not (folder / "portal.sock").exists():
            time.sleep(0.05)
        results: dict[str, list[Found]] = {"gateway": [], "websockify": []}
        for _ in range(chosen.rounds):
            for relay_name, found in results.items():
                with run_relay(relay_name, folder, "apart") as relay:
                    one = measure_one(relay, chosen.megabytes)
                with run_relay(relay_name, folder, "together") as relay:
                    found.append(one | measure_crowd(relay, together))
        apart.terminate()
    report(results)


def describe_goals() -> dict[str, tuple[str, str]]:
    """What each figure is called, and its goal."""
    lines = {
        "mb_per_s": ("one stream, MB/s", ">= 1.5x"),
        "cpu_per_gb": ("CPU seconds per GB", ""),
        "p50_us": ("round trip, one stream, p50 us", "<= 0.6x"),
        "p99_us": ("round trip, one stream, p99 us", ""),
        "crowd_memory_mb": (f"{CROWD} streams, memory MB", ""),
    }
    for pace in PACES:
        how = f"{CROWD} streams, {f'{pace} updates/s' if pace else 'all they get'}"
        lines |= {f"{pace}_mb_per_s": (f"{how}, MB/s", ""), f"{pace}_cpu_us": (f"{how}, CPU us/update", "")}
        lines |= {f"{pace}_p50_ms": (f"{how}, p50 ms", ""), f"{pace}_p99_ms": (f"{how}, p99 ms", "<= 0.2x")}
    return lines


def report(results: dict[str, list[Found]]) -> None:
    """Medians of both, and how they stand to each other."""
    print(f"{'':44}{'gateway':>10}{'websockify':>12}{'ratio':>8}  goal")
    for field, (what, goal) in describe_goals().items():
        ours, other = (statistics.median(found[field] for found in rounds) for rounds in results.values())
        print(f"{what:44}{ours:10.2f}{other:12.2f}{ours / other:7.2f}x  {goal}")


if __name__ == "__main__":
    main()
