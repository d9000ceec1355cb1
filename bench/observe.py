"""What each way of observing a container costs, on three loads, all ways in turn in one run. docs/observation.md
has the result.

    python bench/observe.py IMAGE SCENARIO [ROUNDS [WAY...]]

IMAGE holds Python, a shell and EPS (the image of recipe rosetta-eps); SCENARIO is one of that recipe's datasets.
Needs root. A way whose program this machine does not have is said to be absent. BPFTRACE names the bpftrace program.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from instantiator.engine import Engine
from instantiator.engine.containers import start_container, wait_for_container
from instantiator.engine.door import describe_process
from instantiator.observe import Observation, ObservedContainer, Observer, describe_target
from instantiator.observe.fanotify import Happened
from instantiator.observe.polling import PollingObserver
from instantiator.observe.processes import ContainerProcesses
from instantiator.observe.watching import FanotifyObserver

# Every load waits for the observer, so that those which attach late are measured whole, and times itself.
_FRAME = """
import os, subprocess, sys, time
def timed(action):
    open("/work/ready", "w").close()
    while not os.path.exists("/work/go"):
        time.sleep(0.001)
    began = time.perf_counter()
    action()
    with open("/work/elapsed", "w") as file:
        file.write(str(time.perf_counter() - began))
"""
_EPS = """
import json, pathlib
root, out = pathlib.Path("/work/scenario"), pathlib.Path("/work/out")
root.mkdir(); (out / "eps_output").mkdir(parents=True)
for part in pathlib.Path("/data/in").iterdir():
    if part.name not in ("session.json", "outputs"):
        (root / part.name).symlink_to(part)
session = json.loads(pathlib.Path("/data/in/session.json").read_text(encoding="utf-8-sig"))
(root / "outputs").symlink_to(out)
session["sessionConfiguration"].setdefault("outputFiles", {}).update(
    baselineRelPath="outputs", simOutputFilesPath="eps_output", jsonItlPath="itl.json")
session["sessionConfiguration"]["logging"] = {"stdOutLogLevel": "INFO", "jsonLogFile": "log.json"}
(root / "session.json").write_text(json.dumps(session))
def load():
    subprocess.run(["osve", "-r", str(root), "-s", str(root / "session.json")], stdout=subprocess.DEVNULL, check=True)
timed(load)
"""
_FORKS = """
script = "i=0; while [ $i -lt 1000 ]; do /usr/bin/true; i=$((i+1)); done"
timed(lambda: subprocess.run(["sh", "-c", script], check=True))
"""
_OPENS = """
os.mkdir("/work/many")
names = [f"/work/many/{i}" for i in range(5000)]
for name in names:
    open(name, "w").close()
def load():
    for i in range(20000):
        os.close(os.open(names[i % len(names)], os.O_RDONLY))
timed(load)
"""
LOADS = {"EPS run": _EPS, "1,000 forks": _FORKS, "20,000 opens of 5,000 files": _OPENS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A bind mount of the bench."""

    source: Path
    target: str
    read_only: bool


@dataclass(slots=True)
class Result:
    """What one run under one way of observing gave."""

    elapsed_s: float = 0.0
    note: str = ""


class Way:
    """A way of observing: entered before the container's start, told of its first process, left after its end."""

    name = "nothing"

    def is_absent(self) -> str:
        """Why it cannot be used here; empty where it can."""
        return ""

    def before(self, target: ObservedContainer) -> None:
        """Called before the container starts."""

    def attach(self, pids: tuple[int, ...]) -> None:
        """Called once its program runs, and waits."""

    def after(self) -> str:
        """Called when it has ended; a note on what was seen."""
        return ""


class ByObserver(Way):
    """One of Thaw's own observers."""

    def __init__(
        self, name: str, make: type[FanotifyObserver] | type[PollingObserver], **options: int
    ) -> None:
        self.name, self._make, self._options = name, make, options
        self._observer: Observer | None = None

    def before(self, target: ObservedContainer) -> None:
        self._observer = self._make(lambda: datetime.now(UTC), **self._options)
        self._observer.start(target)

    def after(self) -> str:
        assert self._observer is not None
        return describe(self._observer.stop())


def describe(seen: Observation) -> str:
    """An observation in one line."""
    kinds = (("read", seen.files_read), ("written", seen.files_written), ("programs", seen.programs))
    counts = ", ".join(f"{len(paths)} {word} ({sum(path.times for path in paths)}x)" for word, paths in kinds)
    return f"{counts}, lost {seen.lost_events}"


