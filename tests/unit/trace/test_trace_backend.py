from __future__ import annotations

import json
from pathlib import Path

import pytest

from instantiator.job.spec import ImageDigest, JobSpec, Limits, Mount, RunId
from instantiator.trace.backend import read_observed, trace_job
from instantiator.trace.errors import BundleTaken
from instantiator.trace.traced import refuse_taken_bundle
from instantiator.trace.tree import PACKAGES, TREE, tracer_command, tracer_lock

JOB = JobSpec(
    run=RunId("r"),
    image=ImageDigest("sha256:" + "0" * 64),
    image_name="thaw/x:1",
    command=("prog", "a b"),
    environment={"HOME": "/work"},
    mounts=(Mount(source=Path("/data"), target="/in/data"),),
    limits=Limits(memory_mb=100, cpus=1, processes=10, disk_mb=100, log_mb=1, time_s=10),
)


def test_a_traced_job_is_the_same_job_with_the_tracer_mounted_to_read_and_more_room() -> None:
    traced = trace_job(JOB, tree=Path("/cache/tracer"), folder=Path("/runs/trace"))
    assert traced.command[-3:] == ("/thaw/trace", "prog", "a b")
    assert (traced.image, traced.environment, traced.uid, traced.network) == (
        JOB.image,
        JOB.environment,
        64000,
        False,
    )
    assert traced.mounts[0] == JOB.mounts[0]
    assert {m.target: m.read_only for m in traced.mounts[1:]} == {
        TREE: True,
        f"{TREE}/inside.py": True,
        "/thaw/trace": False,
    }
    assert traced.limits.time_s > JOB.limits.time_s
    assert traced.limits.memory_mb > JOB.limits.memory_mb
    assert (traced.limits.log_mb, traced.limits.cpus) == (JOB.limits.log_mb, JOB.limits.cpus)


def test_the_tracer_is_started_by_its_own_loader_so_that_the_image_needs_no_python() -> None:
    command = tracer_command("/thaw/trace", ("prog",))
    assert command[0].startswith(f"{TREE}/")
    assert "ld-linux" in command[0]
    assert all(not part.startswith(("/usr", "/lib", "/bin")) for part in command)


def test_the_locked_tracer_has_all_it_needs_and_nothing_else() -> None:
    lock = tracer_lock()
    assert {package.name for package in lock.packages} == PACKAGES
    assert {"reprozip", "websockify"} <= {wheel.name for wheel in lock.python}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"files_read": 1}',
        '{"files_read": [], "files_written": [], "programs": [{"path": "/x"}]}',
        "[" * 9999,
    ],
)
def test_what_a_forged_or_torn_trace_tells_is_not_believed(content: str, tmp_path: Path) -> None:
    (tmp_path / "observed.json").write_text(content)
    assert read_observed(tmp_path)["mechanism"] == "none"


def test_a_whole_trace_becomes_an_observation(tmp_path: Path) -> None:
    seen = {"files_read": [{"path": "/in/a", "times": 2, "first": None}], "files_written": [], "programs": []}
    (tmp_path / "observed.json").write_text(json.dumps(seen))
    observed = read_observed(tmp_path)
    assert (observed["mechanism"], observed["files_read"]) == ("reprozip", seen["files_read"])


def test_a_taken_file_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "a.rpz").touch()
    with pytest.raises(BundleTaken, match="there is a file already"):
        refuse_taken_bundle(tmp_path / "a.rpz")
    with pytest.raises(BundleTaken, match="not there"):
        refuse_taken_bundle(tmp_path / "missing" / "a.rpz")
