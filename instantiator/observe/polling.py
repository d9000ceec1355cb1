"""The observer anybody may use: looks into /proc again and again, and compares the writable folders at the end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from instantiator.observe.ledger import Ledger
from instantiator.observe.model import Observation, ObservedContainer
from instantiator.observe.mounts import is_kernel_path
from instantiator.observe.processes import ContainerProcesses

MECHANISM = "polling"
LIMITS = (
    "degraded: looked at every few milliseconds, so what a program does between two looks is not seen",
    "a file is found open, or mapped into memory; one that was read at once and closed is likely missing",
    "a program that lived a few milliseconds is likely missing",
    "written files of the writable folders are complete, but for those removed again",
)
_PAUSE_S = 0.005
_SHARE = 4


class PollingObserver:
    """Observes a container of the same user by /proc; needs no right, misses what is short."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._ledger = Ledger(now)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._target: ObservedContainer | None = None
        self._before: Mapping[str, tuple[int, ...]] = {}
        self._refused = self._looked = 0

    def start(self, target: ObservedContainer) -> None:
        """Begin; files that are in the writable folders by now were not written by the container."""
        self._target = target
        self._before = dict(_list_writable(target))
        self._thread = threading.Thread(
            target=self._look_on, args=(target,), name=f"observe-{target.container_id[:12]}", daemon=True
        )
        self._thread.start()

    def stop(self) -> Observation:
        """End, and compare the writable folders with what was in them."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._target is not None:
            self._compare(self._target)
        self._ledger.limits[:0] = LIMITS
        if self._refused > self._looked:
            self._ledger.limits.append(
                f"{self._refused} times a process of the container could not be looked into: it is another user's"
            )
        return self._ledger.close(MECHANISM)

    def _look_on(self, target: ObservedContainer) -> None:
        processes = ContainerProcesses(target.container_id)
        known: dict[tuple[int, int], str] = {}
        pause = _PAUSE_S
        while not self._ended.wait(pause):
            began = time.thread_time()
            for pid in processes.programs(target.pid):
                self._look_at(pid, known)
            # A container of many processes takes long to look at: never more than a quarter of a processor.
            pause = max(_PAUSE_S, (time.thread_time() - began) * _SHARE)

    def _look_at(self, pid: int, known: dict[tuple[int, int], str]) -> None:
        proc = Path("/proc", str(pid))
        try:
            program = str((proc / "exe").readlink())
            start = int((proc / "stat").read_text().rpartition(")")[2].split()[19])
            if known.get((pid, start)) != program:
                known[(pid, start)] = program
                self._see_program(program)
            for path in _list_mapped(proc):
                self._see_file(path, is_read=True, is_written=False)
            for path, mode in _list_open(proc):
                self._see_file(
                    path,
                    is_read=mode in (os.O_RDONLY, os.O_RDWR),
                    is_written=mode in (os.O_WRONLY, os.O_RDWR),
                )
            self._looked += 1
        except PermissionError:
            self._refused += 1
        except (OSError, ValueError, IndexError):  # it has ended meanwhile
            return

    def _see_program(self, path: str) -> None:
        path = path.removesuffix(" (deleted)")
        self._ledger.programs.add(path, self._ledger.now())

    def _see_file(self, path: str, *, is_read: bool, is_written: bool) -> None:
        path = path.removesuffix(" (deleted)")
        if not path.startswith("/") or path.startswith("/memfd:") or is_kernel_path(path):
            return
        for tally, is_seen in ((self._ledger.read, is_read), (self._ledger.written, is_written)):
            if is_seen and path not in tally:
                tally.add(path, self._ledger.now())

    def _compare(self, target: ObservedContainer) -> None:
        for path, state in _list_writable(target):
            if self._before.get(path) != state and path not in self._ledger.written:
                self._ledger.written.add(path, None)


def _list_open(proc: Path) -> Iterator[tuple[str, int]]:
    """The open regular files of a process, each with its access mode."""
    for descriptor in (proc / "fd").iterdir():
        with suppress(OSError):
            path = str(descriptor.readlink())
            if path.startswith("/"):
                fields = (proc / "fdinfo" / descriptor.name).read_text().split()
                yield path, int(fields[fields.index("flags:") + 1], 8) & os.O_ACCMODE


def _list_mapped(proc: Path) -> Iterator[str]:
    """The files mapped into a process; the kernel writes a line end in a name as `\\012`."""
    seen = set()
    for line in os.fsdecode((proc / "maps").read_bytes()).split("\n"):
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[5].startswith("/"):
            seen.add(fields[5].replace("\\012", "\n"))
    yield from seen


def _list_writable(target: ObservedContainer) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The files of the writable mounts, by their paths in the container, each with what changes on writing."""
    for source in sorted(target.writable):
        for folder, _, names in os.walk(source):
            inside = target.mounts[source] + folder.removeprefix(str(source))
            for name in names:
                with suppress(OSError):
                    found = os.lstat(Path(folder, name))
                    yield (
                        f"{inside}/{name}",
                        (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns),
                    )
