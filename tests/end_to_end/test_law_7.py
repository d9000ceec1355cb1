"""Kill anything at any moment: nothing finished is lost, nothing unfinished is called finished, nothing is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Thaw
from tests.end_to_end.test_main_job import SFT2, locked_image

pytestmark = pytest.mark.docker
SLEEP = ("run", "rosetta-eps", "sleep")


def wait_until(happened: Callable[[], bool], *, within_s: float) -> None:
    end = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < end, f"did not happen within {within_s} s"
        time.sleep(0.1)


def running_containers() -> list[str]:
    listed = subprocess.run(
        ["docker", "ps", "-aq", "--filter", "label=thaw.run"], capture_output=True, text=True, check=True
    )
    return listed.stdout.split()


def started_run(thaw: Thaw) -> str:
    """The newest run, once its program has said that it started."""

    def has_started() -> bool:
        runs = thaw.ok("runs", "-n", "1")["runs"]
        return bool(runs) and runs[0]["thread"] == "sleep" and said(runs[0]["run"]).exists()

    def said(run: str) -> Path:
        return thaw.home / "runs" / run / "out/said"

    wait_until(has_started, within_s=30)
    return str(thaw.ok("runs", "-n", "1")["runs"][0]["run"])


def test_ctrl_c_cancels_the_run_and_records_it(probing: Thaw) -> None:
    process = probing.start(*SLEEP)
    run = started_run(probing)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    shown = probing.ok("show", run)
    assert (shown["state"], shown["log"] is not None) == ("cancelled", True)
    assert running_containers() == []


def test_a_killed_thaw_leaves_no_container_and_the_next_one_records_the_run(probing: Thaw) -> None:
    process = probing.start(*SLEEP)
    run = started_run(probing)
    process.kill()
    process.wait(30)
    wait_until(lambda: running_containers() == [], within_s=10)
    assert probing.ok("runs", "-n", "1")["runs"][0]["state"] == "executing"
    probing.ok(*SFT2)
    shown = probing.ok("show", run)
    assert (shown["state"], shown["outputs"]) == ("interrupted", [])
    assert "killed" in shown["message"]


def test_the_whole_process_group_may_be_killed(probing: Thaw) -> None:
    process = probing.start(*SLEEP)
    started_run(probing)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    wait_until(lambda: running_containers() == [], within_s=10)


@pytest.mark.parametrize(("thread", "state"), [("hog", "out-of-memory"), ("overrun", "timed-out")])
def test_a_run_beyond_its_bounds_is_recorded_with_the_reason(probing: Thaw, thread: str, state: str) -> None:
    answer = probing("run", "rosetta-eps", thread)
    assert (answer.status, answer.data["state"]) == (1, state)
    assert answer.data["message"]
    assert probing.ok("show", answer.data["run"])["state"] == state


@pytest.mark.parametrize("after_s", [0.05, 0.15, 0.25, 0.35, 0.45, 0.6, 0.8, 1.0])
def test_a_kill_at_any_moment_of_a_run_leaves_a_sound_vault_and_a_true_store(
    thaw: Thaw, after_s: float
) -> None:
    known = {run["run"] for run in thaw.ok("runs", "-n", "1000")["runs"]}
    process = thaw.start(*SFT2)
    time.sleep(after_s)
    process.kill()
    process.wait(30)
    thaw.ok(*SFT2)
    wait_until(lambda: running_containers() == [], within_s=10)
    new = [run for run in thaw.ok("runs", "-n", "1000")["runs"] if run["run"] not in known]
    assert {run["state"] for run in new} <= {"completed", "interrupted"}
    assert all(run["record"] for run in new)
    assert thaw.ok("vault", "audit")["rotten"] == []


def test_a_kill_in_the_middle_of_a_build_leaves_nothing_and_the_next_build_is_right(thaw: Thaw) -> None:
    process = thaw.start("recipe", "rebuild", "rosetta-eps")
    time.sleep(4)
    process.kill()
    process.wait(30)

    def tools() -> str:
        listing = ["docker", "ps", "-aq", "--filter", "label=thaw.build"]
        return subprocess.run(listing, capture_output=True, text=True, check=True).stdout

    wait_until(lambda: tools() == "", within_s=15)
    assert thaw.ok("recipe", "rebuild", "rosetta-eps")["identical"] is True
    assert [path for path in (thaw.home / "scratch").iterdir() if path.name.startswith("build-")] == []


@pytest.fixture
def small_disk(thaw: Thaw, tmp_path: Path) -> Iterator[Thaw]:
    """A Thaw whose state folder lies on a file system with 130 MB, most of it taken by the vault."""
    home = tmp_path / "small"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=130m", "tmpfs", str(home)], check=True)
    try:
        (home / "vault").mkdir()
        shutil.copytree(thaw.home / "vault/objects", home / "vault/objects", copy_function=copy_small)
        yield replace(thaw, home=home)
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


def copy_small(source: str, target: str) -> None:
    """Packages and wheels are not needed to run: only small objects go onto the small disk."""
    if Path(source).stat().st_size < 100_000:
        shutil.copyfile(source, target)


@pytest.mark.parametrize("free_kb", [0, 4, 40, 150, 300, 500])
def test_a_full_disk_loses_nothing_finished_and_calls_nothing_finished(
    small_disk: Thaw, free_kb: int
) -> None:
    first = small_disk.ok(*SFT2)
    ballast = small_disk.home / "ballast"
    fill_disk(ballast, free_kb)
    answer = small_disk(
        "run", "rosetta-eps", "simulate", "-d", "eps-bepicolombo-2015", "-p", "output_step=30"
    )
    assert answer.status == 1
    assert (
        "no space" in answer.words.lower() or "disk-full" in answer.words or answer.data["state"] == "failed"
    )
    ballast.unlink()
    again = small_disk.ok(*SFT2)
    states = {run["run"]: run["state"] for run in small_disk.ok("runs")["runs"]}
    assert (states[first["run"]], states[again["run"]]) == ("completed", "completed")
    assert "executing" not in states.values()
    assert small_disk.ok("verify", first["run"])["verdict"] == "identical"
    assert small_disk.ok("vault", "audit")["rotten"] == []


def fill_disk(ballast: Path, free_kb: int) -> None:
    free = shutil.disk_usage(ballast.parent).free - free_kb * 1024
    with ballast.open("wb") as file:
        file.write(bytes(max(free, 0)))
    assert shutil.disk_usage(ballast.parent).free <= (free_kb + 8) * 1024


class OwnEngine:
    """A dockerd of the test's own, with its own state: killing it harms nobody."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # A killed containerd that nobody reaps still "runs" for its successor, which then waits for it in vain.
        (self.folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)
        # In a network of its own: a dockerd without a bridge removes the one it finds, another engine's.
        command = [
            *(
                "unshare",
                "-n",
                "dockerd",
                "--host",
                f"unix://{self.socket}",
                "--data-root",
                str(self.folder / "data"),
            ),
            *("--exec-root", str(self.folder / "exec"), "--pidfile", str(self.folder / "pid")),
            *("--bridge=none", "--iptables=false", "--ip6tables=false"),
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: self.docker("version").returncode == 0, within_s=60)

    def docker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "-H", f"unix://{self.socket}", *arguments], capture_output=True, text=True, check=False
        )

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture
def own_engine(tmp_path_factory: pytest.TempPathFactory, thaw: Thaw) -> Iterator[OwnEngine]:
    folder = Path("/tmp") / f"thaw-engine-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    engine = OwnEngine(folder)
    engine.start()
    archive = folder / "image.tar"
    subprocess.run(["docker", "save", "-o", str(archive), locked_image()], check=True)
    assert engine.docker("load", "-i", str(archive)).returncode == 0
    yield engine
    engine.stop()
    mounts = f"{folder}/data/overlay2/*/merged {folder}/exec/netns/* {folder}/data"
    subprocess.run(["sh", "-c", f"umount -l {mounts} 2>/dev/null; rm -rf {folder}"], check=True)


def test_a_killed_engine_interrupts_the_run_and_the_next_one_works(
    probing: Thaw, own_engine: OwnEngine
) -> None:
    elsewhere = replace(probing, settings={"DOCKER_HOST": f"unix://{own_engine.socket}"})
    process = elsewhere.start(*SLEEP)
    run = started_run(elsewhere)
    own_engine.kill()
    assert process.wait(60) == 1
    assert elsewhere.ok("show", run)["state"] == "interrupted"
    without = elsewhere(*SFT2)
    assert (without.status, "engine-unreachable" in without.words) == (1, True)
    own_engine.start()
    assert elsewhere.ok(*SFT2)["state"] == "completed"
    wait_until(lambda: own_engine.docker("ps", "-aq").stdout == "", within_s=15)
