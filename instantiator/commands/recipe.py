"""`thaw recipe`: check, lock, build, rebuild, test; the schema for editors."""

from __future__ import annotations

import time

import click

from instantiator.commands.common import Bench, json_option, show, size_text, table
from instantiator.commands.evidence import note
from instantiator.commands.steps import progress


@click.group("recipe")
def recipe_command() -> None:
    """Propose, check, lock, build, rebuild, test, publish and retire recipes."""


@recipe_command.command("list")
@json_option
def list_recipes(*, as_json: bool) -> None:
    """List the recipes of this clone: name, version, title. Keys: recipes[name, version, title]."""
    from instantiator.recipe.load import find_recipes, load_recipe

    bench = Bench()
    recipes = [load_recipe(folder) for folder in find_recipes(bench.settings.recipes_dir)]
    rows = [(recipe.name, recipe.version, recipe.title) for recipe in recipes]
    data = {"recipes": [{"name": name, "version": version, "title": title} for name, version, title in rows]}
    show(data, as_json=as_json, human=table(("NAME", "VERSION", "TITLE"), rows))


@recipe_command.command("schema")
@click.option("--json", "as_json", is_flag=True, help="The schema is JSON in any case.")
def print_schema(*, as_json: bool) -> None:  # noqa: ARG001  # --json is there on every command
    """Print the JSON Schema of recipe.yaml, for editors that complete and check YAML. Keys: those of JSON Schema."""
    from instantiator.recipe.schema import recipe_schema

    show(recipe_schema(), as_json=True, human=None)


@recipe_command.command("new")
@click.argument("name")
@click.option("--from", "file", metavar="FILE", help="Look into this .deb, wheel, zip or tar.")
@click.option("--package", default="", metavar="PACKAGE", help="Look into this package of the Debian suite.")
@click.option("--suite", default="bookworm", show_default=True, help="The Debian suite it is to stand on.")
@click.option("--maintainer", default="Thaw catalogue", show_default=True, help="Who answers for the recipe.")
@json_option
def new_one(name: str, *, file: str | None, package: str, suite: str, maintainer: str, as_json: bool) -> None:
    """Propose a recipe NAME from what is found in a program's files, and rate how it may rot.

    Nothing of FILE is unpacked or run. Keys: recipe, folder, missing, packages, lacking, risks[level, what, why].
    """
    from datetime import UTC, datetime
    from pathlib import Path

    from instantiator.curate.new.make import Desk, new_recipe
    from instantiator.curate.new.propose import Asked
    from instantiator.curate.risk import overall

    if bool(file) == bool(package):
        raise click.UsageError("say what to look into: --from FILE or --package PACKAGE")
    bench = Bench()
    settings = bench.settings
    desk = Desk(
        vault=bench.vault,
        mirrors=bench.mirrors,
        recipes_dir=settings.recipes_dir,
        cache=settings.cache_dir,
        scratch=settings.scratch_dir,
    )
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    asked = Asked(name=name, suite=suite, snapshot=today, maintainer=maintainer)
    made = new_recipe(asked, desk, progress(), file=Path(file) if file else None, package=package)
    data = {
        "recipe": made.recipe.id,
        "folder": str(made.recipe.folder),
        "missing": list(made.draft.missing),
        "packages": dict(made.mapped.packages),
        "lacking": list(made.mapped.missing),
        "risks": [risk.to_json() for risk in made.risks],
    }
    lines = [
        f"{made.recipe.id}: a draft, in {made.recipe.folder}",
        f"risk of rot: {overall(made.risks).value}",
    ]
    lines += [f"  {risk.level.value:6} {risk.what}\n         {risk.why}" for risk in made.risks]
    lines += ["still missing:", *(f"  {fact}" for fact in made.draft.missing)]
    show(data, as_json=as_json, human="\n".join(lines))


@recipe_command.command("lint")
@click.argument("names", nargs=-1)
@json_option
def lint_recipes(names: tuple[str, ...], *, as_json: bool) -> int:
    """Check recipes (all where none is named). Exit 1 where an error is found.

    Keys: findings[check, severity, file, line, message, fix].
    """
    from instantiator.recipe.lint import Severity, run_checks
    from instantiator.recipe.load import find_recipes, load_recipe

    bench = Bench()
    if names:
        recipes = [bench.recipe(name) for name in names]
    else:
        recipes = [load_recipe(folder) for folder in find_recipes(bench.settings.recipes_dir)]
    findings = [finding for recipe in recipes for finding in run_checks(recipe)]
    lines = [f"{finding}\n    {finding.fix}" for finding in findings]
    clean = f"{len(recipes)} recipes checked, nothing to say"
    data = {"findings": [finding.to_json() for finding in findings]}
    show(data, as_json=as_json, human="\n".join(lines) or clean)
    return 1 if any(finding.severity is Severity.ERROR for finding in findings) else 0