class ByProgram(Way):
    """A tracer of this host: started on the container's processes, its output thrown away but counted."""

    def __init__(
        self, name: str, command: tuple[str, ...], *, program: str, ready_s: float, wants_pids: bool = False
    ) -> None:
        self.name, self._command, self._program = name, command, program
        self._ready_s, self._wants_pids = ready_s, wants_pids
        self._process: subprocess.Popen[bytes] | None = None
        self._output = Path(tempfile.gettempdir()) / f"thaw-bench-observe-{os.getpid()}"

    def is_absent(self) -> str:
        return "" if shutil.which(self._program) else f"no {self._program} here"

    def attach(self, pids: tuple[int, ...]) -> None:
        named = tuple(part for pid in pids for part in ("-p", str(pid))) if self._wants_pids else ()
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                (*self._command, *named), stdout=output, stderr=output, start_new_session=True
            )
        time.sleep(self._ready_s)
        if self._process.poll() is not None:
            raise SystemExit(f"{self.name}: {self._output.read_text(errors='replace')}")

    def after(self) -> str:
        assert self._process is not None
        if self._process.poll() is None:
            os.killpg(self._process.pid, 2)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)
            self._process.wait()
        lines = self._output.read_bytes().splitlines()
        self._output.unlink()
        return f"{len(lines)} lines" + (
            f": {lines[-1][:70].decode(errors='replace')}" if len(lines) < 4 else ""
        )


class ByConnector(Way):
    """The kernel's process connector: tells of every exec on this host, by process id alone."""

    name = "proc connector"

    def before(self, target: ObservedContainer) -> None:
        self._processes = ContainerProcesses(target.container_id)
        self._seen: list[str] = []
        self._execs = self._gone = self._lost = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 11)
        self._socket.bind((0, 1))
        body = struct.pack("=IIIIHHI", 1, 1, 0, 0, 4, 0, 1)
        self._socket.send(struct.pack("=IHHII", 16 + len(body), 3, 0, 0, 0) + body)
        self._socket.settimeout(0.05)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                received = self._socket.recv(4096)
            except TimeoutError:
                if self._ended.is_set():
                    return
                continue
            except OSError:
                self._lost += 1
                continue
            what, pid = struct.unpack_from("=I", received, 36)[0], struct.unpack_from("=I", received, 52)[0]
            if what == 2:
                self._execs += 1
                try:
                    if self._processes.holds(pid):
                        self._seen.append(str(Path(f"/proc/{pid}/exe").readlink()))
                    elif not Path(f"/proc/{pid}").exists():
                        self._gone += 1
                except OSError:
                    self._gone += 1

    def after(self) -> str:
        self._ended.set()
        self._thread.join()
        self._socket.close()
        return (
            f"{self._execs} execs on the host, {len(self._seen)} named, {self._gone} gone, lost {self._lost}"
        )


class ByDiff(Way):
    """What is there afterwards: `docker diff`, and the access times of the dataset."""

    name = "docker diff + atime"

    def before(self, target: ObservedContainer) -> None:
        self._container = target.container_id
        self._data = next(source for source, inside in target.mounts.items() if inside == "/data/in")

    def attach(self, pids: tuple[int, ...]) -> None:
        del pids
        files = [path for path in self._data.rglob("*") if path.is_file()]
        self._before = {path: path.stat().st_atime_ns for path in files}

    def after(self) -> str:
        began = time.perf_counter()
        done = subprocess.run(
            ["docker", "diff", self._container], capture_output=True, text=True, check=False
        )
        took = time.perf_counter() - began
        newer = sum(path.stat().st_atime_ns != old for path, old in self._before.items())
        return f"diff {len(done.stdout.splitlines())} lines in {took:.2f} s; {newer}/{len(self._before)} atimes changed"


