"""Lint: data may be passed on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Recipe


class DatasetWithoutLicence:
    """A dataset has no licence.

    Datasets are copied into vaults and capsules; without a licence nobody knows whether that is allowed.
    Write an SPDX expression under `licence:`, or LicenseRef-... and put the terms into the dataset's
    folder.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Datasets that state no licence."""
        for dataset in recipe.datasets:
            if dataset.licence in ("", "NOASSERTION", "NONE"):
                yield Spot(dataset.location, f"dataset {dataset.name!r}")