@recipe_command.command("publish")
@click.argument("name")
@json_option
def publish_one(name: str, *, as_json: bool) -> None:
    """Put a recipe that is locked and lints clean into catalog.yaml. Keys: those of an entry of `thaw list`."""
    from instantiator.curate.publish import publish_recipe

    entry = publish_recipe(Bench().recipe(name))
    show(entry.to_json(), as_json=as_json, human=f"{entry.name}/{entry.version}: published, {entry.status}")


@recipe_command.command("lock")
@click.argument("name")
@click.option(
    "--check", is_flag=True, help="Only say whether the lock still answers the recipe; exit 1 if not."
)
@click.option("--refresh", is_flag=True, help="Resolve again although nothing changed, and show what moved.")
@json_option
def lock_one(name: str, *, check: bool, refresh: bool, as_json: bool) -> int:
    """Resolve all of a recipe to digests and bring every byte into the vault.

    Keys: recipe, locked, changed, lock, packages, wheels, moved, image.
    """
    from instantiator.curate.lock import is_locked, lock_recipe
    from instantiator.image.fetch import missing_deposits

    bench = Bench()
    recipe = bench.recipe(name)
    if check:
        locked = is_locked(recipe)
        human = (
            f"{recipe.id}: the lock answers the recipe"
            if locked
            else f"{recipe.id}: not locked, or the recipe changed"
        )
        show({"recipe": recipe.id, "locked": locked}, as_json=as_json, human=human)
        return 0 if locked else 1
    done = lock_recipe(recipe, bench.vault, bench.mirrors, progress(), refresh=refresh)
    lock = done.lock
    data = {
        "recipe": recipe.id,
        "locked": True,
        "changed": done.is_changed,
        "lock": lock.digest,
        "packages": len(lock.packages),
        "wheels": len(lock.python),
        "moved": list(done.moved),
        "image": lock.image.id if lock.image else None,
    }
    words = [f"{recipe.id}: {'locked' if done.is_changed else 'the lock is unchanged'}, {lock.digest}"]
    words += [f"  {line}" for line in done.moved]
    awaited = missing_deposits(lock, bench.vault)
    words += [f"  waits for deposit {deposit.name}: {deposit.file}" for deposit in awaited]
    show(data, as_json=as_json, human="\n".join(words))
    return 0


@recipe_command.command("build")
@click.argument("name")
@click.option(
    "--offline", is_flag=True, help="Fetch nothing: build from the vault alone, or say what it lacks."
)
@click.option("--force", is_flag=True, help="Build although the engine holds the image.")
@click.option(
    "--up-to-deposit",
    is_flag=True,
    help="Build what can be built before the deposits are handed in, under a name that says so; nothing runs in it.",
)
@json_option
def build_one(name: str, *, offline: bool, force: bool, up_to_deposit: bool, as_json: bool) -> None:
    """Build the image of a recipe's lock and load it into the engine.

    The build itself never has a network. Keys: recipe, image, built (false where the engine had it), bytes,
    name.
    """
    from instantiator.curate.build import build_recipe, build_up_to_deposit

    bench, began = Bench(), time.monotonic()
    if up_to_deposit:
        built = build_up_to_deposit(
            bench.recipe(name), bench.workshop, bench.mirrors, progress(), is_offline=offline
        )
    else:
        built = build_recipe(
            bench.recipe(name), bench.workshop, bench.mirrors, progress(), is_offline=offline, is_forced=force
        )
    if (
        built.is_new and not built.is_pinned_now and not up_to_deposit
    ):  # another image than the lock's would have been refused
        note(bench, "rebuild", built.recipe, image=built.image.id, grade="identical", began=began)
    data = {
        "recipe": built.recipe,
        "image": built.image.id,
        "built": built.is_new,
        "bytes": built.image.size,
        "name": built.name,
        "pinned": built.is_pinned_now,
    }
    state = "built" if built.is_new else "already there"
    words = f"{built.recipe}: {state}, {size_text(built.image.size)}\n  image {built.image.id}\n  name  {built.name}"
    show(data, as_json=as_json, human=words)


