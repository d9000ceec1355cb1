"""The regular expressions of a recipe, for the checks that read them."""

from __future__ import annotations

from collections.abc import Iterator

from instantiator.recipe.model import Recipe


def find_patterns(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Every regular expression, after the path where it stands."""
    yield from find_refusals(recipe)
    for thread in recipe.threads:
        for parameter in thread.parameters:
            if parameter.pattern:
                yield f"threads.{thread.name}.parameters.{parameter.name}.pattern", parameter.pattern
        for output in thread.outputs:
            ignored = output.compare.options.get("ignore", ())
            for pattern in ignored if isinstance(ignored, tuple) else ():
                yield f"threads.{thread.name}.outputs.{output.name}.compare.ignore", str(pattern)


def find_refusals(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """The patterns that make a run a failed one, after the path where each stands."""
    for thread in recipe.threads:
        for number, refusal in enumerate(thread.success.refuse):
            yield f"threads.{thread.name}.success.refuse.{number}.pattern", refusal.pattern
