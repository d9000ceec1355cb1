"""The container of a display, as values: law 4 holds for it as for any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from instantiator.display.image import START_SCRIPT
from instantiator.display.profile import DisplayProfile
from instantiator.display.windows import Window, parse_windows
from instantiator.engine.values import Mount

SHARED = "/thaw/display"
X_SOCKETS = "/tmp/.X11-unix"
NUMBER = ":1"
_FILES = ("start.sh", "openbox-single.xml", "openbox-desktop.xml", "fonts.conf")


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayFolders:
    """The folders of one display on this host: X sockets, and what it shares with whoever looks at it."""

    root: Path

    @property
    def x11(self) -> Path:
        """Holds the X server's socket: shared with the application."""
        return self.root / "x11"

    @property
    def x_socket(self) -> Path:
        """Where programs reach the X server."""
        return self.x11 / f"X{NUMBER.removeprefix(':')}"

    @property
    def shared(self) -> Path:
        """Holds the RFB socket, the log and the list of windows."""
        return self.root / "display"

    @property
    def rfb_socket(self) -> Path:
        """Where the display is looked at."""
        return self.shared / "rfb.sock"

    @property
    def log(self) -> Path:
        """What the X server and the window manager print."""
        return self.shared / "log"

    @property
    def windows(self) -> Path:
        """A line for each window: its id, class and title."""
        return self.shared / "windows"


def display_command(profile: DisplayProfile) -> tuple[str, ...]:
    """The argv of a display."""
    return ("sh", "/thaw/start.sh", *profile.arguments())


def display_mounts(folders: DisplayFolders) -> tuple[Mount, ...]:
    """What a display sees of this host: its two folders, and our script and settings to read."""
    return (
        Mount(source=folders.x11, target=X_SOCKETS, read_only=False),
        Mount(source=folders.shared, target=SHARED, read_only=False),
        *(Mount(source=START_SCRIPT.parent / name, target=f"/thaw/{name}") for name in _FILES),
    )


def display_environment() -> Mapping[str, str]:
    """The environment of a display: the same on every host."""
    return {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/bin:/bin", "HOME": "/tmp"}


def application_environment() -> Mapping[str, str]:
    """What an application is told of its display."""
    return {"DISPLAY": NUMBER}


def read_windows(folders: DisplayFolders) -> tuple[Window, ...]:
    """The windows there are now; none where nobody has said so yet."""
    try:
        return parse_windows(folders.windows.read_text(errors="replace").split("\n"))
    except FileNotFoundError:
        return ()
