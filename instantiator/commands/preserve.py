"""`thaw preserve`: carry one recipe with all its bytes away, and take it in on a machine that has nothing."""

from __future__ import annotations

import time
from pathlib import Path

import click

from instantiator.commands.common import Bench, json_option, show, size_text
from instantiator.commands.evidence import note
from instantiator.commands.steps import progress
from instantiator.curate.preserve.packaging import Packaging


@click.group("preserve")
def preserve_command() -> None:
    """Export a recipe with all its bytes; import it where there is nothing."""


@preserve_command.command("export")
@click.argument("name")
@click.option("-o", "--output", required=True, metavar="DIR", help="Write this new folder.")
@click.option(
    "--as",
    "packaging",
    type=click.Choice([item.value for item in Packaging]),
    default="ocfl",
    show_default=True,
    help="An OCFL object, or a BagIt bag.",
)
@click.option("--with-deposits", is_flag=True, help="Also what was handed in under a licence of its own.")
@json_option
def export_one(name: str, *, output: str, packaging: str, with_deposits: bool, as_json: bool) -> None:
    """Write the recipe NAME with every byte it is built of, the builder's too, and its newest verified run.

    Keys: recipe, folder, packaging, objects, bytes, image, run.
    """
    from instantiator.curate.preserve.export import Shelves, export_recipe

    bench = Bench()
    shelves = Shelves(vault=bench.vault, store=bench.store, scratch=bench.settings.scratch_dir)
    index = export_recipe(
        bench.recipe(name),
        shelves,
        Path(output).absolute(),
        progress(),
        packaging=Packaging(packaging),
        with_deposits=with_deposits,
    )
    data = {
        "recipe": index.recipe,
        "folder": output,
        "packaging": packaging,
        "objects": len(index.objects),
        "bytes": index.size,
        "image": index.image,
        "run": index.run or None,
    }
    run = f"verified run {index.run}" if index.run else "no verified run: thaw recipe test makes one"
    words = f"{output}: {index.recipe}, {len(index.objects)} objects, {size_text(index.size)}; {run}"
    show(data, as_json=as_json, human=words)


@preserve_command.command("import")
@click.argument("folder")
@click.option(
    "--check/--no-check", default=True, help="Build the image and repeat the run, or only take it in."
)
@json_option
def import_one(folder: str, *, check: bool, as_json: bool) -> int:
    """Take the recipe in FOLDER in; every byte is checked first. Then build it offline, and repeat its verified run.

    Exit 4 where the image or an output differs. Keys: recipe, new, added, image, rebuilt, run, verdict.
    """
    from instantiator.curate.preserve.export import Shelves
    from instantiator.curate.preserve.take import import_recipe

    bench = Bench()
    shelves = Shelves(vault=bench.vault, store=bench.store, scratch=bench.settings.scratch_dir)
    taken = import_recipe(Path(folder), shelves, bench.settings.recipes_dir, progress())
    index = taken.index
    rebuilt = _rebuild(bench, index.recipe) if check else None
    verdict = _verify(bench, index.run) if rebuilt == index.image and index.run else None
    data = {
        "recipe": index.recipe,
        "new": taken.is_new,
        "added": taken.added,
        "image": index.image,
        "rebuilt": rebuilt,
        "run": index.run or None,
        "verdict": verdict,
    }
    lines = [f"{index.recipe}: {'taken in' if taken.is_new else 'was here'}, {taken.added} objects new"]
    if rebuilt:
        lines.append(f"  image   {'identical' if rebuilt == index.image else 'different'}, {rebuilt}")
    if verdict:
        lines.append(f"  run     {index.run}: {verdict}")
    show(data, as_json=as_json, human="\n".join(lines))
    is_wrong = rebuilt not in (None, index.image) or verdict not in (None, "identical", "equivalent")
    return 4 if is_wrong else 0


def _rebuild(bench: Bench, recipe: str) -> str:
    """The ID of the image built anew, from the vault alone, and loaded where it is the locked one."""
    from instantiator.curate.build import build_recipe
    from instantiator.image.errors import ImageDiffers
    from instantiator.image.rebuild import rebuild_image

    began = time.monotonic()
    loaded = bench.recipe(recipe)
    try:
        built = build_recipe(
            loaded, bench.workshop, bench.mirrors, progress(), is_offline=True, is_forced=True
        )
        image, grade = built.image.id, "identical"
    except ImageDiffers:
        image, grade = rebuild_image(bench.lock(loaded), bench.workshop, progress()).image, "different"
    note(bench, "rebuild", recipe, image=image, grade=grade, began=began)
    return image


def _verify(bench: Bench, run: str) -> str:
    """The verdict on the run that came with the recipe."""
    from instantiator.commands.start import cancel_on_interrupt, run_bench
    from instantiator.thread.verify import Repeater, read_record, verify_run

    began = time.monotonic()
    record = read_record(bench.store.run(run), bench.vault)
    repeater = Repeater(
        bench=run_bench(bench),
        workshop=bench.workshop,
        mirrors=bench.mirrors,
        trees_dir=bench.settings.trees_dir,
    )
    with cancel_on_interrupt() as cancel:
        verified = verify_run(record, repeater, progress(), cancel=cancel, hear=lambda _content: None)
    grade = verified.verdict.grade.value
    note(bench, "verify", record.recipe, image=record.image, grade=grade, began=began, detail=f"run {run}")
    return grade
