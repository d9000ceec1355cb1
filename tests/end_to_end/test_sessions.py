"""Sessions for real: a program of a locked recipe on a display of ours, through `thaw` and through Python."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy
import pytest

from instantiator.commands.common import Bench
from instantiator.commands.service import find_service
from instantiator.commands.session import sessions_of
from instantiator.display.container import DisplayFolders, read_windows
from instantiator.display.rfb import RfbReader
from instantiator.session.bench import Quota
from instantiator.session.errors import SessionLimit, SessionRefused, SessionUnknown
from instantiator.session.model import OpenSession, Session, SessionLimits, SessionState
from instantiator.session.sessions import Sessions
from provenance.digest import digest_bytes
from provenance.record import Record, record_from_bytes
from tests.end_to_end.conftest import THAW, Thaw

pytestmark = pytest.mark.docker

RECIPE = """\
format: 1
name: xprograms
version: "1"
title: Small X programs
description: >
  A clock and eyes: what sessions are tried with, since they start at once and draw what is known. They need no data
  and no licence, and stand for every program that draws with Xlib alone.
homepage: https://www.x.org/
licence: MIT
citations:
  - doi: 10.1145/22949.24053
maintainers:
  - name: Thaw catalogue
base:
  debian: bookworm
  snapshot: 2026-11-20
packages: [libgl1-mesa-dri, mesa-utils, x11-apps]
guis:
  clock: {title: A clock, command: [xclock], window_class: XClock}
  writer:
    title: Writes a file and shows a clock
    command: [sh, -c, "cat /in/*/* > /work/seen 2>/dev/null; echo written > /work/result; exec xclock"]
    window_class: XClock
  crash:
    title: Shows a clock and crashes
    command: [sh, -c, "xclock & while [ ! -e /work/go ]; do sleep 0.1; done; echo last words >&2; exit 7"]
    window_class: XClock
  filler:
    title: Fills its disk
    command: [sh, -c, "head -c 9000000 /dev/zero > a; head -c 9000000 /dev/zero > b; exec xclock"]
    window_class: XClock
    resources: {disk: 16 MiB}
  missing: {title: A program that is not there, command: [no-such-program], window_class: None}
  hidden: {title: A clock under another name, command: [xclock], window_class: NoSuchClass}
  named:
    title: A clock with a title
    command: [sh, -c, "echo starting; exec xclock -title 'Clock of M31' -geometry 600x500+600+250"]
    window_title: of M31
  full:
    title: A clock that fills the screen
    command: [xclock]
    window_class: XClock
    display: truecolor windows=single
  gears:
    title: Gears drawn with OpenGL
    command: [sh, -c, "glxinfo -B > /work/glxinfo; env > /work/environment; exec glxgears -geometry 600x600"]
    window_title: glxgears
    opengl: software
    logs: [glxinfo]
  keeper:
    title: Has parameters, a log and a cache
    command:
      - sh
      - -c
      - |
        mkdir -p uparm "$XDG_CACHE_HOME/fontconfig" && echo cached > "$XDG_CACHE_HOME/fontconfig/fonts"
        [ -e uparm/clock.par ] || echo 'update,i,h,60' > uparm/clock.par
        echo 'the clock is shown' >> clock.log && echo 1 > result
        exec xclock
    window_class: XClock
    parameter_files: ["uparm/*.par"]
    logs: ["*.log"]
  eyes: {title: Eyes in eight bits, command: [xeyes], display: pseudocolor8, window_class: XEyes}
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Thaw:
    """A Thaw with one recipe, locked and built, and the display's image."""
    root = tmp_path_factory.mktemp("s")
    folder = root / "recipes/xprograms/1"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE)
    made = Thaw(home=root / "home", recipes=root / "recipes")
    made.ok("recipe", "lock", "xprograms")
    made.ok("recipe", "build", "xprograms")
    made.ok("display", "build")
    return made


