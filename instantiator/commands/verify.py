"""`thaw verify`: repeat a run from its record alone, and judge every output."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from instantiator.commands.common import Bench, json_option, show
from instantiator.commands.evidence import note
from instantiator.commands.remote import find_run, here_alone, remote
from instantiator.commands.remote_run import verify_there
from instantiator.commands.start import cancel_on_interrupt, echo_log, run_bench, shelf_of
from instantiator.commands.steps import progress
from instantiator.thread.judge import judge_folder
from instantiator.thread.verify import Repeater, read_record, replace_inputs, verify_run
from provenance.compare import Grade
from provenance.verdict import Verdict


@click.command("verify")
@click.argument("run")
@click.option(
    "-d", "--dataset", multiple=True, metavar="INPUT=D", help="Repeat on other data, to see what changes."
)
@click.option("--outputs", metavar="DIR", help="Repeat nothing: judge the files in DIR against the record.")
@click.option("-v", "--verbose", is_flag=True, help="Show the program's log as it comes, and every output.")
@json_option
def verify_command(
    run: str, dataset: tuple[str, ...], outputs: str | None, *, verbose: bool, as_json: bool
) -> int:
    """Repeat RUN from its record and the vault alone, and judge every output by the rule the record names.

    No recipe is read. Exit 0 identical or equivalent, 4 different or missing. Keys: run, repeated_by,
    verdict, reason, outputs[name, path, verdict, rule, explanation, differences], digest.
    """
    if outputs is not None and dataset:
        raise click.UsageError("--outputs repeats nothing: it goes without --dataset")
    service = remote()
    if service is not None:
        if dataset or outputs is not None:
            raise here_alone(
                "--dataset" if dataset else "--outputs", "needs the vault: a service repeats a run as it was"
            )
        judged = verify_there(find_run(service, run), progress())
        return tell_verdict(judged, judged.digest, as_json=as_json, verbose=verbose)
    bench, began = Bench(), time.monotonic()
    record = read_record(bench.store.run(run), bench.vault)
    if outputs is not None:
        verdict = judge_folder(record, Path(outputs), bench.vault)
        return tell_verdict(verdict, None, as_json=as_json, verbose=verbose)
    made = run_bench(bench)
    repeater = Repeater(
        bench=made, workshop=bench.workshop, mirrors=bench.mirrors, trees_dir=bench.settings.trees_dir
    )
    instead = replace_inputs(record, dataset, shelf_of(bench))
    is_quiet = not verbose or (not sys.stderr.isatty() and as_json)
    steps = progress(beside_log=not is_quiet)
    with cancel_on_interrupt() as cancel:
        hear = echo_log(is_quiet=is_quiet)
        verified = verify_run(record, repeater, steps, cancel=cancel, hear=hear, instead=instead)
    if not instead:  # on other data it says nothing of the recipe
        grade = verified.verdict.grade.value
        note(
            bench,
            "verify",
            record.recipe,
            image=record.image,
            grade=grade,
            began=began,
            detail=f"run {record.run}",
        )
    return tell_verdict(verified.verdict, verified.digest, as_json=as_json, verbose=verbose)


def tell_verdict(verdict: Verdict, digest: str | None, *, as_json: bool, verbose: bool) -> int:
    """Show a verdict, and give the exit status that tells it."""
    show(
        {**verdict_to_json(verdict), "digest": digest},
        as_json=as_json,
        human=describe_verdict(verdict, verbose=verbose),
    )
    return 0 if verdict.grade in (Grade.IDENTICAL, Grade.EQUIVALENT) else 4


def verdict_to_json(verdict: Verdict) -> dict[str, object]:
    """A verdict as data."""
    return {
        "run": verdict.run,
        "repeated_by": verdict.repeated_by,
        "verdict": verdict.grade.value,
        "reason": verdict.reason,
        "outputs": [
            {
                "name": output.name,
                "path": output.path,
                "verdict": output.grade.value,
                "rule": output.rule,
                "explanation": output.explanation,
                "differences": [str(difference) for difference in output.comparison.differences],
                "differences_total": output.comparison.differences_total,
            }
            for output in verdict.outputs
        ],
    }


def describe_verdict(verdict: Verdict, *, verbose: bool) -> str:
    """A verdict for people: the word, then what is not plainly identical."""
    counts = {grade: sum(output.grade is grade for output in verdict.outputs) for grade in Grade}
    tally = ", ".join(f"{count} {grade.value}" for grade, count in counts.items() if count)
    lines = [f"run {verdict.run}: {verdict.grade.value} ({tally})"]
    if verdict.reason:
        lines.append(f"  {verdict.reason}")
    if verdict.repeated_by:
        lines.append(f"  repeated by {verdict.repeated_by}")
    told = [output for output in verdict.outputs if verbose or output.grade is not Grade.IDENTICAL]
    lines += [f"  {o.grade.value:10} {o.path} ({o.rule}): {o.explanation}" for o in told]
    return "\n".join(lines)
