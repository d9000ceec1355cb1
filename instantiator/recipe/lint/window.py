"""Lint: one can tell when a GUI is ready."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import GuiKind, Recipe


class GuiWithoutWindow:
    """A GUI does not say which window is its own.

    A session is ready when that window is on the screen; without it the user is let in to a black one.
    Start the program, click its window under `xprop WM_CLASS`, and write the class under `window_class:`
    (or a part of its title under `window_title:`).
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """X11 GUIs with neither class nor title of a window."""
        for gui in recipe.guis:
            if gui.kind is GuiKind.X11 and not (gui.window_class or gui.window_title):
                yield Spot(gui.location, f"gui {gui.name!r}")
