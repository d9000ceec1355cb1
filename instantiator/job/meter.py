"""What a running job uses: its control group, read every few milliseconds, and its writable mounts.

A container's control group is gone before the engine says that the container has ended, so nothing can be
read afterwards. CPU time is that of the last reading, at most one interval (4 to 100 ms) short, and
includes the 20 ms in which the engine makes the container; peak memory is kept by the kernel and includes
the page cache.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_FIRST_PAUSE_S, _LAST_PAUSE_S, _PAUSE_GROWTH = 0.004, 0.1, 1.05
_DISK_PAUSE_S, _DISK_SHARE = 0.1, 20
_ENTRY_BYTES = 4096
_NAMES = (
    "docker/{0}",
    "system.slice/docker-{0}.scope",
    "machine.slice/libpod-{0}.scope",
    "libpod_parent/libpod-{0}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a job has used so far; None where this host does not let it be read."""

    cpu_s: float | None = None
    peak_memory_bytes: int | None = None
    oom_kills: int = 0
    disk_bytes: int = 0


class Meter:
    """Reads a job's usage in a thread of its own between `start` and `stop`."""

    def __init__(self, container: str, measure_disk: Callable[[], int]) -> None:
        self.usage = Usage()
        self._container = container
        self._measure_disk = measure_disk
        self._pid = 0
        self._files: CgroupFiles | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read_on, name=f"meter-{container[:12]}", daemon=True)

    def start(self) -> None:
        """Begin to read; the container need not have started."""
        self._thread.start()

    def look_at_process(self, pid: int) -> None:
        """Where the control group is, by a process in it: for engines that put it in no usual place."""
        self._pid = pid

    def stop(self) -> Usage:
        """Measure a last time and read no more; once stopped, what it found then."""
        if self._ended.is_set():
            return self.usage
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._read_cgroup()
        self.usage = replace(self.usage, disk_bytes=self._measure_disk())
        if self._files is not None:
            self._files.close()
        return self.usage

    def _read_on(self) -> None:
        pause, disk_due = _FIRST_PAUSE_S, time.monotonic() + _DISK_PAUSE_S
        while not self._ended.wait(pause):
            pause = min(pause * _PAUSE_GROWTH, _LAST_PAUSE_S)
            self._read_cgroup()
            began = time.monotonic()
            if began >= disk_due:
                self.usage = replace(self.usage, disk_bytes=self._measure_disk())
                cost = time.monotonic() - began
                disk_due = began + max(_DISK_PAUSE_S, _DISK_SHARE * cost)

    def _read_cgroup(self) -> None:
        if self._files is None:
            self._files = find_cgroup(self._container) or find_cgroup_of_process(self._pid)
        if self._files is not None:
            self.usage = self._files.read(self.usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupFiles:
    """Open files of one control group: of version 1 (three controllers) or 2."""

    cpu: int
    memory: int
    events: int
    cpu_pattern: re.Pattern[str]
    cpu_unit_s: float

    def read(self, before: Usage) -> Usage:
        """The usage now; what was read before where the group is gone."""
        with suppress(OSError, ValueError, AttributeError):
            cpu = self.cpu_pattern.search(_read(self.cpu))
            peak = max(int(_read(self.memory)), before.peak_memory_bytes or 0)
            kills = re.search(r"^oom_kill (\d+)$", _read(self.events), re.MULTILINE)
            return replace(
                before,
                cpu_s=int(cpu.group(1)) * self.cpu_unit_s if cpu else before.cpu_s,
                peak_memory_bytes=peak,
                oom_kills=int(kills.group(1)) if kills else before.oom_kills,
            )
        return before

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self.cpu, self.memory, self.events):
            os.close(descriptor)


def find_cgroup(container: str, root: Path = _CGROUPS) -> CgroupFiles | None:
    """The control group of a container in the places engines use; None while there is none."""
    for name in _NAMES:
        if (files := open_cgroup(name.format(container), root)) is not None:
            return files
    return None


def find_cgroup_of_process(pid: int, root: Path = _CGROUPS) -> CgroupFiles | None:
    """The control group a process is in; None where it cannot be told, as of process 0."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    paths = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
    path = paths.get("memory") or paths.get("") or "/"
    return open_cgroup(path.lstrip("/"), root) if path != "/" else None


def open_cgroup(name: str, root: Path) -> CgroupFiles | None:
    """The files of the control group `name` below `root`; None where this user cannot read it."""
    if (root / "cgroup.controllers").exists():
        peak = (
            root / name / "memory.peak"
        )  # a kernel before 5.19 keeps no peak: then the largest reading is it
        paths = (root / name / "cpu.stat", peak if peak.exists() else root / name / "memory.current")
        return _open_all((*paths, root / name / "memory.events"), r"^usage_usec (\d+)$", 1e-6)
    memory = root / "memory" / name
    paths = (root / "cpuacct" / name / "cpuacct.usage", memory / "memory.max_usage_in_bytes")
    return _open_all((*paths, memory / "memory.oom_control"), r"^(\d+)$", 1e-9)


def _open_all(paths: tuple[Path, ...], cpu_pattern: str, cpu_unit_s: float) -> CgroupFiles | None:
    opened: list[int] = []
    try:
        opened.extend(os.open(path, os.O_RDONLY) for path in paths)
    except OSError:
        for descriptor in opened:
            os.close(descriptor)
        return None
    cpu, memory, events = opened
    pattern = re.compile(cpu_pattern, re.MULTILINE)
    return CgroupFiles(cpu=cpu, memory=memory, events=events, cpu_pattern=pattern, cpu_unit_s=cpu_unit_s)


def _read(descriptor: int) -> str:
    return os.pread(descriptor, 4096, 0).decode()


class FolderClosed(Exception):
    """A folder cannot be looked into, so what it holds cannot be bounded."""


def measure_folder(folder: Path) -> int:
    """The bytes a folder holds, at least one block per entry: a million empty files fill a disk too.

    Raises `FolderClosed` where a part of it cannot be read.
    """
    return sum(max(_ENTRY_BYTES, size) for size in _sizes(folder))


def _sizes(folder: Path) -> Iterator[int]:
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        found = entry.stat(follow_symlinks=False)
                        yield max(found.st_size, found.st_blocks * 512)
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
        except FileNotFoundError:  # removed by the job meanwhile
            continue
        except NotADirectoryError:  # the mount is a single file
            yield folder.stat().st_size
        except PermissionError as error:
            raise FolderClosed(str(error.filename)) from error
