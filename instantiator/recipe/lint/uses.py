"""Which sources and deposits a recipe names, for the checks that ask."""

from __future__ import annotations

import re

from instantiator.recipe.model import Recipe


def find_used_names(recipe: Recipe) -> frozenset[str]:
    """The sources and deposits that the base, a dataset, or the text of a step names (by name or by file)."""
    named = {dataset.source for dataset in recipe.datasets} | {recipe.base.rootfs}
    steps = "\n".join(step.run for step in recipe.steps)
    files = {source.name: source.name for source in recipe.sources}
    files |= {deposit.file: deposit.name for deposit in recipe.deposits}
    files |= {deposit.name: deposit.name for deposit in recipe.deposits}
    in_steps = {
        name for text, name in files.items() if re.search(rf"(?<![\w-]){re.escape(text)}(?![\w-])", steps)
    }
    return frozenset(name for name in named | in_steps if name)