def list_ways() -> tuple[Way, ...]:
    """All that are compared, the unobserved first."""
    bare = Happened.OPEN | Happened.OPEN_EXEC | Happened.CLOSE_WRITE | Happened.CLOSE_NOWRITE
    names = "tracepoint:syscalls:sys_enter_openat"
    script = (
        f'{names} {{ printf("o %d %s\\n", pid, str(args->filename)); }} '
        'tracepoint:syscalls:sys_enter_execve { printf("x %d %s\\n", pid, str(args->filename)); }'
    )
    mounted = 'mount -t tracefs tracefs /sys/kernel/tracing; exec "$0" "$@"'
    private, bpftrace = ("unshare", "-m", "sh", "-c", mounted), os.environ.get("BPFTRACE", "bpftrace")
    tracefs = (
        "d=$(mktemp -d); mount -t tracefs tracefs $d; i=$d/instances/thaw; mkdir $i; "
        "trap 'kill $c; echo 0 > $i/events/enable; rmdir $i; umount $d; rmdir $d' INT; "
        "echo 1 > $i/events/syscalls/sys_enter_openat/enable; echo 1 > $i/events/sched/sched_process_exec/enable; "
        "cat $i/trace_pipe & c=$!; wait"
    )
    strace = (
        "strace",
        "-f",
        "-qq",
        "-y",
        "-e",
        "trace=open,openat,openat2,creat,execve,execveat,rename,unlink",
    )
    return (
        Way(),
        ByObserver("fanotify", FanotifyObserver),
        ByObserver("fanotify, opens and closes only", FanotifyObserver, watched=bare),
        ByObserver("polling of /proc", PollingObserver),
        ByProgram("strace -f from outside", strace, program="strace", ready_s=0.5, wants_pids=True),
        ByProgram("eBPF (bpftrace)", (*private, bpftrace, "-e", script), program=bpftrace, ready_s=3),
        ByProgram("tracefs", ("unshare", "-m", "sh", "-c", tracefs), program="unshare", ready_s=0.5),
        ByConnector(),
        ByDiff(),
    )


def run_once(engine: Engine, image: str, scenario: Path, *, load: str, way: Way) -> Result:
    """One container with one load under one way."""
    with tempfile.TemporaryDirectory(prefix="thaw-bench-") as folder:
        work = Path(folder)
        work.chmod(0o777)
        mounts = (
            Bind(source=scenario, target="/data/in", read_only=True),
            Bind(source=work, target="/work", read_only=False),
        )
        config = describe_load(engine, image, mounts, _FRAME + load)
        with engine.hold_container("thaw-bench", config) as container:
            target = describe_target(engine.wire, container, mounts)
            way.before(target)
            try:
                start_container(engine.wire, container)
                while not (work / "ready").exists():
                    time.sleep(0.002)
                way.attach(ContainerProcesses(target.container_id).pids())
                (work / "go").touch()
                wait_for_container(engine.wire, container).read_all()
            finally:
                note = way.after()
        return Result(elapsed_s=float((work / "elapsed").read_text()), note=note)


def describe_load(engine: Engine, image: str, mounts: tuple[Bind, ...], script: str) -> dict[str, object]:
    """The hardened container of one load."""
    return {
        **describe_process(
            ("python3", "-c", script), {"PATH": "/opt/venv/bin:/usr/local/bin:/usr/bin:/bin"}, {}
        ),
        "Image": image,
        "User": "64000:64000",
        "WorkingDir": "/work",
        "HostConfig": {
            "NetworkMode": "none",
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "Init": True,
            "CgroupnsMode": "private",
            "LogConfig": {"Type": "none", "Config": {}},
            "Tmpfs": {"/tmp": "rw,mode=1777,size=16m"},
            "Mounts": [engine.describe_mount(mount) for mount in mounts],
        },
    }


def main() -> None:
    """Print a table for each load."""
    image, scenario = sys.argv[1], Path(sys.argv[2]).resolve()
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    engine = Engine.connect(os.environ.get("DOCKER_HOST"))
    ways = tuple(way for way in list_ways() if way.name in ("nothing", *sys.argv[4:]) or not sys.argv[4:])
    for name, load in LOADS.items():
        found: dict[str, list[Result]] = {way.name: [] for way in ways if not way.is_absent()}
        for _ in range(rounds):
            for way in ways:
                if not way.is_absent():
                    found[way.name].append(run_once(engine, image, scenario, load=load, way=way))
        print(f"\n{name}")
        plain = sorted(result.elapsed_s for result in found["nothing"])
        for way in ways:
            if why := way.is_absent():
                print(f"  {way.name:<32} absent: {why}")
                continue
            times = sorted(result.elapsed_s for result in found[way.name])
            medians = statistics.median(times) / statistics.median(plain)
            figures = f"{statistics.median(times):7.3f} s {medians:6.2f}x  best {times[0] / plain[0]:5.2f}x"
            print(f"  {way.name:<32} {figures}  {found[way.name][-1].note}", flush=True)


if __name__ == "__main__":
    main()
