"""What smoke tests work with, from a command's bench."""

from __future__ import annotations

from instantiator.commands.common import Bench
from instantiator.commands.session import sessions_of
from instantiator.commands.start import lock_of, pinned_environment, run_bench, shelf_of
from instantiator.curate.smoke import SmokeBench
from instantiator.recipe.model import Recipe
from instantiator.thread.verify import Repeater


def smoke_bench(bench: Bench, recipe: Recipe) -> SmokeBench:
    """The bench of a recipe's smoke tests; its image is made ready first."""
    repeater = Repeater(
        bench=run_bench(bench),
        workshop=bench.workshop,
        mirrors=bench.mirrors,
        trees_dir=bench.settings.trees_dir,
    )
    environment = pinned_environment(bench, lock_of(bench, recipe))
    return SmokeBench(
        environment=environment, shelf=shelf_of(bench), repeater=repeater, sessions=sessions_of(bench)
    )
