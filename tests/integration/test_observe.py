"""What observers see of real containers: what was done, all of it where that is promised, and nobody else's doings."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from instantiator.engine import Engine
from instantiator.engine.containers import (
    inspect_container,
    kill_container,
    start_container,
    wait_for_container,
)
from instantiator.engine.door import describe_process
from instantiator.job.spec import ImageDigest, Mount
from instantiator.observe import (
    Observation,
    ObservedContainer,
    ObservedPath,
    Observer,
    choose_observer,
    describe_target,
)
from instantiator.observe.fanotify import Group, Happened, why_not_fanotify
from instantiator.observe.polling import PollingObserver
from instantiator.observe.watching import FanotifyObserver

pytestmark = pytest.mark.docker

UID = 64000
LIVES = "while [ ! -e /work/over ]; do sleep 0.02; done"


def now() -> datetime:
    return datetime.now(UTC)


def names(found: tuple[ObservedPath, ...], folder: str = "/") -> set[str]:
    return {seen.path for seen in found if seen.path.startswith(folder)}


def times(found: tuple[ObservedPath, ...], path: str) -> int:
    return sum(seen.times for seen in found if seen.path == path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Makes hardened containers over one dataset, each with a work folder of its own."""

    engine: Engine
    image: ImageDigest
    folder: Path
    made: list[Path] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @contextmanager
    def container(self, script: str, uid: int = UID) -> Iterator[tuple[ObservedContainer, Path]]:
        """A container that has not started, and its work folder."""
        work = self.folder / f"work-{len(self.made)}"
        self.made.append(work)
        work.mkdir()
        work.chmod(0o777)
        mounts = (
            Mount(source=self.data, target="/data/in"),
            Mount(source=work, target="/work", read_only=False),
        )
        config = {
            **describe_process(("sh", "-c", script), {"PATH": "/bin"}, {}),
            "Image": self.image,
            "User": f"{uid}:{uid}",
            "WorkingDir": "/work",
            "HostConfig": {
                "NetworkMode": "none",
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "ReadonlyRootfs": True,
                "Init": True,
                "LogConfig": {"Type": "none", "Config": {}},
                "Tmpfs": {"/tmp": f"rw,nosuid,nodev,mode=1777,uid={uid},gid={uid},size=16m"},
                "Mounts": [self.engine.describe_mount(mount) for mount in mounts],
            },
        }
        with self.engine.hold_container("thaw-observed", config) as container:
            yield describe_target(self.engine.wire, container, mounts), work

    def start(self, target: ObservedContainer) -> None:
        start_container(self.engine.wire, target.container_id)

    def wait(self, target: ObservedContainer) -> int:
        """The exit status, once it has ended."""
        wait_for_container(self.engine.wire, target.container_id).read_all()
        return inspect_container(self.engine.wire, target.container_id).exit_status

    def observe(self, script: str, observer: Observer | None = None) -> Observation:
        """What is seen of a script that has to end well."""
        observer = observer or FanotifyObserver(now)
        with self.container(script) as (target, _):
            observer.start(target)
            self.start(target)
            assert self.wait(target) == 0
            return observer.stop()


@pytest.fixture
def lab(engine: Engine, tiny_image: ImageDigest, tmp_path: Path) -> Lab:
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    (tmp_path / "data").mkdir()
    for name in ("m31.fits", "m33.fits", "two\nlines.fits", "kept (deleted)"):
        (tmp_path / "data" / name).write_text(f"SIMPLE of {name}")
    return Lab(engine=engine, image=tiny_image, folder=tmp_path)


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_a_file_read_is_seen_and_one_that_is_only_listed_is_not(lab: Lab) -> None:
    seen = lab.observe("cat /data/in/m31.fits; ls -l /data/in")
    assert names(seen.files_read, "/data") == {"/data/in/m31.fits"}
    assert seen.lost_events == 0


def test_every_program_is_seen_from_the_first_on_however_short(lab: Lab) -> None:
    seen = lab.observe("i=0; while [ $i -lt 200 ]; do id -u; i=$((i+1)); done; ls")
    assert names(seen.programs) == {"/bin/sh", "/bin/id", "/bin/ls"}
    assert [times(seen.programs, name) for name in ("/bin/sh", "/bin/id", "/bin/ls")] == [1, 200, 1]
    assert not any("after the container's start" in limit for limit in seen.limits)


def test_the_shortest_container_is_seen_whole_time_and_again(lab: Lab) -> None:
    for _ in range(5):
        seen = lab.observe("exec cat /data/in/m33.fits")
        assert names(seen.programs) == {"/bin/sh", "/bin/cat"}
        assert names(seen.files_read, "/data") == {"/data/in/m33.fits"}


