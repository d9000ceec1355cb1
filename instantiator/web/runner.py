"""Run a thread and verify a run as the commands do, with the steps told to a page instead of a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from instantiator.queue.bench import shelf_of
from instantiator.recipe.model import Recipe, Thread
from instantiator.recipe.parameters import parse_parameters
from instantiator.thread.errors import InputWrong
from instantiator.thread.run import RunBench
from instantiator.thread.start import is_name, refuse_unknown_inputs
from instantiator.thread.verify import Repeater, read_record, verify_run
from instantiator.web.portal import Bench
from instantiator.web.work import Work


def run_bench(bench: Bench, user: str | None = None) -> RunBench:
    """What runs are made with; `user` is who asks."""
    from instantiator.host import host_facts_for_record
    from instantiator.job.backends.docker import DockerBackend
    from instantiator.observe.hook import observe_on

    return RunBench(
        vault=bench.vault,
        store=bench.store,
        backend=DockerBackend(bench.engine, home=bench.settings.home, observe=observe_on(bench.engine.wire)),
        runs_dir=bench.settings.runs_dir,
        host=lambda: host_facts_for_record(bench.engine),
        user=user,
    )


def check_request(
    bench: Bench,
    recipe: Recipe,
    thread: Thread,
    *,
    datasets: Mapping[str, str],
    parameters: Mapping[str, str],
    sees: Callable[[str], bool],
) -> None:
    """Find what is wrong with a request before anything is begun. `sees`: whether a dataset may be used.

    A page names datasets and never paths: it must not be a way to read this host's files.
    """
    parse_parameters(thread, parameters)
    refuse_unknown_inputs(thread, datasets)
    shelf = shelf_of(bench, Work(id="", user="", title=""))
    own = {item.name for item in recipe.datasets}
    for item in thread.inputs:
        asked = datasets.get(item.name, "")
        if not asked and item.required:
            raise InputWrong(
                f"input {item.name!r} is missing: {item.help or item.type}",
                where=f"thread {thread.name!r}",
                hint="choose a dataset",
            )
        if asked and not (is_name(asked, recipe, shelf) and (asked in own or sees(asked))):
            raise InputWrong(
                f"there is no dataset {asked!r}",
                where=f"input {item.name!r}",
                hint="choose one of the list; a new one is registered with: thaw dataset add PATH",
            )


def verify(bench: Bench, run: str, work: Work) -> str:
    """Repeat a run from its record and judge it; returns the address of the run, which shows the verdict."""
    record = read_record(bench.store.run(run), bench.vault)
    repeater = Repeater(
        bench=run_bench(bench, work.user or None),
        workshop=bench.workshop,
        mirrors=bench.mirrors,
        trees_dir=bench.settings.trees_dir,
    )
    verify_run(record, repeater, work, cancel=work.cancel, hear=work.hear)
    return f"/runs/{run}"