@recipe_command.command("rebuild")
@click.argument("name")
@json_option
def rebuild_one(name: str, *, as_json: bool) -> int:
    """Build again from the vault alone and compare with the locked image. Exit 4 where it differs.

    Keys: recipe, image, locked, identical, paths, explanation.
    """
    from instantiator.image.lock import refuse_unlocked
    from instantiator.image.rebuild import rebuild_image

    bench, began = Bench(), time.monotonic()
    lock = refuse_unlocked(bench.recipe(name))
    result = rebuild_image(lock, bench.workshop, progress())
    data = {
        "recipe": lock.recipe,
        "image": result.image,
        "locked": result.locked,
        "identical": result.is_identical,
        "paths": list(result.paths),
        "explanation": result.explanation,
    }
    verdict = "identical" if result.is_identical else "different"
    note(bench, "rebuild", lock.recipe, image=result.image, grade=verdict, began=began)
    words = [f"{lock.recipe}: {verdict}", f"  rebuilt {result.image}", f"  locked  {result.locked}"]
    words += [f"  {line}" for line in (*result.paths, result.explanation) if line]
    show(data, as_json=as_json, human="\n".join(words))
    return 0 if result.is_identical else 4


@recipe_command.command("test")
@click.argument("name")
@click.option("--smoke", multiple=True, help="Only this smoke test; may be given more than once.")
@json_option
def test_one(name: str, *, smoke: tuple[str, ...], as_json: bool) -> int:
    """Run a recipe's smoke tests on real data and judge them. Exit 4 where one fails.

    A thread's run is repeated from its record, and both are judged; a GUI is opened, and its screen is compared with
    a picture. Keys: recipe, passed, tests[name, passed, run, verdict, findings].
    """
    from instantiator.commands.smoke import smoke_bench
    from instantiator.commands.start import cancel_on_interrupt
    from instantiator.curate.smoke import run_smoke_tests

    bench, began = Bench(), time.monotonic()
    recipe = bench.recipe(name)
    with cancel_on_interrupt() as cancel:
        results = run_smoke_tests(recipe, smoke_bench(bench, recipe), progress(), names=smoke, cancel=cancel)
    passed = all(result.is_passed for result in results)
    if results and not smoke:
        image, grade = bench.lock(recipe).image, "passed" if passed else "failed"
        note(bench, "test", recipe.id, image=image.id if image else "", grade=grade, began=began)
    data = {
        "recipe": recipe.id,
        "passed": passed,
        "tests": [
            {
                "name": result.name,
                "passed": result.is_passed,
                "run": result.run,
                "verdict": result.verdict,
                "findings": list(result.findings),
            }
            for result in results
        ],
    }
    words = []
    for result in results:
        words.append(f"{'✓' if result.is_passed else '✗'} {result.name}: {result.title} ({result.verdict})")
        words += [f"    {finding}" for finding in result.findings]
    show(data, as_json=as_json, human="\n".join(words))
    return 0 if passed else 4


@recipe_command.command("show")
@click.argument("name")
@json_option
def show_one(name: str, *, as_json: bool) -> None:
    """Show a recipe: what it is, its threads with parameters, its datasets, whether it is locked.

    Keys: status, verified, details, name, version, title, mission, licence, missing, retired, superseded_by, locked,
    image, threads, datasets.
    """
    from instantiator.commands.describe import describe_recipe, recipe_to_json
    from instantiator.curate.catalog_status import status_of_recipe

    bench = Bench()
    recipe = bench.recipe(name)
    status = status_of_recipe(recipe, bench.settings.home)
    show(recipe_to_json(recipe, status), as_json=as_json, human=describe_recipe(recipe, status))


@recipe_command.command("retire")
@click.argument("name")
@click.option("--superseded-by", default="", metavar="RECIPE", help="The recipe to use instead.")
@click.option("--why", default="", metavar="TEXT", help="Why, in one line.")
@json_option
def retire_one(name: str, *, superseded_by: str, why: str, as_json: bool) -> None:
    """Take a recipe out of the lists. Nothing is deleted: it can be run and verified as before.

    Keys: recipe, retired, superseded_by.
    """
    from instantiator.curate.retire import retire_recipe

    bench = Bench()
    recipe = retire_recipe(bench.recipe(name), bench.vault, superseded_by=superseded_by, why=why)
    data = {"recipe": recipe.id, "retired": recipe.retired, "superseded_by": recipe.superseded_by}
    instead = f"; instead: {recipe.superseded_by}" if recipe.superseded_by else ""
    show(data, as_json=as_json, human=f"{recipe.id}: retired ({recipe.retired}){instead}")
