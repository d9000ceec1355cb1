"""Idle displays that wait for a session: a start then costs one container, the application's."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from instantiator.display.container import DisplayFolders
from instantiator.display.profile import DisplayProfile, parse_profile
from instantiator.display.rfb import RfbFailed, wait_for_rfb
from instantiator.session.files import SessionFiles
from instantiator.session.stage import Stage
from provenance.errors import ThawError

_PREFIX = "pool-"
_PATIENCE_S = 20.0
_DISPLAY_MB = 32
"""What an idle display takes, rounded up: measured by bench/sessions.py."""
_SHARE = 10
"""Idle displays may take one part in so many of the memory that is free."""


def bound_idle(wanted: int, *, free_mb: int) -> int:
    """How many displays may wait: those wanted, as far as they fit in a tenth of the free memory."""
    return min(wanted, free_mb // _SHARE // _DISPLAY_MB)


def read_free_mb(path: Path = Path("/proc/meminfo")) -> int:
    """The memory programs can have on this host without swapping."""
    for line in path.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleDisplay:
    """A display that answers and belongs to nobody yet."""

    name: str
    container: str


class DisplayPool:
    """At most `size` idle displays of the usual profile, made again after each that is taken.

    A display that waits is found by its folder; taking it moves that folder into the session's, which no
    program in the container can tell.
    """

    def __init__(
        self, files: SessionFiles, stage: Stage, *, size: int, free_mb: Callable[[], int] = read_free_mb
    ) -> None:
        self._files, self._stage, self._size, self._free_mb = files, stage, size, free_mb
        self._idle: list[IdleDisplay] = []
        self._lock = threading.Lock()
        self._making = False
        self._filling: threading.Thread | None = None
        self._taken: set[str] = set()

    def take(self, session: str) -> str | None:
        """A display for a session: its folders are the session's then, its container is given.

        None where none waits that is what the session asks for.
        """
        _, backstage = self._files.read(session)
        wanted, usual = parse_profile(backstage.profile), DisplayProfile()
        if not self._size or (wanted.kind, wanted.dpi, wanted.keymap, wanted.windows) != (
            usual.kind, usual.dpi, usual.keymap, usual.windows,
        ):  # fmt: skip
            return None
        with self._lock:
            idle = self._idle.pop(0) if self._idle else None
            if idle is not None:
                self._taken.add(idle.name)
        if idle is None or (state := self._stage.look_at(idle.container)) is None or not state.is_running:
            return None
        target = self._files.folder(session)
        for name in ("x11", "display"):
            (self._root(idle.name) / name).rename(target / name)
        shutil.rmtree(self._root(idle.name), ignore_errors=True)
        return idle.container

    def has_idle(self) -> bool:
        """Whether a display waits."""
        return bool(self._idle)

    def owns(self, name: str) -> bool:
        """Whether a container's label names a display of this pool, waiting or in use by a session."""
        return name.startswith(_PREFIX) and (
            name in self._taken or self._making or any(idle.name == name for idle in self._idle)
        )

    def look_after(self, there: set[str]) -> None:
        """Forget displays that are not among the containers there are, begin to make those that are missing."""
        with self._lock:
            self._idle = [idle for idle in self._idle if idle.name in there]
            self._taken &= there
            if self._making or len(self._idle) >= self._fitting():
                return
            self._making = True
            self._filling = threading.Thread(target=self._fill, name="display-pool", daemon=True)
        self._filling.start()

    def close(self) -> None:
        """Remove the idle displays, and make no more."""
        self._size = 0
        if self._filling is not None:
            self._filling.join()
        with self._lock:
            idle, self._idle = self._idle, []
        for one in idle:
            self._discard(one.name)

    def _fitting(self) -> int:
        """How many may wait now; those that do have their memory already."""
        if not self._size:
            return 0
        return bound_idle(self._size, free_mb=self._free_mb() + len(self._idle) * _DISPLAY_MB)

    def _fill(self) -> None:
        try:
            self._sweep()
            while len(self._idle) < self._fitting():
                made = self._make()
                with self._lock:
                    self._idle.append(made)
        except (ThawError, OSError):
            return  # the next pass tries again
        finally:
            self._making = False

    def _make(self) -> IdleDisplay:
        name = f"{_PREFIX}{os.urandom(4).hex()}"
        folders = DisplayFolders(root=self._root(name))
        container = self._stage.start_display(name, DisplayProfile(), folders)
        try:
            wait_for_rfb(folders.rfb_socket, timeout_s=_PATIENCE_S).close()
        except RfbFailed:
            self._discard(name)
            raise
        return IdleDisplay(name=name, container=container)

    def _sweep(self) -> None:
        """Remove the folders of displays that a killed service kept."""
        known = {idle.name for idle in self._idle}
        for folder in (self._files.root / ".pool").glob(f"{_PREFIX}*"):
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def _discard(self, name: str) -> None:
        self._stage.remove_all_of(name)
        shutil.rmtree(self._root(name), ignore_errors=True)

    def _root(self, name: str) -> Path:
        return self._files.root / ".pool" / name