def test_what_is_written_is_told_from_what_is_read(lab: Lab) -> None:
    seen = lab.observe(
        "cat /data/in/m31.fits > /work/out; cat /work/out > /tmp/scratch; echo x >> /dev/shm/x"
    )
    assert names(seen.files_written) == {"/work/out", "/tmp/scratch", "/dev/shm/x"}
    assert "/work/out" in names(seen.files_read)
    assert "/tmp/scratch" not in names(seen.files_read)


def test_removed_files_keep_their_names_and_odd_names_stay_whole(lab: Lab) -> None:
    seen = lab.observe(
        "echo x > /work/gone; cat /work/gone; rm /work/gone; cat '/data/in/kept (deleted)' /data/in/two*"
    )
    assert names(seen.files_written) == {"/work/gone"}
    assert names(seen.files_read, "/data") == {"/data/in/kept (deleted)", "/data/in/two\nlines.fits"}
    assert json.loads(json.dumps(seen.to_json()))["files_written"][0]["path"] == "/work/gone"


def test_a_renamed_file_is_seen_under_both_names_where_both_were_used(lab: Lab) -> None:
    observer = FanotifyObserver(now)
    script = "echo x > /work/out.tmp; while [ ! -e /work/out ]; do sleep 0.01; done; cat /work/out"
    with lab.container(script) as (target, work):
        observer.start(target)
        lab.start(target)
        wait_until(lambda: (work / "out.tmp").exists())
        time.sleep(0.3)
        (work / "out.tmp").rename(work / "out")
        lab.wait(target)
        seen = observer.stop()
    assert names(seen.files_written) == {"/work/out.tmp"}
    assert names(seen.files_read, "/work") == {"/work/out"}


def test_what_others_do_with_the_same_files_is_not_the_containers(lab: Lab) -> None:
    observer = FanotifyObserver(now)
    with lab.container(LIVES) as (target, work):
        observer.start(target)
        lab.start(target)
        lab.observe("cat /data/in/m31.fits; id", observer=FanotifyObserver(now))
        (lab.data / "m33.fits").read_text()
        (work / "over").write_text("written by this host")
        lab.wait(target)
        seen = observer.stop()
    assert (names(seen.files_read, "/data"), names(seen.files_written)) == (set(), set())
    assert names(seen.programs) == {"/bin/sh", "/bin/sleep"}


def test_what_the_kernel_had_to_drop_is_counted_and_said(lab: Lab) -> None:
    """The observer is held at its first event until the container has done more than the queue takes."""
    room = int(Path("/proc/sys/fs/fanotify/max_queued_events").read_text())
    is_over = threading.Event()

    def slow() -> datetime:
        is_over.wait(60)
        return now()

    observer = FanotifyObserver(slow)
    script = f"i=0; while [ $i -lt {room + 2000} ]; do : > /tmp/$i; i=$((i+1)); done"
    with lab.container(script) as (target, _):
        observer.start(target)
        lab.start(target)
        status = lab.wait(target)
        is_over.set()
        seen = observer.stop()
    assert status == 0
    assert seen.lost_events == 1
    assert any("paths are missing" in limit for limit in seen.limits)
    assert len(names(seen.files_written, "/tmp/")) > room // 2


def test_a_killed_container_is_observed_to_its_end(lab: Lab) -> None:
    observer = FanotifyObserver(now)
    with lab.container("cat /data/in/m31.fits; echo x > /work/begun; sleep 60") as (target, work):
        observer.start(target)
        lab.start(target)
        wait_until(lambda: (work / "begun").exists())
        kill_container(lab.engine.wire, target.container_id)
        assert lab.wait(target) == 137
        began = time.monotonic()
        seen = observer.stop()
    assert time.monotonic() - began < 2
    assert (names(seen.files_read, "/data"), names(seen.files_written)) == (
        {"/data/in/m31.fits"},
        {"/work/begun"},
    )


def test_a_container_that_never_started_ends_cleanly_and_nothing_stays_open(lab: Lab) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    observer = FanotifyObserver(now)
    with lab.container("id") as (target, _):
        observer.start(target)
        seen = observer.stop()
    assert (seen.programs, len(list(Path("/proc/self/fd").iterdir()))) == ((), before)
    assert any("nothing was observed" in limit for limit in seen.limits)


def test_a_container_that_runs_already_is_observed_from_now_on_and_that_is_said(lab: Lab) -> None:
    observer = FanotifyObserver(now)
    with lab.container(f"cat /data/in/m31.fits; touch /work/begun; {LIVES}; cat /data/in/m33.fits") as (
        target,
        work,
    ):
        lab.start(target)
        wait_until(lambda: (work / "begun").exists())
        observer.start(describe_target(lab.engine.wire, target.container_id))
        (work / "over").touch()
        lab.wait(target)
        seen = observer.stop()
    assert names(seen.files_read, "/data") == {"/data/in/m33.fits"}
    assert any("after the container's start" in limit for limit in seen.limits)


