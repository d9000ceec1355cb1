"""The windows on a display, as its start script lists them, and the one a program is ready with."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A mapped window: its id, the two names of its WM_CLASS, its title."""

    id: str
    classes: tuple[str, ...]
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedWindow:
    """What a GUI declares of its window: a name of its class, a part of its title. Empty: any will do."""

    window_class: str = ""
    title: str = ""

    @property
    def is_declared(self) -> bool:
        """Whether the GUI says anything of its window."""
        return bool(self.window_class or self.title)

    def matches(self, window: Window) -> bool:
        """Whether this is the one."""
        return self.window_class in (*window.classes, "") and self.title in window.title

    def __str__(self) -> str:
        words = (("class", self.window_class), ("title", self.title))
        return " and ".join(f"{noun} {text!r}" for noun, text in words if text)


def parse_windows(lines: Iterable[str]) -> tuple[Window, ...]:
    """The windows of a list: `ID<TAB>WM_CLASS = "a", "b"<TAB>WM_NAME = "title"`."""
    return tuple(_parse(line) for line in lines if line.strip())


def _parse(line: str) -> Window:
    name, *properties = line.split("\t")
    values = {
        key: tuple(re.sub(r"\\(.)", r"\1", text) for text in _QUOTED.findall(value))
        for key, _, value in (item.partition(" = ") for item in properties)
    }
    titles = values.get("WM_NAME", ())
    return Window(id=name, classes=values.get("WM_CLASS", ()), title=titles[0] if titles else "")
