"""When a launched program is ready: its declared window is mapped, and the screen is not black."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from instantiator.display.container import DisplayFolders, read_windows
from instantiator.display.rfb import RfbFailed, RfbReader
from instantiator.display.windows import WantedWindow, Window

_BLACK_PATIENCE_S = 3.0
_LOOK_S = 0.03
_CHECK_S = 0.15


class NothingDrawn(Exception):
    """A program that declares no window has drawn nothing for too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFrame:
    """What was there when the wait was over; `window` is None where the declared one never came."""

    window: Window | None
    is_drawn: bool


class Eye:
    """Looks at a display; a connection that breaks (the screen got another size) is made again."""

    def __init__(self, folders: DisplayFolders, reader: RfbReader | None = None) -> None:
        self._folders, self._reader = folders, reader
        self.is_drawn = False

    def __enter__(self) -> Eye:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    def look(self) -> None:
        """See what changes within a moment."""
        try:
            self._reader = self._reader or RfbReader(self._folders.rfb_socket)
            screen = self._reader.wait_for_change(timeout_s=_LOOK_S)
        except RfbFailed:
            self._hang_up()
            time.sleep(_LOOK_S)
            return
        if screen is not None:
            self.is_drawn = screen.is_drawn()

    def _hang_up(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None


def wait_for_frame(
    eye: Eye,
    folders: DisplayFolders,
    wanted: WantedWindow,
    *,
    patience_s: float,
    check: Callable[[], None],
) -> FirstFrame:
    """Wait until the wanted window is mapped and the screen is drawn; of a black window, for 3 s.

    `check` is called now and then and raises where waiting is in vain. Raises `NothingDrawn` where no window is
    declared and nothing comes within `patience_s`.
    """
    started = time.monotonic()
    mapped = checked = 0.0
    while (now := time.monotonic()) - started < patience_s:
        if now - checked > _CHECK_S:
            check()
            checked = now
        eye.look()
        windows = read_windows(folders)
        found = next((one for one in windows if wanted.matches(one)), None)
        if eye.is_drawn and (found is not None or not wanted.is_declared):
            return FirstFrame(window=found, is_drawn=True)
        mapped = (mapped or now) if found is not None else 0.0
        if mapped and now - mapped > _BLACK_PATIENCE_S:  # as terminals may be
            return FirstFrame(window=found, is_drawn=False)
    if not wanted.is_declared:
        raise NothingDrawn
    return FirstFrame(window=None, is_drawn=eye.is_drawn)
