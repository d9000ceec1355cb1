"""The living processes of a container, told by their control group."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_HIERARCHIES = ("pids", "memory", "systemd", "unified", ".")
_NAMES = (
    "docker/{0}",
    "system.slice/docker-{0}.scope",
    "machine.slice/libpod-{0}.scope",
    "libpod_parent/libpod-{0}",
)
_ENGINE_PROGRAMS = frozenset(("exe", "conmon", "docker-init", "podman-init", "catatonit", "tini"))


class ContainerProcesses:
    """The processes of one container; asked again and again."""

    def __init__(self, container_id: str, *, cgroups: Path = _CGROUPS, proc: Path = Path("/proc")) -> None:
        self._id = container_id
        self._proc = proc
        self._places = tuple(
            cgroups / hierarchy / name.format(container_id) / "cgroup.procs"
            for hierarchy in _HIERARCHIES
            for name in _NAMES
        )
        self._place: Path | None = None

    def pids(self, first: int = 0) -> tuple[int, ...]:
        """Those that live now; `first` is one of them, which tells the group where it is in no usual place."""
        if self._place is None:
            self._place = self._find_group(first)
        if self._place is None:
            return ()
        try:
            return tuple(int(line) for line in self._place.read_text().split())
        except OSError:
            self._place = None
            return ()

    def holds(self, pid: int) -> bool:
        """Whether a process that lives belongs to the container."""
        try:
            return self._id in (self._proc / str(pid) / "cgroup").read_text()
        except OSError:
            return False

    def programs(self, first: int = 0) -> tuple[int, ...]:
        """Those that execute a program of the container, not the engine's own runtime or init."""
        return tuple(pid for pid in self.pids(first) if not self._is_of_the_engine(pid))

    def _is_of_the_engine(self, pid: int) -> bool:
        """Told by its name and, before the runtime has given itself one, by its root: still that of this host."""
        place = self._proc / str(pid)
        try:
            name = (place / "comm").read_text().strip()
            if name in _ENGINE_PROGRAMS or name.startswith(("runc:", "crun")):
                return True
            return (place / "root").samefile("/")
        except PermissionError:  # another user's: who may not look at its root cannot look at more
            return False
        except OSError:  # it has ended
            return True

    def _find_group(self, first: int) -> Path | None:
        for place in self._places:
            if place.exists():
                return place
        if not first:
            return None
        with suppress(OSError):
            for line in (self._proc / str(first) / "cgroup").read_text().splitlines():
                _, controllers, path = line.split(":", 2)
                hierarchy = (controllers.removeprefix("name=") or ".").split(",")[0]
                place = _CGROUPS / hierarchy / path.lstrip("/") / "cgroup.procs"
                if self._id in path and place.exists():
                    return place
        return None


def real_path(descriptor: int) -> str:
    """The path of an open file in the view of the container it was opened in, whatever is in its name.

    The kernel adds " (deleted)" to what has no name any more; a name may also end like this by itself.
    """
    path = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115  # once per event: a Path costs as much again
    if path.endswith(" (deleted)") and os.fstat(descriptor).st_nlink == 0:
        return path.removesuffix(" (deleted)")
    return path
