"""What kind of screen a program gets: read from a recipe's `display:`, decided before anything starts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from provenance.errors import ThawError

_GEOMETRY = re.compile(r"([1-9][0-9]{2,3})x([1-9][0-9]{2,3})")
_KEYMAP = re.compile(r"[a-z]{2,12}(:[a-z_0-9]{1,24})?")


class DisplayInvalid(ThawError):
    """A display profile that nobody can make."""

    code = "display-invalid"


class DisplayKind(StrEnum):
    """The X server and what its screen can do."""

    TRUECOLOR = "truecolor"
    FIXED = "fixed"
    PSEUDOCOLOR8 = "pseudocolor8"


class Windows(StrEnum):
    """What the window manager does: one window that fills the screen, or windows with titles."""

    SINGLE = "single"
    DESKTOP = "desktop"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayProfile:
    """A screen: its kind, size in pixels, dots per inch, keyboard (`de`, `us:intl`) and windows."""

    kind: DisplayKind = DisplayKind.TRUECOLOR
    geometry: tuple[int, int] = (1280, 800)
    dpi: int = 96
    keymap: str = "us"
    windows: Windows = Windows.DESKTOP

    @property
    def size(self) -> str:
        """`1280x800`."""
        return f"{self.geometry[0]}x{self.geometry[1]}"

    @property
    def can_resize(self) -> bool:
        """Whether the screen follows the browser's."""
        return self.kind is DisplayKind.TRUECOLOR

    @property
    def text(self) -> str:
        """The profile in one line: as `parse_profile` reads it, and as records keep it."""
        return f"{self.kind} {self.size} dpi={self.dpi} keymap={self.keymap} windows={self.windows}"

    def arguments(self) -> tuple[str, ...]:
        """What the start script is told."""
        return (self.kind.value, self.size, str(self.dpi), self.keymap, self.windows.value)


def parse_profile(text: str, *, geometry: tuple[int, int] = (1280, 800)) -> DisplayProfile:
    """`truecolor`, `fixed 800x600`, `pseudocolor8 dpi=75 windows=single keymap=de`; raises `DisplayInvalid`.

    `geometry` is the user's screen, for profiles that do not name a size.
    """
    kind, *words = text.split() or ["truecolor"]
    given: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        given[key if sign else "size"] = value if sign else word
    size = given.pop("size", None)
    if size is not None:
        geometry = _read_geometry(size, text)
    if (unknown := set(given) - {"dpi", "keymap", "windows"}) or kind not in _KINDS:
        raise _invalid(text, f"it has {', '.join(sorted(unknown)) or kind!r}")
    dpi, keymap, windows = given.get("dpi", "96"), given.get("keymap", "us"), given.get("windows", "desktop")
    if re.fullmatch(r"[1-9][0-9]{1,2}", dpi) is None or _KEYMAP.fullmatch(keymap) is None:
        raise _invalid(text, f"dpi is {dpi!r} and keymap {keymap!r}")
    if windows not in tuple(Windows):
        raise _invalid(text, f"windows is {windows!r}")
    return DisplayProfile(
        kind=_KINDS[kind], geometry=geometry, dpi=int(dpi), keymap=keymap, windows=Windows(windows)
    )


_KINDS = {kind.value: kind for kind in DisplayKind}


def _read_geometry(size: str, text: str) -> tuple[int, int]:
    found = _GEOMETRY.fullmatch(size)
    if found is None:
        raise _invalid(text, f"the size is {size!r}")
    return int(found[1]), int(found[2])


def _invalid(text: str, found: str) -> DisplayInvalid:
    return DisplayInvalid(
        f"display {text!r}: {found}; expected KIND [WxH] [dpi=N] [keymap=LAYOUT] [windows=single|desktop]",
        hint=f"KIND is one of {', '.join(DisplayKind)}; W and H from 100 to 9999",
    )
