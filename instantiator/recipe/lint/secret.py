"""Lint: no secrets in images and records."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.lint.texts import find_variables
from instantiator.recipe.model import Recipe

_NAME = re.compile(
    r"PASS(?:WORD|WD|PHRASE)|SECRET|TOKEN|(?:API|PRIVATE|LICEN[CS]E)_?KEY|CREDENTIAL", re.IGNORECASE
)
_VALUE = re.compile(r"-----BEGIN|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|://[^/\s:@]+:[^/\s@]+@")


class SecretInEnvironment:
    """An environment variable holds a secret.

    The environment is part of every image, record and capsule: it is published, and kept for ever. Take
    it away, and change the secret if it was real.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Variables whose name or value looks like a secret."""
        for path, name, value in find_variables(recipe):
            if value and (_NAME.search(name) or _VALUE.search(value)):
                yield Spot(recipe.at(path), f"{name}")
