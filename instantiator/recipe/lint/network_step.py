"""Lint: builds need no network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Recipe

_FETCHES = re.compile(
    r"(?:^|[;&|(]|\b(?:then|do|else|exec|sudo|env))\s*(?:/usr/bin/|/bin/)?("
    r"curl|wget|aria2c|lftp|scp|sftp"
    r"|(?:apt-get|apt|aptitude)\s+(?:-\S+\s+)*(?:install|update|upgrade|dist-upgrade|source|download|build-dep)"
    r"|(?:python[0-9.]*\s+-m\s+)?pip[0-9.]*\s+(?:install|download)(?!.*--no-index)"
    r"|git\s+(?:clone|fetch|pull|submodule)|svn\s+(?:checkout|co)|cvs\s"
    r"|rsync\s.*:"
    r"|(?:conda|mamba|micromamba)\s+(?:install|create|env)|npm\s+(?:install|ci)|cpanm?\s|gem\s+install|cargo\s+install"
    r")",
    re.MULTILINE,
)


class StepUsesNetwork:
    """A step of the build tries to use the network.

    Builds have none: what a server gives today it will not give in ten years. Name packages under
    `packages:` and `python:`, files under `sources:` with their digest, and let the step use those.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Steps with a command that fetches."""
        for number, step in enumerate(recipe.steps):
            if found := _FETCHES.search(step.run):
                yield Spot(recipe.at(f"steps.{number}.run"), f"{found[1].strip()!r}")
