"""Lint: licences that exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Recipe


class UnknownLicence:
    """A licence is no SPDX expression.

    Tools compare licences by their SPDX names. Take the name from the SPDX licence list, join several by
    AND, OR and WITH, and call one that is not on the list LicenseRef-<name>.
    """

    severity: ClassVar = Severity.ERROR

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Licences the SPDX list does not know."""
        for path, licence in _find_licences(recipe):
            if licence and (problem := _find_problem(licence)):
                yield Spot(recipe.at(path), problem)


def _find_licences(recipe: Recipe) -> Iterator[tuple[str, str]]:
    yield "licence", recipe.licence
    for number, deposit in enumerate(recipe.deposits):
        yield f"deposits.{number}.licence", deposit.licence
    for dataset in recipe.datasets:
        yield f"datasets.{dataset.name}.licence", dataset.licence


def _find_problem(licence: str) -> str:
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        canonical = canonicalize_license_expression(licence)
    except InvalidLicenseExpression as error:
        return str(error)
    return "" if canonical == licence else f"{licence!r} is written {canonical!r}"
