"""The display image: X servers, a window manager, fonts and keyboard tools, frozen with a lock of its own.

No application image holds any of it, and it holds no application and nothing of ours: the start script is
mounted from this package when a display starts.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from instantiator.image.lock import Lock, lock_from_yaml
from instantiator.image.resolve import Request

LOCK_FILE = Path(__file__).with_name("display.lock.yaml")
START_SCRIPT = Path(__file__).with_name("start.sh")
PACKAGES = (
    "fonts-dejavu-core",
    "openbox",
    "tigervnc-standalone-server",
    "x11-utils",
    "x11-xkb-utils",
    "x11-xserver-utils",
    "x11vnc",
    "xauth",
    "xdotool",
    "xfonts-100dpi",
    "xfonts-75dpi",
    "xfonts-base",
    "xkb-data",
    "xvfb",
)


def display_request(snapshot: str) -> Request:
    """What the display asks for: `snapshot` is the newest time a file of it has."""
    return Request(
        name="thaw-display/1", suite="bookworm", snapshot=snapshot, architecture="amd64", packages=PACKAGES
    )


@cache
def display_lock() -> Lock:
    """The lock of the display image, committed beside this file; read once, since every launch asks for it."""
    return lock_from_yaml(LOCK_FILE.read_bytes(), where=str(LOCK_FILE))
