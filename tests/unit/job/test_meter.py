"""Reading control groups and folders, on made-up ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from instantiator.job.meter import FolderClosed, Usage, find_cgroup, measure_folder

CONTAINER = 64 * "c"


def write(path: Path, text: str) -> None:
    """A file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_group_of_version_1_is_read(tmp_path: Path) -> None:
    memory = tmp_path / "memory/docker" / CONTAINER
    write(memory / "memory.max_usage_in_bytes", "134217728\n")
    write(memory / "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    write(tmp_path / "cpuacct/docker" / CONTAINER / "cpuacct.usage", "1500000000\n")
    files = find_cgroup(CONTAINER, tmp_path)
    assert files is not None
    assert files.read(Usage()) == Usage(cpu_s=1.5, peak_memory_bytes=134217728, oom_kills=2)
    files.close()


def test_a_group_of_version_2_is_read(tmp_path: Path) -> None:
    write(tmp_path / "cgroup.controllers", "cpu memory pids\n")
    group = tmp_path / "system.slice" / f"docker-{CONTAINER}.scope"
    write(group / "memory.peak", "9000000\n")
    write(group / "memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\noom_group_kill 0\n")
    write(group / "cpu.stat", "usage_usec 250000\nuser_usec 200000\nsystem_usec 50000\n")
    files = find_cgroup(CONTAINER, tmp_path)
    assert files is not None
    assert files.read(Usage()) == Usage(cpu_s=0.25, peak_memory_bytes=9000000, oom_kills=1)
    files.close()


def test_without_a_kept_peak_it_is_the_largest_reading(tmp_path: Path) -> None:
    write(tmp_path / "cgroup.controllers", "cpu memory pids\n")
    group = tmp_path / "machine.slice" / f"libpod-{CONTAINER}.scope"
    write(group / "memory.current", "5000\n")
    write(group / "memory.events", "oom_kill 0\n")
    write(group / "cpu.stat", "usage_usec 1\n")
    files = find_cgroup(CONTAINER, tmp_path)
    assert files is not None
    assert files.read(Usage(peak_memory_bytes=7000)).peak_memory_bytes == 7000
    files.close()


def test_there_is_no_group_before_the_container_has_started(tmp_path: Path) -> None:
    assert find_cgroup(CONTAINER, tmp_path) is None


def test_what_was_read_stays_where_a_group_has_gone(tmp_path: Path) -> None:
    memory = tmp_path / "memory/docker" / CONTAINER
    write(memory / "memory.max_usage_in_bytes", "")
    write(memory / "memory.oom_control", "")
    write(tmp_path / "cpuacct/docker" / CONTAINER / "cpuacct.usage", "")
    files = find_cgroup(CONTAINER, tmp_path)
    assert files is not None
    before = Usage(cpu_s=2.0, peak_memory_bytes=4096)
    assert files.read(before) == before
    files.close()


def test_a_folder_is_as_large_as_its_files(tmp_path: Path) -> None:
    write(tmp_path / "eps_output/power_avg.out", "x" * 1_000_000)
    assert 1_000_000 <= measure_folder(tmp_path) < 1_100_000


def test_empty_files_fill_a_disk_too(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / str(number)).touch()
    assert measure_folder(tmp_path) >= 100 * 4096


def test_a_link_is_not_followed_out_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "outside/big", "x" * 1_000_000)
    (tmp_path / "work").mkdir()
    (tmp_path / "work/link").symlink_to(tmp_path / "outside")
    assert measure_folder(tmp_path / "work") < 10_000


def test_a_single_file_is_its_own_size(tmp_path: Path) -> None:
    write(tmp_path / "big", "x" * 50_000)
    assert measure_folder(tmp_path / "big") == 50_000


def test_a_folder_that_was_closed_cannot_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)  # root, who may run this test, is refused nothing
    with pytest.raises(FolderClosed, match=str(tmp_path)):
        measure_folder(tmp_path)