@pytest.fixture
def bench(small: Thaw, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """What the commands work with, in this process."""
    for name, value in small.environment().items():
        if name.startswith("THAW_"):
            monkeypatch.setenv(name, value)
    return Bench()


@pytest.fixture
def sessions(bench: Bench) -> Iterator[Sessions]:
    """The sessions of that home; all are ended afterwards."""
    made = sessions_of(bench)
    yield made
    for one in made.list():
        made.end(one.id, "the test is over")


@pytest.fixture(autouse=True)
def no_container_of_a_session_is_left(small: Thaw, request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    assert containers(small.home) == [], request.node.name


def containers(home: Path, *more: str) -> list[str]:
    filters = [f"label=thaw.home={home.resolve()}", "label=thaw.session", *more]
    asked = ["docker", "ps", "-aq", *(word for one in filters for word in ("--filter", one))]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()


def container_of(session: str, part: str) -> str:
    asked = ["docker", "ps", "-q", "--filter", f"label=thaw.session={session}"]
    asked += ["--filter", f"label=thaw.part={part}"]
    (found,) = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    return found


def inside(container: str, *command: str) -> str:
    done = subprocess.run(
        ["docker", "exec", container, *command], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def wait_until(happened: Callable[[], bool], *, within_s: float = 30) -> None:
    end = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < end, f"did not happen within {within_s} s"
        time.sleep(0.05)


def opened(sessions: Sessions, gui: str, **more: Any) -> Session:
    """A session that is not launching any more."""
    asked = OpenSession(user="ada", recipe="xprograms", gui=gui, **more)
    session, end = sessions.open(asked), time.monotonic() + 60
    while session.state in (SessionState.LAUNCHING, SessionState.ENDING):
        assert time.monotonic() < end, session
        time.sleep(0.05)
        session = sessions.get(session.id)
    return session


def test_a_session_is_ready_once_its_window_is_drawn(sessions: Sessions) -> None:
    session = opened(sessions, "clock")
    assert session.state is SessionState.READY, session
    assert [step.state.value for step in session.steps] == ["done"] * 4
    assert all(step.seconds is not None for step in session.steps)
    assert session.rfb_socket is not None
    with RfbReader(session.rfb_socket) as reader:
        screen = reader.read_screen()
    assert (screen.width, screen.height, screen.is_drawn()) == (1280, 800, True)
    windows = session.rfb_socket.with_name("windows")
    wait_until(lambda: windows.exists() and "XClock" in windows.read_text())


def test_the_launch_names_the_program_by_its_title_and_its_window(sessions: Sessions) -> None:
    session = opened(sessions, "named")
    assert [step.detail for step in session.steps[2:]] == ["A clock with a title", "window 'Clock of M31'"]


def test_a_window_that_never_comes_is_told_and_the_screen_stays(sessions: Sessions) -> None:
    patient = Sessions(replace(sessions._bench, window_patience_s=2.0))
    session = opened(patient, "hidden")
    assert session.state is SessionState.READY
    assert "no window with class 'NoSuchClass' came within 2 s" in session.message
    assert session.steps[3].detail in session.message
    assert session.rfb_socket is not None
    RfbReader(session.rfb_socket).close()


@pytest.mark.parametrize(
    ("gui", "size"), (("named", (390, 700)), ("full", (390, 700)), ("full", (1500, 900)))
)
def test_windows_follow_a_screen_that_got_another_size(
    sessions: Sessions, gui: str, size: tuple[int, int]
) -> None:
    session = opened(sessions, gui)
    assert session.rfb_socket is not None
    display = container_of(session.id, "display")
    window = read_windows(DisplayFolders(root=session.rfb_socket.parent.parent))[0].id
    ask_for_size(session.rfb_socket, size)

    def is_inside() -> bool:
        told = inside(display, "xwininfo", "-display", ":1", "-id", window)
        left, top, width, height = (
            int(told.split(word)[1].split()[0])
            for word in ("upper-left X:", "upper-left Y:", "Width:", "Height:")
        )
        if gui == "full":
            return (left, top, width, height) == (0, 0, *size)
        return min(left, top) >= 0 and left + width <= size[0] and top + height <= size[1]

    wait_until(is_inside, within_s=10)


def ask_for_size(rfb_socket: Path, size: tuple[int, int]) -> None:
    """Resize a screen as a browser does: SetDesktopSize with one screen."""
    with RfbReader(rfb_socket) as reader:
        reader._socket.sendall(struct.pack(">BxHiii", 2, 3, 0, -239, -308))
        reader._socket.sendall(struct.pack(">BxHHBxIHHHHI", 251, *size, 1, 0, 0, 0, *size, 0))
        time.sleep(0.5)
    with RfbReader(rfb_socket) as reader:
        assert (reader.width, reader.height) == size


def test_a_running_service_opens_and_ends_what_the_shell_asks_for(small: Thaw) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    service = small.start("serve", "--port", port)
    try:
        wait_until(lambda: find_service(small.home) is not None)
        session = small.ok("open", "xprograms", "--gui", "clock", "--workspace", "served")
        assert session["address"] == f"http://127.0.0.1:{port}/sessions/{session['id']}"
        assert f"thaw-{port}" not in (small.home / "sessions" / session["id"] / "session.json").read_text()
        small.ok("session", "stop", session["id"])
        recorded = small.ok("show", session["id"])
        assert recorded["observed"]["files_read"], "the service owns it: it observed"
    finally:
        service.terminate()
        service.wait()
    assert find_service(small.home) is None


def test_without_a_service_the_shell_says_how_to_see_the_session(small: Thaw, sessions: Sessions) -> None:
    command = [str(THAW), "open", "xprograms", "--gui", "clock"]
    told = subprocess.run(command, env=small.environment(), capture_output=True, text=True, check=True).stdout
    assert "start one with `thaw serve`" in told
    assert [one.state for one in sessions.list() if not one.state.is_over()] == [SessionState.READY]


def test_law_4_holds_in_both_containers_and_nothing_listens(sessions: Sessions) -> None:
    session = opened(sessions, "clock")
    for part in ("application", "display"):
        container = container_of(session.id, part)
        status = inside(container, "cat", "/proc/self/status")
        assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
        assert inside(container, "id", "-u").strip() == "64000"
        assert "Read-only file system" in inside(container, "touch", "/usr/x")
        interfaces = inside(container, "cat", "/proc/net/dev").splitlines()[2:]
        assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            assert inside(container, "cat", table).count("\n") == 1, "a TCP port is open"
    application = container_of(session.id, "application")
    assert "ermission denied" in inside(application, "ls", "/thaw/display") or "No such" in inside(
        application, "ls", "/thaw/display"
    )


def test_eight_bit_programs_get_a_pseudocolor_screen_and_no_port(sessions: Sessions) -> None:
    session = opened(sessions, "eyes")
    assert session.state is SessionState.READY, session
    display = container_of(session.id, "display")
    assert "PseudoColor" in inside(display, "xdpyinfo", "-display", ":1").split("default visual id")[1][
        :80
    ] or ("depth of root window:    8 planes" in inside(display, "xdpyinfo", "-display", ":1"))
    assert all(
        inside(display, "cat", table).count("\n") == 1 for table in ("/proc/net/tcp", "/proc/net/tcp6")
    )


def test_a_program_that_is_not_there_fails_the_launch_by_name(sessions: Sessions, small: Thaw) -> None:
    session = opened(sessions, "missing")
    wait_until(lambda: sessions.get(session.id).state is SessionState.FAILED)
    session = sessions.get(session.id)
    assert "no program 'no-such-program'" in session.message
    assert session.steps[3].state.value == "failed"
    assert small.ok("show", session.id)["state"] == "failed"


def test_a_crash_is_told_with_its_last_words_and_the_program_starts_again(sessions: Sessions) -> None:
    session = opened(sessions, "crash")
    (sessions.workspace_dir(session.id) / "go").touch()

    def has_ended() -> bool:
        sessions.supervise(datetime.now(UTC))
        return sessions.get(session.id).state is SessionState.APPLICATION_ENDED

    wait_until(has_ended)
    told = sessions.get(session.id)
    assert (told.exit_status, told.log_tail[-1]) == (7, "last words")
    assert told.rfb_socket is not None
    RfbReader(told.rfb_socket).close()  # the screen is still there
    (sessions.workspace_dir(session.id) / "go").unlink()
    sessions.restart_application(session.id)
    wait_until(lambda: sessions.get(session.id).state is SessionState.READY)


def test_an_end_keeps_the_files_and_writes_the_record(
    sessions: Sessions, bench: Bench, small: Thaw, tmp_path: Path
) -> None:
    (tmp_path / "m31.txt").write_text("observed 1991\n")
    small.ok("dataset", "add", str(tmp_path / "m31.txt"), "--name", "m31")
    session = opened(sessions, "writer", datasets=("m31",), workspace="paper")
    ended = sessions.end(session.id)
    assert (ended.state, ended.end_reason) == (SessionState.ENDED, "by the user")
    shown = small.ok("show", session.id)
    assert shown["state"] == "completed"
    assert ended.record is not None
    record = record_from_bytes(bench.vault.read_bytes(ended.record))
    outputs = {output.path: output.digest for output in record.outputs}
    assert outputs["result"] == digest_bytes(b"written\n")
    assert outputs["seen"] == digest_bytes(b"observed 1991\n")
    assert [(item.dataset, item.mount) for item in record.inputs] == [("m31@1", "/in/m31")]
    assert record.kind == "session" and str(record.parameters["display"]).startswith("truecolor 1280x800")
    again = opened(sessions, "clock", workspace="paper")
    assert (sessions.workspace_dir(again.id) / "result").read_text() == "written\n"
    later = sessions.end(again.id)
    assert later.record is not None
    unchanged = record_from_bytes(bench.vault.read_bytes(later.record))
    assert "result" not in [output.path for output in unchanged.outputs]


def test_a_program_draws_with_opengl_on_the_processor_in_a_hardened_container(sessions: Sessions) -> None:
    session = opened(sessions, "gears")
    assert session.state is SessionState.READY, session
    asked = ["docker", "inspect", container_of(session.id, "application")]
    (told,) = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
    host = told["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["NetworkMode"]) == (True, ["ALL"], "none")
    assert not host["CapAdd"] and not host["Devices"]
    assert told["Config"]["User"].partition(":")[0] not in ("", "0", "root")
    said = (sessions.workspace_dir(session.id) / "glxinfo").read_text()
    assert "OpenGL renderer string: llvmpipe" in said, said
    wait_until(lambda: {"red", "green", "blue"} <= pure_colours(session))
    record = record_of(sessions, session)
    assert [output.path for output in record.outputs if output.name == "log"] == ["glxinfo"]
    assert record.job is not None and record.job.environment["MESA_SHADER_CACHE_DISABLE"] == "true"


def pure_colours(session: Session) -> set[str]:
    """Which of the three colours are on the screen by themselves, on many pixels: the gears have one each."""
    assert session.rfb_socket is not None
    with RfbReader(session.rfb_socket) as reader:
        pixels = numpy.frombuffer(reader.read_screen().pixels, dtype=numpy.uint8).reshape(-1, 4)
    found = set()
    for channel, colour in enumerate(("blue", "green", "red")):
        others = [other for other in range(3) if other != channel]
        is_pure = (pixels[:, channel] > 150) & (pixels[:, others].max(axis=1) < 80)
        if is_pure.sum() > 2000:
            found.add(colour)
    return found


def record_of(sessions: Sessions, session: Session) -> Record:
    """End a session and read its record."""
    ended = sessions.end(session.id)
    assert ended.record is not None
    return record_from_bytes(sessions._bench.vault.read_bytes(ended.record))


def test_parameter_files_and_logs_are_recorded_by_their_role_and_caches_not_at_all(
    small: Thaw, sessions: Sessions
) -> None:
    first = opened(sessions, "keeper", workspace="kept")
    record_of(sessions, first)
    second = opened(sessions, "keeper", workspace="kept")
    record = record_of(sessions, second)
    roles = [(output.name, output.path) for output in record.outputs]
    assert roles == [("parameter-file", "uparm/clock.par"), ("log", "clock.log")]
    content = [sessions._bench.vault.read_bytes(output.digest) for output in record.outputs]
    assert content == [b"update,i,h,60\n", b"the clock is shown\n" * 2]
    shown = small.ok("session", "show", first.id)["files"]
    assert {role: [file["path"] for file in files] for role, files in shown.items()} == {
        "workspace": ["result"],
        "parameter-file": ["uparm/clock.par"],
        "log": ["clock.log"],
    }
    assert shown["log"][0]["sha256"] == digest_bytes(b"the clock is shown\n")


def test_launches_beyond_those_at_a_time_wait_for_their_turn_and_say_so(bench: Bench) -> None:
    sessions = sessions_of(bench, quota=Quota(launches=1))
    names = [
        sessions.open(OpenSession(user="ada", recipe="xprograms", gui="clock", workspace=f"w{number}")).id
        for number in range(3)
    ]
    waited: set[str] = set()

    def are_ready() -> bool:
        waited.update(sessions.get(name).steps[0].detail for name in names)
        return all(sessions.get(name).state is SessionState.READY for name in names)

    wait_until(are_ready)
    assert {"waiting for 1 other launch", "waiting for 2 other launches"} <= waited
    for name in names:
        sessions.end(name)


def test_limits_end_a_session_and_say_which(bench: Bench) -> None:
    sessions = sessions_of(bench, limits=SessionLimits(idle_s=30, absolute_s=60))
    idle, old = opened(sessions, "clock", workspace="a"), opened(sessions, "clock", workspace="b")
    now = idle.created
    sessions.supervise(now + timedelta(seconds=20))
    assert not sessions.get(idle.id).state.is_over()
    sessions.supervise(now + timedelta(seconds=45))
    wait_until(lambda: sessions.get(idle.id).state is SessionState.ENDED)
    assert sessions.get(idle.id).end_reason == "idle for 30 s"
    wait_until(lambda: sessions.get(old.id).state is SessionState.ENDED)
    third = opened(sessions, "clock", workspace="c")
    sessions.extend(third.id)
    sessions.supervise(third.created + timedelta(seconds=3600))
    wait_until(lambda: sessions.get(third.id).state is SessionState.ENDED)
    assert sessions.get(third.id).end_reason == "its 60 s are over"


def test_a_user_is_refused_by_the_name_and_value_of_the_limit(bench: Bench) -> None:
    sessions = sessions_of(bench, quota=Quota(per_user=1))
    first = opened(sessions, "clock")
    with pytest.raises(SessionLimit, match="the limit per_user is 1"):
        sessions.open(OpenSession(user="ada", recipe="xprograms", workspace="other"))
    other = sessions.open(OpenSession(user="grace", recipe="xprograms"))
    with pytest.raises(SessionUnknown) as theirs:
        sessions.get(other.id, user="ada")
    with pytest.raises(SessionUnknown) as nobodys:
        sessions.get("20200101-000000-xxxx", user="ada")
    assert theirs.value.message.replace(other.id, "") == nobodys.value.message.replace(
        "20200101-000000-xxxx", ""
    )
    sessions.end(first.id)
    sessions.end(other.id)


def test_a_workspace_in_use_is_not_given_twice(sessions: Sessions) -> None:
    session = opened(sessions, "clock")
    with pytest.raises(SessionRefused, match=session.id):
        sessions.open(OpenSession(user="ada", recipe="xprograms", gui="clock"))


def test_a_session_outlives_its_process_and_is_found_again(small: Thaw, sessions: Sessions) -> None:
    """`thaw open` is the process that launched it, and it is gone."""
    opened_by_shell = small.ok("open", "xprograms", "--gui", "clock")
    assert opened_by_shell["state"] == "ready"
    (found,) = sessions.recover()
    assert (found.id, found.state) == (opened_by_shell["id"], SessionState.READY)
    assert [one["id"] for one in small.ok("sessions")["sessions"]] == [found.id]
    stopped = small.ok("session", "stop", found.id[-4:])
    assert (stopped["state"], stopped["end_reason"]) == ("ended", "by the user")


def test_a_launch_whose_process_was_killed_is_told_and_leaves_nothing(
    small: Thaw, sessions: Sessions
) -> None:
    process = small.start("open", "xprograms", "--gui", "clock", "--workspace", "killed")
    wait_until(lambda: bool(containers(small.home)))
    process.kill()
    process.wait()
    sessions.recover()
    wait_until(lambda: all(one.state.is_over() or one.state.has_screen() for one in sessions.list()))
    for one in sessions.list():
        if one.state.has_screen():
            sessions.end(one.id)
    wait_until(lambda: containers(small.home) == [])


def test_a_killed_display_is_told_and_the_files_are_kept(sessions: Sessions) -> None:
    session = opened(sessions, "writer")
    subprocess.run(["docker", "kill", container_of(session.id, "display")], check=True, capture_output=True)

    def is_failed() -> bool:
        sessions.supervise(datetime.now(UTC))
        return sessions.get(session.id).state is SessionState.FAILED

    wait_until(is_failed)
    told = sessions.get(session.id)
    assert "the display ended" in told.message
    assert told.record is not None


def test_a_program_that_fills_its_disk_is_stopped_and_told(sessions: Sessions) -> None:
    session = opened(sessions, "filler")
    assert session.state is SessionState.READY, session
    sessions.supervise(datetime.now(UTC).replace(second=10))
    told = sessions.get(session.id)
    assert told.state is SessionState.APPLICATION_ENDED
    assert "disk limit" in told.message


def test_what_a_session_read_is_observed_and_recorded(bench: Bench) -> None:
    sessions = sessions_of(bench, is_observing=True)
    session = opened(sessions, "writer")
    ended = sessions.end(session.id)
    assert ended.record is not None
    observed = record_from_bytes(bench.vault.read_bytes(ended.record)).observed
    assert observed is not None
    assert observed["mechanism"] != "none", observed


def test_an_orphan_is_removed(sessions: Sessions, small: Thaw) -> None:
    session = opened(sessions, "clock")
    file = small.home / "sessions" / session.id / "session.json"
    kept = json.loads(file.read_text())
    file.unlink()
    sessions.supervise(datetime.now(UTC))
    assert containers(small.home) == []
    assert kept["session"]["id"] == session.id


def test_an_idle_display_makes_a_session_start_with_one_container(bench: Bench, small: Thaw) -> None:
    sessions = sessions_of(bench, quota=Quota(idle_displays=1))
    sessions.supervise(datetime.now(UTC))
    wait_until(lambda: len(sessions._pool._idle) == 1)
    session = opened(sessions, "clock")
    assert "from the pool" in session.steps[1].detail, session.steps
    sessions.close()
    again = replace(session, state=session.state)
    others = sessions_of(bench)  # another process: its pool knows nothing of that display
    others.supervise(datetime.now(UTC))
    assert others.get(again.id).state is SessionState.READY
    assert others.end(session.id).state is SessionState.ENDED
