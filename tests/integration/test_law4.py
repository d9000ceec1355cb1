"""Law 4, proven from inside: a container gets nothing by default. Each test asks the container itself."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.engine import Engine, MountRefused
from instantiator.job.backends.docker import DockerBackend
from instantiator.job.spec import ImageDigest, JobEnd, JobResult, JobSpec, Limits, Mount, RunId
from tests.engine_fixtures import TINY_NAME

pytestmark = pytest.mark.docker

MIB = 1 << 20
LIMITS = Limits(memory_mb=96, cpus=0.5, processes=24, disk_mb=32, log_mb=1, time_s=30)
ROOT = Path(__file__).parents[2]


class Inside:
    """A shell in a hardened container: asks one thing per container."""

    def __init__(self, engine: Engine, image: ImageDigest, folder: Path) -> None:
        self.backend = DockerBackend(engine, home=folder)
        for name in ("work", "scenario"):
            (folder / name).mkdir()
        (folder / "scenario/session.json").write_text("{}")
        self.job = JobSpec(
            run=RunId(f"law4-{os.getpid()}"),
            image=image,
            image_name=TINY_NAME,
            command=("sh",),
            environment={"PATH": "/bin"},
            mounts=(
                Mount(source=folder / "work", target="/work", read_only=False),
                Mount(source=folder / "scenario", target="/data/scenario"),
            ),
            limits=LIMITS,
        )

    def execute(self, script: str, job: JobSpec | None = None) -> tuple[JobResult, str]:
        """The result and the log of a shell script."""
        asked = replace(job or self.job, command=("sh", "-c", script))
        log = io.BytesIO()
        result = self.backend.execute(asked, log=log, cancel=threading.Event())
        return result, log.getvalue().decode()

    def ask(self, script: str, job: JobSpec | None = None) -> str:
        """What a shell script that has to end well prints."""
        result, log = self.execute(script, job)
        assert (result.end, result.exit_status) == (JobEnd.EXITED, 0), (result, log)
        return log.strip()

    def status(self, job: JobSpec | None = None) -> dict[str, str]:
        """/proc/self/status of a process in the container."""
        lines = self.ask("cat /proc/self/status", job).splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


@pytest.fixture
def inside(engine: Engine, tiny_image: ImageDigest, tmp_path: Path) -> Inside:
    return Inside(engine, tiny_image, tmp_path)


def test_a_job_has_no_capability_and_cannot_gain_any(inside: Inside) -> None:
    status = inside.status()
    sets = {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert (sets, status["NoNewPrivs"]) == ({16 * "0"}, "1")


def test_system_calls_are_filtered(inside: Inside) -> None:
    assert inside.status()["Seccomp"] == "2"


def test_a_job_is_an_arbitrary_user_and_in_no_other_group(inside: Inside) -> None:
    job = replace(inside.job, uid=64017)
    assert inside.ask("id -u; id -g; id -G", job).split() == ["64017", "64017", "64017"]


def test_there_is_no_interface_but_loopback(inside: Inside) -> None:
    assert inside.ask("ls /sys/class/net") == "lo"


def test_a_granted_network_is_there(inside: Inside) -> None:
    assert "eth0" in inside.ask("ls /sys/class/net", replace(inside.job, network=True)).split()


def test_the_root_is_read_only(inside: Inside) -> None:
    places = "/bin/osve /etc/passwd /data/x /x /dev/x /sys/x /proc/sys/kernel/hostname"
    refused = inside.ask(f"for place in {places}; do touch $place 2>/dev/null || echo $place; done")
    assert refused.split() == places.split()
    assert " ro," in inside.ask("grep ' / ' /proc/mounts")


def test_a_granted_writable_root_is_writable_and_bounded(inside: Inside) -> None:
    job = replace(inside.job, writable_root=True, capabilities=("DAC_OVERRIDE",))
    assert inside.ask("echo written > /etc/eps.cfg && cat /etc/eps.cfg", job) == "written"
    result, _ = inside.execute(
        "for i in 1 2 3 4 5; do head -c 20000000 /dev/zero > /etc/$i; done; sleep 20", job
    )
    assert result.end is JobEnd.DISK_LIMIT


def test_tmp_is_writable_bounded_and_gives_no_device_and_no_setuid(inside: Inside) -> None:
    options = inside.ask("grep ' /tmp ' /proc/mounts").split()[3].split(",")
    assert {"rw", "nosuid", "nodev"} <= set(options)
    _, log = inside.execute(
        "for i in 1 2 3; do head -c 30000000 /dev/zero > /tmp/$i; done; cat /tmp/* | wc -c"
    )
    assert "No space left on device" in log
    assert 30_000_000 < int(log.splitlines()[-1]) <= LIMITS.disk_mb * MIB


def test_memory_is_bounded_and_there_is_no_swap_beyond(inside: Inside) -> None:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        limits = inside.ask("cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory.swap.max").split()
        assert limits == [str(LIMITS.memory_mb * MIB), "0"]
    else:
        assert inside.ask("cat /sys/fs/cgroup/memory/memory.limit_in_bytes") == str(LIMITS.memory_mb * MIB)
    assert inside.execute("tail /dev/zero")[0].end is JobEnd.OUT_OF_MEMORY


def test_a_loop_of_forks_meets_the_limit_of_processes(inside: Inside) -> None:
    script = "i=0; while [ $i -lt 200 ]; do sleep 9 & i=$((i+1)); echo $i; done"
    _, log = inside.execute(f"({script}) 2>&1; echo over")
    begun = [int(line) for line in log.splitlines() if line.isdigit()]
    assert 5 < max(begun) < LIMITS.processes


def test_processor_time_is_bounded(inside: Inside) -> None:
    result, _ = inside.execute("i=0; while [ $i -lt 900000 ]; do i=$((i+1)); done")
    assert result.cpu_s is not None
    assert result.wall_s > 0.3, "the loop is too short to show anything"
    assert result.cpu_s / result.wall_s < LIMITS.cpus + 0.25


def test_files_processes_may_hold_and_write_are_bounded(inside: Inside) -> None:
    limits = inside.ask("cat /proc/self/limits")
    rows = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()}
    assert rows["Max core file size"] == ["0", "0"]
    assert rows["Max open files"] == ["1024", "4096"]
    assert rows["Max file size"] == 2 * [str(LIMITS.disk_mb * MIB)]


def test_an_input_can_be_read_and_not_be_changed(inside: Inside, tmp_path: Path) -> None:
    script = "cat /data/scenario/session.json; for verb in 'touch' 'rm -f' 'chmod 777'; do"
    log = inside.ask(f"{script} $verb /data/scenario/session.json 2>/dev/null || echo refused; done")
    assert log == "{}" + "refused\n" * 2 + "refused"
    assert (tmp_path / "scenario/session.json").read_text() == "{}"


def test_the_engines_socket_is_nowhere_to_be_seen(inside: Inside) -> None:
    assert inside.ask("ls /run /var/run 2>/dev/null; grep -c docker.sock /proc/mounts || true") == "0"


def test_the_engines_socket_cannot_be_mounted(inside: Inside, engine: Engine) -> None:
    folder = engine.wire.socket_path.resolve().parent
    job = replace(inside.job, mounts=(*inside.job.mounts, Mount(source=folder, target="/data/run")))
    with pytest.raises(MountRefused, match="engine's socket"):
        inside.execute("ls /data/run", job)


def test_nothing_of_the_hosts_environment_is_seen(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.observatory.example:3128")
    monkeypatch.setenv("SAS_LICENCE", "secret")
    names = {line.partition("=")[0] for line in inside.ask("env").splitlines()}
    assert names <= {"PATH", "HOSTNAME", "HOME", "PWD", "SHLVL", "_", "OLDPWD"}


def test_the_host_has_no_name_and_no_processes_inside(inside: Inside) -> None:
    assert inside.ask("cat /proc/sys/kernel/hostname") == "thaw"
    assert len(inside.ask("ls -d /proc/[0-9]*").split()) <= 4


def test_the_control_groups_of_the_host_are_not_seen(inside: Inside) -> None:
    paths = {line.split(":", 2)[2] for line in inside.ask("cat /proc/self/cgroup").splitlines()}
    assert paths == {"/"}


def test_shared_memory_is_the_jobs_own(inside: Inside) -> None:
    assert inside.ask("ls /dev/shm") == ""
    assert str(Path("/proc/self/ns/ipc").readlink()) != inside.ask("ls -l /proc/self/ns/ipc").split()[-1]


def test_a_granted_capability_is_the_only_one(inside: Inside) -> None:
    status = inside.status(replace(inside.job, capabilities=("SYS_PTRACE",)))
    only_ptrace = f"{1 << 19:016x}"
    assert (status["CapEff"], status["CapBnd"], status["NoNewPrivs"]) == (only_ptrace, only_ptrace, "1")


def test_the_files_a_job_finds_in_a_writable_mount_are_its_own(inside: Inside, tmp_path: Path) -> None:
    (tmp_path / "work/deep").mkdir(mode=0o700)
    (tmp_path / "work/deep/top.itl").write_text("Version: 1")
    (tmp_path / "work/link").symlink_to("/etc/hostname")
    owner = Path("/etc/hostname").stat().st_uid
    assert inside.ask("echo more >> /work/deep/top.itl && wc -l < /work/deep/top.itl") == "1"
    assert Path("/etc/hostname").stat().st_uid == owner


AS_ORDINARY_USER = """
import io, os, sys, threading
from pathlib import Path
from instantiator.engine import Engine
from instantiator.job.backends.docker import DockerBackend
from instantiator.job.spec import *
socket, image, work, group, sys.executable = sys.argv[1:]
os.setgroups([int(group)])
os.setresgid(4321, 4321, 4321)
os.setresuid(4321, 4321, 4321)
job = JobSpec(
    run=RunId("ordinary"),
    image=ImageDigest(image),
    image_name="",
    command=("sh", "-c", "touch /work/out; id -u"),
    environment={"PATH": "/bin"},
    mounts=(Mount(source=Path(work), target="/work", read_only=False),),
    limits=Limits(memory_mb=64, cpus=1, processes=16, disk_mb=16, log_mb=1, time_s=20),
)
log = io.BytesIO()
backend = DockerBackend(Engine.connect("unix://" + socket), home=Path(work))
print(backend.execute(job, log=log, cancel=threading.Event()).exit_status, log.getvalue().decode().strip())
"""


def test_an_ordinary_users_job_runs_as_that_user_and_the_outputs_are_his(
    engine: Engine, tiny_image: ImageDigest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    anybodys_python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    assert anybodys_python is not None, "this test needs a python3 that every user may execute"
    socket = engine.wire.socket_path
    group = socket.stat().st_gid
    work = tmp_path_factory.mktemp("ordinary")
    for folder in (work, *work.parents[:2]):
        folder.chmod(0o755)
    os.chown(work, 4321, 4321)
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            AS_ORDINARY_USER,
            str(socket),
            tiny_image,
            str(work),
            str(group),
            anybodys_python,
        ],
        cwd=ROOT,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout.split(), ended.stderr) == (["0", "4321"], "")
    assert (work / "out").stat().st_uid == 4321
