"""Idle displays that wait for a session: a start then costs one container, the application's."""

from __future__ import annotations

import os
import shutil
import threading
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

    def __init__(self, files: SessionFiles, stage: Stage, *, size: int) -> None:
        self._files, self._stage, self._size = files, stage, size
        self._idle: list[IdleDisplay] = []
        self._lock = threading.Lock()
        self._making = False
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
            if self._making or len(self._idle) >= self._size:
                return
            self._making = True
        threading.Thread(target=self._fill, name="display-pool", daemon=True).start()

    def close(self) -> None:
        """Remove the idle displays."""
        with self._lock:
            idle, self._idle, self._size = self._idle, [], 0
        for one in idle:
            self._discard(one.name)

    def _fill(self) -> None:
        try:
            while len(self._idle) < self._size:
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

    def _discard(self, name: str) -> None:
        self._stage.remove_all_of(name)
        shutil.rmtree(self._root(name), ignore_errors=True)

    def _root(self, name: str) -> Path:
        return self._files.root / ".pool" / name
