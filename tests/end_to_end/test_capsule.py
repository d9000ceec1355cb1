"""A capsule repeats and checks its run where Thaw is not: sh, tar, sha256sum and the engine, nothing else."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.browser import chromium, install_scripts
from tests.end_to_end.conftest import Thaw
from tests.end_to_end.probes import add_threads
from tests.end_to_end.serving import serving

pytestmark = pytest.mark.docker
THREADS = {
    "shout": {
        "title": "the same bytes each time",
        "inputs": {"scenario": {"type": "directory", "help": "a scenario"}},
        "parameters": {"word": {"type": "text", "default": "x", "help": "a word"}},
        "script": {
            "language": "sh",
            "text": "id -u > {{ out }}/who; mkdir {{ out }}/d\n"
            "cat {{ inputs.scenario }}/session.json > {{ out }}/d/copy\n"
            "[ ! -w / ] && [ ! -e /sys/class/net/eth0 ]; echo $? > {{ out }}/closed\n",
        },
        "outputs": {"all": {"path": "**", "media_type": "text/plain"}},
    },
    "random": {
        "title": "other bytes each time, judged by bytes and by a rule",
        "script": {
            "language": "sh",
            "text": "cat /proc/sys/kernel/random/uuid > {{ out }}/bytes; cp {{ out }}/bytes {{ out }}/ruled\n"
            "echo same > {{ out }}/same\n",
        },
        "outputs": {
            "bytes": {"path": "bytes", "media_type": "text/plain"},
            "same": {"path": "same", "media_type": "text/plain"},
            "ruled": {"path": "ruled", "media_type": "text/plain", "compare": {"rule": "text"}},
        },
    },
}
SHELLS = (("dash",), ("busybox", "sh"))


@pytest.fixture(scope="module")
def probing(thaw: Thaw, tmp_path_factory: pytest.TempPathFactory) -> Thaw:
    return replace(thaw, recipes=add_threads(tmp_path_factory.mktemp("capsule"), THREADS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Capsule:
    """An unpacked capsule, and a machine that has three programs and the engine."""

    folder: Path
    tools: Path
    record: Any

    def run(self, *arguments: str, shell: tuple[str, ...] = ("dash",)) -> subprocess.CompletedProcess[str]:
        """`sh run.sh` in an empty environment."""
        program = shutil.which(shell[0])
        assert program is not None
        command = [program, *shell[1:], str(self.folder / "run.sh"), *arguments]
        return subprocess.run(
            command, env=self.environment(), cwd="/", capture_output=True, text=True, timeout=300, check=False
        )

    def environment(self) -> dict[str, str]:
        """Where the engine is, and where programs are; no Python, no Thaw, no state folder."""
        engine = {name: os.environ[name] for name in ("DOCKER_HOST",) if name in os.environ}
        return {"PATH": str(self.tools), **engine}


def make_capsule(thaw: Thaw, folder: Path, run: str, *options: str) -> Capsule:
    packed = thaw.ok("capsule", run, "-o", str(folder / "c.tar"), *options)
    assert packed["bytes"] == (folder / "c.tar").stat().st_size
    subprocess.run(["tar", "-xpf", "c.tar"], cwd=folder, check=True)
    tools = folder / "bin"
    tools.mkdir()
    for name in ("tar", "sha256sum", "docker"):
        program = shutil.which(name)
        assert program is not None
        (tools / name).symlink_to(program)
    return Capsule(folder=folder / f"thaw-{run}", tools=tools, record=thaw.ok("show", run))


@pytest.fixture(scope="module")
def shout(probing: Thaw, tmp_path_factory: pytest.TempPathFactory) -> Capsule:
    run = probing.ok("run", "rosetta-eps", "shout", "-d", "eps-bepicolombo-2015", "-p", "word=it's $(id)")
    return make_capsule(probing, tmp_path_factory.mktemp("shout"), run["run"])


@pytest.mark.parametrize("shell", SHELLS)
def test_a_run_is_repeated_identically_where_thaw_is_not(shout: Capsule, shell: tuple[str, ...]) -> None:
    subprocess.run(["docker", "rmi", "-f", shout.record["image"]], check=True, capture_output=True)
    done = shout.run(shell=shell)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"IDENTICAL: all {len(shout.record['outputs'])} outputs" in done.stdout
    outputs = sorted(shout.folder.glob("again-*/out/who"))
    assert outputs[-1].read_text() == "64000\n"
    assert outputs[-1].with_name("closed").read_text() == "0\n"


def test_one_flipped_byte_is_found_before_anything_runs(shout: Capsule, tmp_path: Path) -> None:
    folder = tmp_path / shout.folder.name
    shutil.copytree(shout.folder, folder, symlinks=True)
    with (folder / "inputs/scenario/session.json").open("r+b") as file:
        file.write(b"X")
    done = replace(shout, folder=folder).run()
    assert done.returncode == 2
    assert "inputs/scenario/session.json: FAILED" in done.stderr
    assert "nothing was run" in done.stderr


def test_different_bytes_are_named_and_what_a_rule_allows_is_left_to_thaw(
    probing: Thaw, tmp_path: Path
) -> None:
    run = probing.ok("run", "rosetta-eps", "random")
    capsule = make_capsule(probing, tmp_path, run["run"])
    done = capsule.run()
    assert done.returncode == 4
    assert "DIFFERENT  bytes" in done.stdout
    assert "OTHER      ruled: other bytes; whether rule text allows that needs Thaw to judge" in done.stdout
    assert "DIFFERENT: 1 outputs identical, 1 not, 1 for Thaw to judge" in done.stdout


def test_what_a_capsule_holds_is_what_the_record_names(shout: Capsule) -> None:
    assert shout.run("check").returncode == 0
    for output in shout.record["outputs"]:
        expected = shout.folder / "expected" / output["path"]
        summed = subprocess.run(["sha256sum", expected], capture_output=True, text=True, check=True).stdout
        assert summed.split()[0] == output["sha256"]
    with tarfile.open(shout.folder.parent / "c.tar") as tar:
        assert {(entry.uid, entry.mtime) for entry in tar} == {(0, 0)}
    seen = subprocess.run(
        ["skopeo", "inspect", "--raw", f"oci:{shout.folder}/image"], capture_output=True, check=False
    )
    assert seen.returncode == 0, seen.stderr


def test_a_capsule_without_a_window_says_how_to_get_one(shout: Capsule) -> None:
    done = shout.run("gui")
    assert done.returncode == 2
    assert "--with-gui" in done.stderr


@pytest.fixture(scope="module")
def window(thaw: Thaw, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Capsule, str]]:
    """The window of ESO-MIDAS, opened from a capsule: the address it prints."""
    thaw.ok("recipe", "build", "eso-midas")
    run = thaw.ok("run", "eso-midas", "image-statistics", "-d", "xmm-psr-j0030")
    capsule = make_capsule(thaw, tmp_path_factory.mktemp("window"), run["run"], "--with-gui")
    process = subprocess.Popen(
        ["/bin/sh", "run.sh", "gui"],
        cwd=capsule.folder,
        env=capsule.environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    found = None
    for line in process.stdout:
        if found := re.search(r"http://127\.0\.0\.1:\d+/#[\w-]{32}", line):
            break
    assert found is not None
    yield capsule, found[0]
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(60) == 130
    process.stdout.close()
    left = ["docker", "ps", "-aq", "--filter", f"name=thaw-capsule-{process.pid}-"]
    assert subprocess.run(left, capture_output=True, text=True, check=True).stdout == ""


def test_the_window_opens_in_a_browser_for_who_has_the_password(
    window: tuple[Capsule, str], tmp_path: Path
) -> None:
    _, address = window
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    with chromium(install_scripts(scripts)) as browser:
        browser("goto", tab="wrong", url=re.sub("#.*", "#" + "x" * 32, address))
        browser("until", tab="wrong", on="#said", text="lacks the password")
        browser("goto", tab="main", url=address)
        browser("appear", tab="main", on="#screen canvas")
        end = time.monotonic() + 60
        while (picture := browser.screen(tmp_path / "screen.png", tab="main")).mean() < 0.05:
            assert time.monotonic() < end, "the screen stayed black"
            time.sleep(0.5)
        assert picture.std() > 0.1, "a terminal and an image of the sky"


def test_the_service_gives_the_very_same_capsule(probing: Thaw, shout: Capsule) -> None:
    run = shout.record["run"]
    expected = (shout.folder.parent / "c.tar").read_bytes()
    with serving(probing) as service:
        visitor = service.log_in()
        assert f'href="/runs/{run}/capsule"' in visitor.get(f"/runs/{run}").text
        for path in (f"/runs/{run}/capsule", f"/api/v1/runs/{run}/capsule"):
            answer = visitor.get(path)
            assert (answer.status_code, answer.content == expected) == (200, True), answer.text[:500]
        again = probing.ok("serve", "--login")["url"]
        assert again.startswith(f"{service.base}/login?token=")
