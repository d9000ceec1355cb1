"""The observer by fanotify: marks on the container's own mounts, set before its first program executes.

A mark on a mount sees what is done through that mount and nothing else, and a container has its mounts for itself:
whoever reads the same dataset elsewhere does it through another mount. So nothing has to be told apart afterwards,
and a process that is gone before its event is read is as well attributed as any other.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from instantiator.observe.fanotify import Event, Group, Happened
from instantiator.observe.ledger import MOST_PATHS, Ledger
from instantiator.observe.model import Observation, ObservationFailed, ObservedContainer
from instantiator.observe.mounts import is_loader, is_worth_watching, read_mounts
from instantiator.observe.processes import ContainerProcesses, real_path

MECHANISM = "fanotify"
WATCHED = (
    Happened.OPEN
    | Happened.OPEN_EXEC
    | Happened.ACCESS
    | Happened.MODIFY
    | Happened.CLOSE_WRITE
    | Happened.CLOSE_NOWRITE
)
LIMITS = (
    "a file counts as read once it was opened for reading, as written once it was open for writing",
    "a file renamed at once may be listed under its later name only",
    "times are lower bounds: the kernel puts equal events together",
    "not seen: listing a folder, asking for a file's state, /proc, /sys, /dev, the dynamic loader as a program",
)
_PATIENCE_S = 0.05
_UNKNOWN_ROOT_PAUSE_S = 0.002
_DRAIN_S = 5.0


class FanotifyObserver:
    """Observes a container by its own mounts; needs CAP_SYS_ADMIN, nothing in the container."""

    def __init__(self, now: Callable[[], datetime], *, watched: int = WATCHED) -> None:
        self._watched = watched
        self._ledger = Ledger(now)
        self._sightings = Sightings(self._ledger)
        self._group: Group | None = None
        self._gate: Group | None = None
        self._namespace = -1
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_marked = False
        self._is_late = True

    def start(self, target: ObservedContainer) -> None:
        """Begin; with `pid` 0 and a known `root` nothing of the container is missed."""
        self._group = Group()
        if target.pid:
            self._try_mark(target.pid)
        self._thread = threading.Thread(
            target=self._watch, args=(target,), name=f"observe-{target.container_id[:12]}", daemon=True
        )
        self._thread.start()

    def stop(self) -> Observation:
        """End; what the container did until now is in the observation."""
        self._ended.set()
        os.eventfd_write(self._end, 1)
        if self._thread is not None:
            self._thread.join()
        os.close(self._end)
        if self._group is not None:
            self._drain(self._group)
            self._group.close()
        if self._namespace >= 0:
            os.close(self._namespace)
            self._namespace = -1
        self._sightings.settle()
        self._say_limits()
        return self._ledger.close(MECHANISM)

    def _say_limits(self) -> None:
        self._ledger.limits[:0] = LIMITS
        if self._ledger.lost:
            self._ledger.limits.append(
                f"{self._ledger.lost} times events were lost, each time an unknown number: paths are missing"
            )
        if not self._is_marked:
            self._ledger.limits.append("nothing was observed: no program of the container was seen to start")
        elif self._is_late:
            self._ledger.limits.append(
                "observation began after the container's start: what was before is missing"
            )

    def _watch(self, target: ObservedContainer) -> None:
        """The thread: wait until the container's mounts are there, mark them, then read events to the end."""
        try:
            if not self._is_marked:
                self._await_start(target)
            self._read_on()
        except (OSError, ObservationFailed) as error:
            self._ledger.lost += 1
            self._ledger.limits.append(f"observation broke off: {error}")
        finally:
            if self._gate is not None:
                self._gate.close()

    def _await_start(self, target: ObservedContainer) -> None:
        processes = ContainerProcesses(target.container_id)
        if target.root is None:
            self._await_process(processes)
        else:
            self._await_root(target.root, processes)

    def _await_process(self, processes: ContainerProcesses) -> None:
        """Without a root to wait for: mark as soon as a program runs. Its first moments are missed."""
        while not self._ended.wait(_UNKNOWN_ROOT_PAUSE_S):
            if self._mark_running(processes):
                return

    def _await_root(self, root: Path, processes: ContainerProcesses) -> None:
        """Stop the first program of the container's root at its threshold; mark the mounts; let it in."""
        gate = self._gate = Group(decides=True)
        ready = select.poll()
        table = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        try:
            ready.register(table, select.POLLPRI)
            ready.register(gate.descriptor, select.POLLIN)
            ready.register(self._end, select.POLLIN)
            while not self._ended.is_set() and not self._is_marked:
                if root.is_mount():
                    self._close_gate(gate, root, processes)
                ready.poll(_PATIENCE_S * 1000)
                for event in gate.read():
                    self._answer(gate, event, processes)
        finally:
            os.close(table)
            gate.close()

    def _close_gate(self, gate: Group, root: Path, processes: ContainerProcesses) -> None:
        """Mark the root. If no program of the container lives by then, none can slip through any more."""
        gate.mark_file_system(root, Happened.ASKS_TO_EXECUTE)
        if not processes.programs():
            self._is_late = False
        else:  # it began before, or executes nothing of its root
            self._is_late = True
            self._mark_running(processes)

    def _answer(self, gate: Group, event: Event, processes: ContainerProcesses) -> None:
        """Mark the mounts of the process that asks, if it is the container's, and let it execute."""
        try:
            if not self._is_marked and processes.holds(event.pid):
                self._try_mark(event.pid)
        finally:
            if event.descriptor >= 0:
                gate.allow(event)
                os.close(event.descriptor)

    def _mark_running(self, processes: ContainerProcesses) -> bool:
        return any(self._try_mark(pid) for pid in processes.programs())

    def _try_mark(self, pid: int) -> bool:
        with suppress(OSError, ObservationFailed):  # the process has ended: the next one will do
            self._mark(pid)
        return self._is_marked

    def _mark(self, pid: int) -> None:
        """Mark every mount the process sees.

        Its mount namespace is kept open until the end: without it the paths of events that are read after
        the container's end would lack the place of their mount.
        """
        assert self._group is not None
        if Path(f"/proc/{pid}/root").samefile("/"):
            raise ObservationFailed(f"process {pid} has the root of this host: expected a container's")
        namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        if self._namespace >= 0:
            os.close(self._namespace)
        self._namespace = namespace
        for mount in filter(is_worth_watching, read_mounts(pid)):
            self._group.mark_mount(Path(f"/proc/{pid}/root{mount.path}"), self._watched)
        self._is_marked = True

    def _read_on(self) -> None:
        assert self._group is not None
        ready = select.poll()
        ready.register(self._group.descriptor, select.POLLIN)
        ready.register(self._end, select.POLLIN)
        while not self._ended.is_set():
            ready.poll()
            self._take(self._group)

    def _drain(self, group: Group) -> None:
        """Read what is queued. A container that goes on working is given up after some seconds."""
        give_up = time.monotonic() + _DRAIN_S
        while self._take(group):
            if time.monotonic() > give_up:
                self._ledger.limits.append("the container was still at work when observation ended")
                return

    def _take(self, group: Group) -> int:
        count = 0
        for event in group.read():
            count += 1
            if event.happened & Happened.OVERFLOW:
                self._sightings.lose()
            if event.descriptor >= 0:
                try:
                    self._sightings.see(event.happened, real_path(event.descriptor))
                except OSError:  # a path longer than the kernel tells
                    self._sightings.lose()
                finally:
                    os.close(event.descriptor)
        return count


