"""`thaw run --trace`: the packed run is one that reprounzip opens and runs to the same outputs."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest
import yaml

from instantiator.engine import Engine
from instantiator.job.backends.docker import DockerBackend
from instantiator.job.spec import ImageDigest, JobEnd, JobResult, JobSpec, Limits, Mount, RunId
from instantiator.trace.backend import TracingBackend
from instantiator.trace.tree import TREE, tracer_lock
from tests.end_to_end.conftest import Thaw
from tests.engine_fixtures import TINY_NAME, engine, tiny_image

__all__ = ["engine", "tiny_image"]
pytestmark = pytest.mark.docker
REPROUNZIP = Path(sys.executable).with_name("reprounzip")


@pytest.fixture(scope="module")
def traced(thaw: Thaw, tmp_path_factory: pytest.TempPathFactory) -> tuple[Thaw, str, Path]:
    """The EPS run, traced and packed."""
    bundle = tmp_path_factory.mktemp("trace") / "eps.rpz"
    run = thaw.ok("run", "rosetta-eps", "simulate", "-d", "eps-bepicolombo-2015", "--trace", str(bundle))
    assert run["bundle"] == str(bundle)
    return thaw, run["run"], bundle


def reprounzip(folder: Path, *arguments: str) -> str:
    """The independent tool, without a network: the busybox it would fetch is this host's static one."""
    cache = folder / "cache/reprozip"
    cache.mkdir(parents=True, exist_ok=True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    shutil.copy(busybox, cache / "busybox-x86_64")
    settings = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder)}
    subprocess.run([REPROUNZIP, "usage_report", "--disable"], env=settings, check=True, capture_output=True)
    done = subprocess.run(
        [REPROUNZIP, *arguments], env=settings, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_traced_run_is_recorded_as_any_other_with_what_the_trace_saw(
    traced: tuple[Thaw, str, Path],
) -> None:
    thaw, run, _ = traced
    record = thaw.ok("show", run)
    assert (record["state"], record["observed"]["mechanism"]) == ("completed", "reprozip")
    assert record["observed"]["findings"] == []
    assert "/usr/local/bin/osve" in {one["path"] for one in record["observed"]["programs"]}
    assert record["job"]["command"][0] == "python3"
    assert thaw.ok("verify", run)["verdict"] == "identical"


def test_the_packed_run_holds_nothing_of_ours_and_no_secret(traced: tuple[Thaw, str, Path]) -> None:
    _, _, bundle = traced
    with tarfile.open(bundle) as outer:
        data, config = outer.extractfile("DATA.tar.gz"), outer.extractfile("METADATA/config.yml")
        assert data is not None and config is not None
        with tarfile.open(fileobj=io.BytesIO(data.read())) as inner:
            names = inner.getnames()
        (run,) = yaml.safe_load(config.read())["runs"]
    assert [name for name in names if TREE in f"/{name}"] == []
    assert run["hostname"] == "thaw"
    assert {name for name in run["environ"] if name.startswith(("THAW", "DOCKER", "PYTHON"))} <= {
        "PYTHONDONTWRITEBYTECODE"
    }


def test_reprounzip_runs_it_to_the_same_outputs(traced: tuple[Thaw, str, Path], tmp_path: Path) -> None:
    thaw, run, bundle = traced
    assert "python3 /thaw/script" in reprounzip(tmp_path, "info", str(bundle))
    reprounzip(tmp_path, "chroot", "setup", "--preserve-owner", str(bundle), "unpacked")
    try:
        reprounzip(tmp_path, "chroot", "run", "unpacked")
        outputs = tmp_path / "outputs"
        shutil.copytree(tmp_path / "unpacked/root/out", outputs)
    finally:
        reprounzip(tmp_path, "chroot", "destroy", "unpacked")
    judged = thaw.ok("verify", run, "--outputs", str(outputs))
    assert judged["verdict"] == "identical"
    assert len(judged["outputs"]) == 36


class Lab:
    """The tracer in the image of a few programs: no Python, no library of its own there."""

    def __init__(self, engine: Engine, image: ImageDigest, thaw: Thaw, folder: Path) -> None:
        self.trace, self.out, self._folder, self._image = folder / "trace", folder / "out", folder, image
        for needed in (self.trace, self.out):
            needed.mkdir()
        tree = thaw.home / "cache/tracer" / tracer_lock().digest.removeprefix("sha256:")[:24]
        self.backend = TracingBackend(DockerBackend(engine, home=folder), tree=tree, folder=self.trace)

    def run(self, script: str, *, time_s: float = 20, cancel_after_s: float | None = None) -> JobResult:
        """One traced shell script. A traced run may take 30 times as long as its recipe allows."""
        job = JobSpec(
            run=RunId("r"),
            image=self._image,
            image_name=TINY_NAME,
            command=("/bin/sh", "-c", script),
            environment={},
            mounts=(Mount(source=self.out, target="/out", read_only=False),),
            limits=Limits(memory_mb=64, cpus=1, processes=20, disk_mb=64, log_mb=1, time_s=time_s),
            working_dir="/out",
        )
        cancel = threading.Event()
        if cancel_after_s is not None:
            threading.Timer(cancel_after_s, cancel.set).start()
        with (self._folder / "log").open("wb") as log:
            return self.backend.execute(job, log=log, cancel=cancel)


@pytest.fixture
def lab(engine: Engine, tiny_image: ImageDigest, traced: tuple[Thaw, str, Path], tmp_path: Path) -> Lab:
    return Lab(engine, tiny_image, traced[0], tmp_path)


def test_an_image_without_python_is_traced_and_its_exit_status_and_output_are_its_own(
    lab: Lab, tmp_path: Path
) -> None:
    result = lab.run("echo said; echo kept > /out/file; exit 7")
    assert (result.end, result.exit_status) == (JobEnd.EXITED, 7), (tmp_path / "log").read_text()
    assert (tmp_path / "log").read_text() == "said\n"
    assert result.observed is not None
    assert result.observed["mechanism"] == "reprozip"
    assert [one["path"] for one in result.observed["files_written"]] == ["/out/file"]  # type: ignore[attr-defined]
    assert lab.backend.bundle.is_file()


def test_a_cancelled_run_keeps_its_trace(lab: Lab) -> None:
    result = lab.run("echo begun > /out/file; sleep 600", cancel_after_s=4)
    assert result.end is JobEnd.CANCELLED
    assert result.observed is not None
    assert result.observed["mechanism"] == "reprozip"


def test_a_program_ended_by_a_signal_ends_as_it_would_untraced(lab: Lab) -> None:
    assert lab.run("kill -9 $$").exit_status == 137
