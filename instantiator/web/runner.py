"""Run a thread and verify a run as the commands do, with the steps told to a page instead of a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from instantiator.image.ensure import ensure_image
from instantiator.image.fetch import fetch_source, wheel_target
from instantiator.image.files import keep_files
from instantiator.image.lock import Lock, LockedSource, lock_to_json
from instantiator.job.spec import ImageDigest
from instantiator.progress import Progress, step
from instantiator.recipe.model import ParameterValue, Recipe, Thread
from instantiator.recipe.parameters import parse_parameters
from instantiator.thread.errors import InputWrong
from instantiator.thread.plan import Environment
from instantiator.thread.run import RunBench, execute_plan
from instantiator.thread.start import Shelf, is_name, refuse_unknown_inputs, start_thread
from instantiator.thread.verify import Repeater, read_record, verify_run
from instantiator.web.portal import Bench
from instantiator.web.work import Work
from provenance.digest import canonical_json
from provenance.record import RunState


def run_bench(bench: Bench) -> RunBench:
    """What runs are made with."""
    from instantiator.host import host_facts_for_record
    from instantiator.job.backends.docker import DockerBackend

    return RunBench(
        vault=bench.vault,
        store=bench.store,
        backend=DockerBackend(bench.engine, home=bench.settings.home),
        runs_dir=bench.settings.runs_dir,
        host=lambda: host_facts_for_record(bench.engine),
    )


def shelf_of(bench: Bench, progress: Progress) -> Shelf:
    """Where datasets come from."""

    def bring(source: LockedSource, lock: Lock) -> None:
        fetch_source(source, wheel_target(lock, bench.mirrors), bench.vault, progress)

    settings = bench.settings
    return Shelf(
        vault=bench.vault,
        store=bench.store,
        trees_dir=settings.trees_dir,
        scratch=settings.scratch_dir,
        bring=bring,
    )


def check_request(
    bench: Bench, recipe: Recipe, thread: Thread, datasets: Mapping[str, str], parameters: Mapping[str, str]
) -> None:
    """Find what is wrong with a request before anything is begun.

    A page names datasets and never paths: it must not be a way to read this host's files.
    """
    parse_parameters(thread, parameters)
    refuse_unknown_inputs(thread, datasets)
    shelf = shelf_of(bench, Work(id="", user="", title=""))
    for item in thread.inputs:
        asked = datasets.get(item.name, "")
        if not asked and item.required:
            raise InputWrong(
                f"input {item.name!r} is missing: {item.help or item.type}",
                where=f"thread {thread.name!r}",
                hint="choose a dataset",
            )
        if asked and not is_name(asked, recipe, shelf):
            raise InputWrong(
                f"there is no dataset {asked!r}",
                where=f"input {item.name!r}",
                hint="choose one of the list; a new one is registered with: thaw dataset add PATH",
            )


def run_thread(
    bench: Bench,
    recipe: Recipe,
    thread: Thread,
    *,
    datasets: Mapping[str, str],
    parameters: Mapping[str, str | ParameterValue],
    work: Work,
) -> str:
    """Run a thread to its record, however it ends; returns the address of the run."""
    environment = _environment(bench, recipe, work)
    with step(work, "datasets") as current:
        started = start_thread(
            recipe,
            thread,
            environment,
            shelf_of(bench, work),
            datasets=datasets,
            parameters=parameters,
        )
        current.detail = ", ".join(datasets.values())
    with step(work, "run") as current:
        finished = execute_plan(
            started.plan, started.sources, run_bench(bench), cancel=work.cancel, hear=work.hear
        )
        current.detail = f"{finished.record.state}, {len(finished.record.outputs)} files"
    return f"/runs/{finished.run}"


def run_again(bench: Bench, run: str, work: Work) -> str:
    """Run what a run ran, with the recipe as it is today."""
    record = read_record(bench.store.run(run), bench.vault)
    recipe = bench.recipe(record.recipe)
    thread = next(item for item in recipe.threads if item.name == record.thread)
    given = {key: _parameter(value) for key, value in record.parameters.items() if value is not None}
    datasets = {item.name: item.dataset for item in record.inputs}
    return run_thread(bench, recipe, thread, datasets=datasets, parameters=given, work=work)


def verify(bench: Bench, run: str, work: Work) -> str:
    """Repeat a run from its record and judge it; returns the address of the run, which shows the verdict."""
    record = read_record(bench.store.run(run), bench.vault)
    repeater = Repeater(
        bench=run_bench(bench),
        workshop=bench.workshop,
        mirrors=bench.mirrors,
        trees_dir=bench.settings.trees_dir,
    )
    verify_run(record, repeater, work, cancel=work.cancel, hear=work.hear)
    return f"/runs/{run}"


def live_log(bench: Bench, run: str, state: RunState) -> Path | None:
    """The log of a run under way, wherever it was started."""
    path = bench.settings.runs_dir / run / "log"
    return path if not state.is_final() and path.is_file() else None


def _environment(bench: Bench, recipe: Recipe, work: Work) -> Environment:
    lock = bench.lock(recipe)
    keep_files(recipe, lock, bench.vault)
    with step(work, "image") as current:
        image = ensure_image(lock, bench.workshop, bench.mirrors, work)
        current.detail = image.id[7:19]
    pinned = replace(lock, image=image)
    digest = bench.vault.put_bytes(canonical_json(lock_to_json(pinned)))
    return Environment(lock=pinned, lock_digest=digest, image=ImageDigest(image.id))


def _parameter(value: object) -> str | ParameterValue:
    return value if isinstance(value, (str, int, float, bool)) else str(value)
