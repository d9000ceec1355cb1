"""`thaw catalog`: verify everything that is published, and say how it stands in one table."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import click

from instantiator.catalog import CatalogEntry, read_catalog
from instantiator.commands.common import Bench, json_option, show, table
from instantiator.commands.evidence import note
from instantiator.commands.steps import progress
from instantiator.curate.catalog_verify import Row, Shown, Verifier, verify_catalog


@click.group("catalog")
def catalog_command() -> None:
    """Verify everything that is published."""


@catalog_command.command("verify")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Everything in the catalogue that is not retired.")
@click.option("--rebuild/--no-rebuild", default=True, help="Also build every image again and compare it.")
@click.option("--resume", is_flag=True, help="Skip what was verified lately: go on after a kill.")
@click.option(
    "--hours",
    type=click.IntRange(1),
    default=24,
    show_default=True,
    help="What counts as lately, with --resume.",
)
@json_option
def verify_all(
    names: tuple[str, ...], *, everything: bool, rebuild: bool, resume: bool, hours: int, as_json: bool
) -> int:
    """Run the smoke tests of what is published again (NAMES, or --all), and build its images again from the vault.

    What was shown is noted as evidence, recipe by recipe. Exit 4 where something differs, 1 where something could not
    be verified. What waits for a deposit, and drafts, are shown as such. Keys: recipes[recipe, status, verified,
    details, smoke, rebuild, seconds, image, findings, problem, skipped].
    """
    from instantiator.commands.start import cancel_on_interrupt

    if bool(names) == everything:
        raise click.UsageError("name recipes, or say --all")
    bench = Bench()
    entries = chosen_entries(bench, names)
    with cancel_on_interrupt() as cancel:
        verifier = _verifier(bench, cancel, rebuild=rebuild)
        fresh = timedelta(hours=hours) if resume else None
        rows = []
        for row in verify_catalog(entries, verifier, fresh=fresh):
            rows.append(row)
            click.echo(f"  {row.recipe}: {_in_words(row)}", err=True)
    show({"recipes": [row.to_json() for row in rows]}, as_json=as_json, human=describe_rows(rows))
    if any(row.differs for row in rows):
        return 4
    return 1 if any(row.problem for row in rows) else 0


def chosen_entries(bench: Bench, names: tuple[str, ...]) -> list[CatalogEntry]:
    """The entries that are named, retired or not; else all that are not retired."""
    published = read_catalog(bench.settings.recipes_dir)
    if not names:
        return [entry for entry in published if not entry.retired]
    wanted = [bench.recipe(name).id for name in names]
    entries = {entry.id: entry for entry in published}
    lacking = [recipe for recipe in wanted if recipe not in entries]
    if lacking:
        raise click.UsageError(f"not published: {', '.join(lacking)}; see: thaw recipe publish")
    return [entries[recipe] for recipe in wanted]


def describe_rows(rows: list[Row]) -> str:
    """The table, then what was wrong."""
    cells = [
        (
            row.recipe,
            row.status.describe(),
            row.smoke,
            row.rebuild,
            f"{row.seconds:.0f}" if row.seconds else "-",
        )
        for row in rows
    ]
    lines = [table(("RECIPE", "STATUS", "SMOKE", "REBUILD", "SECONDS"), cells)]
    for row in rows:
        told = (*row.status.details, *row.findings, *((row.problem,) if row.problem else ()))
        lines += [f"{row.recipe}: {line}" for line in told]
    return "\n".join(lines)


def _in_words(row: Row) -> str:
    if row.is_skipped:
        return f"{row.status.describe()}, skipped"
    if row.problem:
        return f"could not be verified: {row.problem}"
    return f"{row.status.describe()}, smoke {row.smoke}, rebuild {row.rebuild}, {row.seconds:.0f} s"


def _verifier(bench: Bench, cancel: threading.Event, *, rebuild: bool) -> Verifier:
    from instantiator.evidence import read_evidence

    return Verifier(
        test=lambda recipe: _test(bench, recipe, cancel),
        rebuild=(lambda recipe: _rebuild(bench, recipe)) if rebuild else None,
        evidence=lambda recipe: read_evidence(bench.settings.home, recipe),
        now=lambda: datetime.now(UTC),
    )


def _test(bench: Bench, name: str, cancel: threading.Event) -> Shown:
    """All smoke tests of a recipe, noted as evidence; nothing is noted of a recipe that has none."""
    from instantiator.commands.smoke import smoke_bench
    from instantiator.curate.smoke import run_smoke_tests

    began = time.monotonic()
    recipe = bench.recipe(name)
    if not recipe.smoke:
        return Shown(grade="none", image="")
    made = smoke_bench(bench, recipe)
    results = run_smoke_tests(recipe, made, progress(), cancel=cancel)
    grade = "passed" if all(result.is_passed for result in results) else "failed"
    note(bench, "test", recipe.id, image=made.environment.image, grade=grade, began=began)
    findings = tuple(
        f"{result.name}: {finding}"
        for result in results
        if not result.is_passed
        for finding in (f"its repeat is {result.verdict}", *result.findings)
    )
    return Shown(grade=grade, image=made.environment.image, findings=findings)


def _rebuild(bench: Bench, name: str) -> Shown:
    """Build once more from the vault alone and compare, noted as evidence."""
    from instantiator.image.rebuild import rebuild_image

    began = time.monotonic()
    recipe = bench.recipe(name)
    result = rebuild_image(bench.lock(recipe), bench.workshop, progress())
    grade = "identical" if result.is_identical else "different"
    note(bench, "rebuild", recipe.id, image=result.image, grade=grade, began=began)
    findings = () if result.is_identical else (f"rebuilt {result.image}", *result.paths[:10])
    return Shown(grade=grade, image=result.image, findings=findings)