class Sightings:
    """Makes events of files into read, written, executed."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._opened: dict[str, datetime] = {}

    def see(self, happened: int, path: str) -> None:
        """One event of the file at `path`."""
        now = self._ledger.now()
        if happened & Happened.OPEN_EXEC and not is_loader(path):
            self._ledger.programs.add(path, now)
        if happened & Happened.OPEN and self._is_new(path):
            self._opened[path] = now
        if happened & Happened.CLOSE_NOWRITE:
            self._count(path, now, is_read=True)
        elif happened & Happened.ACCESS and path not in self._ledger.read:
            self._ledger.read.add(path, self._opened.pop(path, now), times=0)
        if happened & Happened.CLOSE_WRITE:
            self._count(path, now, is_read=False)
        elif happened & Happened.MODIFY and path not in self._ledger.written:
            self._ledger.written.add(path, self._opened.pop(path, now), times=0)

    def lose(self) -> None:
        """The kernel's queue ran over: nobody knows how much is missing."""
        self._ledger.lost += 1

    def settle(self) -> None:
        """A file still open at the end, of which nothing else was seen, may be read from a memory map."""
        for path, first in self._opened.items():
            self._ledger.read.add(path, first)
        self._opened.clear()

    def _is_new(self, path: str) -> bool:
        """Whether nothing is known of a path yet; bounded as the tallies are."""
        known = path in self._opened or path in self._ledger.read or path in self._ledger.written
        return not known and len(self._opened) < MOST_PATHS

    def _count(self, path: str, now: datetime, *, is_read: bool) -> None:
        tally = self._ledger.read if is_read else self._ledger.written
        tally.add(path, self._opened.pop(path, now))