def test_without_a_known_root_the_container_is_observed_soon_after_its_start(lab: Lab) -> None:
    observer = FanotifyObserver(now)
    with lab.container("sleep 0.4; cat /data/in/m31.fits") as (target, _):
        observer.start(replace(target, root=None))
        lab.start(target)
        lab.wait(target)
        seen = observer.stop()
    assert names(seen.files_read, "/data") == {"/data/in/m31.fits"}
    assert any("after the container's start" in limit for limit in seen.limits)


def test_a_container_held_at_its_first_program_goes_on_once_its_observer_is_killed(lab: Lab) -> None:
    with lab.container("id") as (target, _):
        observing = fork(lambda: stand_still(target))
        lab.start(target)
        os.waitpid(observing, os.WUNTRACED)
        time.sleep(0.3)
        assert inspect_container(lab.engine.wire, target.container_id).is_running
        os.kill(observing, signal.SIGKILL)
        assert lab.wait(target) == 0
        os.waitpid(observing, 0)


def stand_still(target: ObservedContainer) -> None:
    """Guard the container's root as the observer does, and answer nothing."""
    root, gate = target.root, Group(decides=True)
    assert root is not None
    wait_until(root.is_mount)
    gate.mark_file_system(root, Happened.ASKS_TO_EXECUTE)
    os.kill(os.getpid(), signal.SIGSTOP)


def test_polling_sees_what_lasts_and_all_written_files_that_stay(lab: Lab) -> None:
    script = "exec 3< /data/in/m31.fits; sleep 0.3; echo x > /work/out; cat /data/in/m31.fits"
    seen = lab.observe(script, PollingObserver(now))
    assert "/data/in/m31.fits" in names(seen.files_read)
    assert "/data/in/m33.fits" not in names(seen.files_read)
    assert {"/bin/sh", "/bin/sleep"} <= names(seen.programs)
    assert names(seen.files_written) == {"/work/out"}
    assert seen.limits[0].startswith("degraded")


def test_polling_sees_nothing_of_other_containers(lab: Lab) -> None:
    observer = PollingObserver(now)
    with lab.container(LIVES) as (target, work):
        observer.start(target)
        lab.start(target)
        lab.observe("exec 3< /data/in/m31.fits; sleep 0.2")
        (work / "over").touch()
        lab.wait(target)
        seen = observer.stop()
    assert names(seen.files_read, "/data") == set()


def test_an_ordinary_user_gets_polling_and_it_works_for_his_own_containers(lab: Lab) -> None:
    uid = 64017
    with lab.container(f"exec 3< /data/in/m31.fits; {LIVES}", uid) as (target, work):
        lab.start(target)
        answer = ask_as(uid, lambda: observe_for_a_moment(target))
        (work / "over").touch()
        lab.wait(target)
    assert answer["mechanism"] == "polling"
    assert "Operation not permitted" in answer["why"]
    assert "/data/in/m31.fits" in answer["read"]


def test_an_ordinary_user_who_observes_anothers_container_is_told_that_it_cannot_be(lab: Lab) -> None:
    with lab.container(LIVES, 64018) as (target, work):
        lab.start(target)
        answer = ask_as(64017, lambda: observe_for_a_moment(target))
        (work / "over").touch()
        lab.wait(target)
    assert answer["read"] == []
    assert "another user's" in answer["limits"][-1]


def observe_for_a_moment(target: ObservedContainer) -> dict[str, list[str] | str]:
    """What the observer of this user's choice sees of a running container."""
    choice = choose_observer(why_not=why_not_fanotify)
    choice.observer.start(ObservedContainer(container_id=target.container_id))
    time.sleep(0.3)
    seen = choice.observer.stop()
    read = sorted(names(seen.files_read))
    return {"mechanism": seen.mechanism, "why": choice.why, "read": read, "limits": list(seen.limits)}


def ask_as(uid: int, action: Callable[[], dict[str, list[str] | str]]) -> dict[str, list[str] | str]:
    """What an action gives in a fork of this process that has become another user."""
    reading, writing = os.pipe()

    def become_and_act() -> None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        os.write(writing, json.dumps(action()).encode())

    child = fork(become_and_act)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        received = answer.read()
    os.waitpid(child, 0)
    value = json.loads(received)
    assert isinstance(value, dict)
    return value


def fork(action: Callable[[], None]) -> int:
    """A fork of this process that does one thing and ends."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(0)
    return child
