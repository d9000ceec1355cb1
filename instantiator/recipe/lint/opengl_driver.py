"""Lint: a program that draws with OpenGL finds a driver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import OpenGl, Recipe

_DRIVERS = "libgl1-mesa-dri"
_NAME = re.compile(r"[a-z0-9+.-]+")


class OpenGlWithoutDriver:
    """A GUI asks for OpenGL, and no package brings a driver.

    With `opengl: software` the program draws with the drivers of its own image, never with those of the host.
    Add Mesa's to `packages:` by their name, `libgl1-mesa-dri`: that another package pulls them in today is
    nobody's promise.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """GUIs with software OpenGL, in a recipe made of Debian packages that does not name the drivers."""
        named = {found[0] for package in recipe.packages if (found := _NAME.match(package))}
        if recipe.base.debian is None or _DRIVERS in named:
            return
        for gui in recipe.guis:
            if gui.opengl is OpenGl.SOFTWARE:
                yield Spot(recipe.at(f"guis.{gui.name}.opengl"), f"gui {gui.name!r}")
