"""From *Open* to a drawn screen, against bare `docker run` of a display and of the same program; then many sessions.

    python bench/sessions.py [RECIPE [ROUNDS [SESSIONS]]]

Images have to be built. All ways take turns in one run; medians are printed. Every wait is on the same pictures.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from instantiator.commands.common import Bench
from instantiator.commands.session import sessions_of
from instantiator.display.container import DisplayFolders, display_command, display_mounts, read_windows
from instantiator.display.image import display_lock
from instantiator.display.profile import DisplayProfile
from instantiator.display.windows import WantedWindow
from instantiator.session.bench import Quota
from instantiator.session.frame import Eye
from instantiator.session.model import OpenSession, SessionState
from instantiator.session.sessions import Sessions

_PATIENCE_S = 120
_XVNC = (
    *("Xvnc", ":1", "-geometry", "1280x800", "-depth", "24", "-SecurityTypes", "None", "-rfbport", "-1"),
    *("-rfbunixpath", "/thaw/display/rfb.sock", "-AlwaysShared", "-nolisten", "tcp"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is opened: a recipe's first GUI."""

    recipe: str
    image: str
    command: tuple[str, ...]
    wanted: WantedWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds from the start to the first frame, and to the declared window on a drawn screen."""

    frame_s: float
    window_s: float


def find_program(bench: Bench, name: str) -> Program:
    """The first GUI of a recipe whose image is built."""
    recipe = bench.recipe(name)
    gui, lock = recipe.guis[0], bench.lock(recipe)
    assert lock.image is not None, "build the image first"
    wanted = WantedWindow(window_class=gui.window_class, title=gui.window_title)
    return Program(recipe=recipe.id, image=lock.image.id, command=gui.command, wanted=wanted)


def docker(*words: str) -> str:
    """What a docker command prints."""
    return subprocess.run(("docker", *words), capture_output=True, text=True, check=True).stdout.strip()


def time_bare(program: Program, *, has_window_manager: bool) -> Times:
    """Two plain `docker run`s: Xvnc (or our display's script), then the program once X accepts it."""
    lock = display_lock()
    assert lock.image is not None, "committed with its image"
    with _folder() as root, _containers() as started:
        folders = DisplayFolders(root=root)
        for folder in (folders.x11, folders.shared):
            folder.mkdir()
            folder.chmod(0o777)
        command = display_command(DisplayProfile()) if has_window_manager else _XVNC
        mounts = [f"-v={one.source}:{one.target}" for one in display_mounts(folders)]
        began = time.monotonic()
        display = docker("run", "-d", "--network=none", "--ipc=shareable", *mounts, lock.image.id, *command)
        started.append(display)
        _wait(lambda: folders.x_socket.exists())
        screen = ("-e", "DISPLAY=:1", "-e", "HOME=/tmp", f"--ipc=container:{display}")
        place = f"-v={folders.x11}:/tmp/.X11-unix"
        started.append(docker("run", "-d", "--network=none", *screen, place, program.image, *program.command))
        return _watch(folders, program.wanted if has_window_manager else WantedWindow(), began)


def _watch(folders: DisplayFolders, wanted: WantedWindow, began: float) -> Times:
    frame = 0.0
    with Eye(folders) as eye:
        while time.monotonic() - began < _PATIENCE_S:
            eye.look()
            if eye.is_drawn and not frame:
                frame = time.monotonic() - began
            has_window = any(wanted.matches(one) for one in read_windows(folders)) or not wanted.is_declared
            if frame and has_window:
                return Times(frame_s=frame, window_s=time.monotonic() - began)
    raise SystemExit("a bare program has drawn nothing")


def time_session(sessions: Sessions, program: Program) -> Times:
    """A session in a resident process: ready means its window is mapped and the frame drawn."""
    began = time.monotonic()
    session = sessions.open(OpenSession(user="bench", recipe=program.recipe)).id
    _wait(lambda: sessions.get(session).state is not SessionState.LAUNCHING)
    ready_s = time.monotonic() - began
    assert sessions.get(session).state is SessionState.READY, sessions.get(session)
    sessions.end(session)
    return Times(frame_s=ready_s, window_s=ready_s)


def time_pooled(sessions: Sessions, program: Program) -> Times:
    """The same with a display that waits; the wait for that display is not counted."""
    end = time.monotonic() + _PATIENCE_S
    while not sessions.has_idle_display():
        sessions.supervise(datetime.now(UTC))
        time.sleep(0.2)
        assert time.monotonic() < end, "no display waits"
    return time_session(sessions, program)


def compare(program: Program, rounds: int, plain: Sessions, pooled: Sessions) -> None:
    """All ways in turn; medians, and ratios against the bare ones."""
    ways: dict[str, Callable[[], Times]] = {
        "docker run, Xvnc alone": lambda: time_bare(program, has_window_manager=False),
        "docker run, with window manager": lambda: time_bare(program, has_window_manager=True),
        "thaw": lambda: time_session(plain, program),
        "thaw, display from the pool": lambda: time_pooled(pooled, program),
    }
    found: dict[str, list[Times]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    middle = {
        name: Times(
            frame_s=statistics.median(one.frame_s for one in times),
            window_s=statistics.median(one.window_s for one in times),
        )
        for name, times in found.items()
    }
    bare, managed = middle["docker run, Xvnc alone"], middle["docker run, with window manager"]
    print(f"\n{program.recipe}, {rounds} rounds: seconds to (ratio to bare)")
    for name, one in middle.items():
        frame = f"first frame {one.frame_s:5.2f} ({one.frame_s / bare.frame_s:.2f}x)"
        print(f"  {name:<32} {frame}   window {one.window_s:5.2f} ({one.window_s / managed.window_s:.2f}x)")


def open_many(sessions: Sessions, program: Program, count: int) -> None:
    """Open many sessions at once; how many are ready, after how long, and what each takes."""
    before = _free_mb()
    began = time.monotonic()
    opened = [
        sessions.open(OpenSession(user="bench", recipe=program.recipe, workspace=f"w{number}")).id
        for number in range(count)
    ]
    ready: dict[str, float] = {}
    while time.monotonic() - began < 900:
        states = {one: sessions.get(one).state for one in opened}
        for one, state in states.items():
            if state is SessionState.READY:
                ready.setdefault(one, time.monotonic() - began)
        if all(state is not SessionState.LAUNCHING for state in states.values()):
            break
        time.sleep(0.2)
    failed = [sessions.get(one).message for one in opened if one not in ready]
    print(f"\n{count} sessions of {program.recipe} at once: {len(ready)} ready, {len(failed)} failed")
    for message in sorted(set(failed))[:5]:
        print(f"  failed: {message[:200]}")
    if ready:
        times = sorted(ready.values())
        print(f"  ready after {times[0]:.1f} s the first, {times[-1]:.1f} s the last")
        time.sleep(5)
        print(f"  memory per idle session: {(before - _free_mb()) / len(ready):.0f} MB of the host's")
        print(f"  by its containers: {_describe_memory(opened[0])}")
    began = time.monotonic()
    for one in opened:
        sessions.end(one)
    print(f"  all ended after {time.monotonic() - began:.1f} s")


def _describe_memory(session: str) -> str:
    names = docker("ps", "-q", "--filter", f"label=thaw.session={session}").split()
    shown = docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *names)
    parts = (line.split() for line in shown.splitlines())
    return ", ".join(f"{part[0].split('-')[-2]} {part[1]}" for part in parts)


def _free_mb() -> float:
    text = Path("/proc/meminfo").read_text()
    return int(text.split("MemAvailable:")[1].split()[0]) / 1024


def _wait(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not happened():
        assert time.monotonic() < end, f"did not happen within {_PATIENCE_S} s"
        time.sleep(0.005)


@contextmanager
def _folder() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="thaw-bench-"))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def _containers() -> Iterator[list[str]]:
    started: list[str] = []
    try:
        yield started
    finally:
        for one in started:
            docker("rm", "-f", "-v", one)


def main(recipe: str = "fv", rounds: str = "7", count: str = "50") -> None:
    """Run everything in the state folder of the settings."""
    bench = Bench()
    os.environ.setdefault("DOCKER_HOST", bench.settings.docker_host or "unix:///var/run/docker.sock")
    program = find_program(bench, recipe)
    plain = sessions_of(bench, quota=Quota(per_user=int(count) + 4, together=int(count) + 4))
    pooled = sessions_of(bench, quota=Quota(idle_displays=1))
    try:
        compare(program, int(rounds), plain, pooled)
    finally:
        pooled.close()
    if int(count):
        open_many(plain, program, int(count))


if __name__ == "__main__":
    main(*sys.argv[1:])
