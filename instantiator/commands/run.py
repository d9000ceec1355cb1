"""`thaw run`: run a thread on a dataset, with live progress, to a record."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from instantiator.commands.common import Bench, json_option, show, size_text, table
from instantiator.commands.dataset import fetch_dataset, fetch_is_meant
from instantiator.commands.remote import here_alone, remote
from instantiator.commands.remote_run import AskedRun, run_there
from instantiator.commands.start import (
    cancel_on_interrupt,
    echo_log,
    lock_of,
    outputs_to_json,
    parse_pairs,
    pinned_environment,
    run_bench,
    shelf_of,
)
from instantiator.commands.steps import progress
from instantiator.progress import step
from instantiator.recipe.parameters import parse_parameters
from instantiator.thread.deliver import deliver_outputs, refuse_taken
from instantiator.thread.plan import find_thread
from instantiator.thread.run import FinishedRun, RunBench, execute_plan
from instantiator.thread.start import assign_calibrations, assign_datasets, bind_calibrations, start_thread
from provenance.record import RunState


@click.command("run")
@click.argument("recipe_name", metavar="RECIPE")
@click.argument("thread_name", metavar="THREAD")
@click.option("-d", "--dataset", multiple=True, metavar="[INPUT=]D", help="A dataset by name, or a path.")
@click.option(
    "--calibration", multiple=True, metavar="NAME=DATE", help="The date of a calibration the thread needs."
)
@click.option("-p", "--param", multiple=True, metavar="NAME=VALUE", help="A parameter of the thread.")
@click.option("-o", "--output", metavar="DIR", help="Copy the outputs to this new or empty folder.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show the program's log as it comes.")
@click.option(
    "--trace", metavar="FILE.rpz", help="Trace the run and pack it with ReproZip into this new file."
)
@click.option("--fresh", is_flag=True, help="With a service: execute it also where the answer is known.")
@json_option
def run_command(
    recipe_name: str,
    thread_name: str,
    dataset: tuple[str, ...],
    calibration: tuple[str, ...],
    param: tuple[str, ...],
    output: str | None,
    quiet: bool,
    trace: str | None,
    fresh: bool,
    as_json: bool,
) -> int:
    """Run a THREAD of a RECIPE on a dataset and record it, however it ends.

    Exit 0 when it completed, 1 when it failed, 130 when it was cancelled. Keys: run, state, message,
    exit_status, record, outputs[name, path, sha256, bytes, media_type], output_dir, bundle.
    """
    target = Path(output).absolute() if output else None
    refuse_taken(target)
    is_quiet = quiet or (as_json and not sys.stderr.isatty())
    service = remote()
    if service is not None:
        if trace is not None or calibration:
            option = "--trace" if trace is not None else "--calibration"
            raise here_alone(option, "is for runs of this host")
        asked_run = AskedRun(
            recipe=recipe_name,
            thread=thread_name,
            datasets=dataset,
            parameters=parse_pairs(param, "--param"),
            fresh=fresh,
        )
        done = run_there(service, asked_run, target, progress(beside_log=not is_quiet), is_quiet=is_quiet)
        return tell_run(done, target or service.url, as_json=as_json, bundle=None)
    bench = Bench()
    recipe = bench.recipe(recipe_name)
    thread = find_thread(recipe, thread_name)
    bundle = Path(trace).absolute() if trace else None
    if bundle is not None:
        from instantiator.trace.traced import refuse_taken_bundle

        refuse_taken_bundle(bundle)
    datasets = assign_datasets(thread, dataset)
    datasets = {**datasets, **assign_calibrations(thread, parse_pairs(calibration, "--calibration"))}
    parameters = parse_pairs(param, "--param")
    parse_parameters(thread, parameters)  # a mistake shows before an image is built
    bind_calibrations(thread, datasets, bench.store)
    environment = pinned_environment(bench, lock_of(bench, recipe))
    for asked in datasets.values():
        if fetch_is_meant(asked):
            fetch_dataset(bench, asked)
    started = start_thread(
        recipe, thread, environment, shelf_of(bench), datasets=datasets, parameters=parameters
    )
    steps = progress(beside_log=not is_quiet)
    made = run_bench(bench)

    def execute(made: RunBench) -> FinishedRun:
        with cancel_on_interrupt() as cancel, step(steps, f"run {recipe.id} {thread.name}") as current:
            hear = echo_log(is_quiet=is_quiet)
            finished = execute_plan(started.plan, started.sources, made, cancel=cancel, hear=hear)
            current.detail = f"{finished.run}, {finished.record.state}"
        return finished

    finished = execute(made) if bundle is None else execute_traced(bench, made, execute, bundle)
    return tell_run(finished, deliver_outputs(finished, target), as_json=as_json, bundle=bundle)


def tell_run(finished: FinishedRun, where: Path | str, *, as_json: bool, bundle: Path | None) -> int:
    """Show how a run ended, and give the exit status that tells it. `where` is a folder, or the service."""
    answer = {**run_to_json(finished, where), "bundle": str(bundle) if bundle else None}
    human = describe_run(finished, where) + (f"\n  packed  {bundle}" if bundle else "")
    show(answer, as_json=as_json, human=human)
    return exit_status(finished.record.state)


def execute_traced(
    bench: Bench, made: RunBench, execute: Callable[[RunBench], FinishedRun], bundle: Path
) -> FinishedRun:
    """The same run, traced, and packed into `bundle`."""
    from instantiator.job.backends.docker import DockerBackend
    from instantiator.trace.traced import deliver_bundle, tracing

    settings = bench.settings
    inner = DockerBackend(bench.engine, home=settings.home)
    with tracing(
        inner,
        vault=bench.vault,
        cache=settings.cache_dir,
        scratch=settings.scratch_dir,
        mirrors=bench.mirrors,
        progress=progress(),
    ) as backend:
        finished = execute(replace(made, backend=backend))
        deliver_bundle(backend, bundle, run=finished.run)
    return finished


def exit_status(state: RunState) -> int:
    """The exit status that tells how a run ended."""
    if state is RunState.COMPLETED:
        return 0
    return 130 if state is RunState.CANCELLED else 1


def run_to_json(finished: FinishedRun, where: Path | str) -> dict[str, object]:
    """The answer of `thaw run` as data."""
    record = finished.record
    return {
        "run": finished.run,
        "state": record.state.value,
        "message": record.message,
        "exit_status": record.exit_status,
        "record": finished.digest,
        "outputs": outputs_to_json(record),
        "output_dir": str(where) if isinstance(where, Path) else None,
    }


def describe_run(finished: FinishedRun, where: Path | str) -> str:
    """The answer of `thaw run` for people."""
    record = finished.record
    seconds = record.resources.get("wall_s") or 0.0
    lines = [f"run {finished.run}: {record.state} in {seconds:.2f} s"]
    if record.message:
        lines.append(f"  {record.message}")
    if record.answered_from:
        lines.append(f"  answered from run {record.answered_from}; --fresh executes it again")
    lines.append(f"  record  {finished.digest}")
    if record.outputs:
        total = sum(output.size for output in record.outputs)
        lines.append(f"  outputs {len(record.outputs)} files, {size_text(total)}, in {where}")
        rows = [(f"    {o.path}", size_text(o.size), o.digest[7:19]) for o in record.outputs[:8]]
        lines.append(table(("    FILE", "SIZE", "SHA256"), rows))
        if len(record.outputs) > 8:
            lines.append(f"    … and {len(record.outputs) - 8} more: thaw show {finished.run}")
    if record.state is RunState.COMPLETED:
        lines.append(f"  check it: thaw verify {finished.run}")
    else:
        lines.append(f"  the program's log: thaw logs {finished.run}")
    return "\n".join(lines)
