"""Lint: addresses that cannot be tampered with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from instantiator.recipe.lint.model import Severity, Spot
from instantiator.recipe.model import Recipe


class PlainHttp:
    """An address is plain http or ftp.

    Bytes are checked by digest, but a page or file that anyone on the way can change misleads the reader
    and stops the fetch. Write https where the host answers to it.
    """

    severity: ClassVar = Severity.ADVICE

    def check(self, recipe: Recipe) -> Iterator[Spot]:
        """Addresses of the recipe that are not https."""
        for path, address in _find_addresses(recipe):
            if address.startswith(("http://", "ftp://")):
                yield Spot(recipe.at(path), address)


def _find_addresses(recipe: Recipe) -> Iterator[tuple[str, str]]:
    yield "homepage", recipe.homepage
    for number, source in enumerate(recipe.sources):
        for url_number, url in enumerate(source.urls):
            yield f"sources.{number}.urls.{url_number}", url
    for number, deposit in enumerate(recipe.deposits):
        yield f"deposits.{number}.found_at", deposit.found_at
