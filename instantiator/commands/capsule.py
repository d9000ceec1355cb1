"""`thaw capsule`: one file that repeats a run where Thaw is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from instantiator.commands.common import Bench, json_option, show, size_text
from instantiator.commands.steps import progress
from instantiator.progress import step

if TYPE_CHECKING:
    from instantiator.capsule.page import About
    from instantiator.capsule.window import CapsuleWindow
    from instantiator.recipe.model import Recipe
    from provenance.record import Record


@click.command("capsule")
@click.argument("run")
@click.option("-o", "--output", required=True, metavar="FILE", help="Write it to this new file, a tar.")
@click.option("--with-gui", is_flag=True, help="Also pack what opens the program's window in a browser.")
@click.option("-g", "--gui", metavar="GUI", help="Which window; the recipe's first where not given.")
@json_option
def capsule_command(run: str, output: str, gui: str | None, *, with_gui: bool, as_json: bool) -> None:
    """Pack RUN with its image, inputs and outputs into one FILE, which repeats and checks it without Thaw.

    Unpack it with `tar -xpf FILE`, then `sh run.sh`: that needs sh, tar, sha256sum and Docker or Podman.
    Keys: run, capsule, bytes, sha256.
    """
    from instantiator.capsule.pack import CapsuleBench, Packing, make_capsule, refuse_unpackable
    from instantiator.commands.start import run_bench
    from instantiator.thread.verify import (
        Repeater,
        check_objects,
        lay_out_input,
        prepare_image,
        read_record,
        read_recorded_lock,
    )
    from provenance.digest import digest_file

    bench = Bench()
    record = read_record(bench.store.run(run), bench.vault)
    target = Path(output).absolute()
    refuse_unpackable(record, target, with_window=with_gui)
    steps = progress()
    made = run_bench(bench)
    check_objects(record, record.inputs, made, steps)
    lock = read_recorded_lock(record, bench.vault)
    repeater = Repeater(
        bench=made, workshop=bench.workshop, mirrors=bench.mirrors, trees_dir=bench.settings.trees_dir
    )
    prepare_image(record, lock, repeater, steps)
    recipe = find_recorded_recipe(bench, record)
    packing = Packing(
        record=record,
        lock=lock,
        inputs={item.name: lay_out_input(item, repeater) for item in record.inputs},
        about=tell_about(record, recipe),
        window=prepare_window(bench, record, recipe, gui) if with_gui else None,
    )
    with step(steps, f"pack run {record.run}") as current:
        kept = CapsuleBench(vault=bench.vault, engine=bench.engine, scratch=bench.settings.scratch_dir)
        make_capsule(packing, target, kept)
        current.detail = size_text(target.stat().st_size)
    data = {
        "run": record.run,
        "capsule": str(target),
        "bytes": target.stat().st_size,
        "sha256": digest_file(target).removeprefix("sha256:"),
    }
    human = (
        f"capsule of run {record.run}: {target}, {size_text(target.stat().st_size)}\n"
        f"  sha256  {data['sha256']}\n"
        f"  repeat it anywhere: tar -xpf {target.name} && sh thaw-{record.run}/run.sh"
    )
    show(data, as_json=as_json, human=human)


def find_recorded_recipe(bench: Bench, record: Record) -> Recipe | None:
    """The recipe of a run, where it is here and still is what was recorded; None otherwise."""
    from provenance.errors import ThawError

    try:
        recipe = bench.recipe(record.recipe)
    except ThawError:
        return None
    return recipe if recipe.digest == record.recipe_digest else None


def tell_about(record: Record, recipe: Recipe | None) -> About:
    """What the page says of the software, and how to cite it."""
    from instantiator.capsule.page import About
    from provenance.export.cite import CitationStyle, cite_run
    from provenance.export.model import Cited, Software, bare_software

    software = bare_software(record)
    if recipe is not None:
        cited = (
            Cited(scheme=scheme, value=value, note=citation.note)
            for citation in recipe.citations
            for scheme in ("doi", "ascl", "ads")
            if (value := getattr(citation, scheme))
        )
        software = Software(
            name=recipe.name,
            version=recipe.version,
            title=recipe.title,
            description=recipe.description.strip(),
            licence=recipe.licence,
            homepage=recipe.homepage,
            citations=tuple(cited),
            known_from="recipe",
        )
    return About(
        title=f"{software.title} {software.version}",
        description=software.description,
        licence=software.licence,
        citation=cite_run(record, software, CitationStyle.TEXT),
        bibtex=cite_run(record, software, CitationStyle.BIBTEX),
    )


def prepare_window(
    bench: Bench, record: Record, recipe: Recipe | None, gui_name: str | None
) -> CapsuleWindow:
    """The window of a run's recipe, its display image in the engine and noVNC at hand."""
    from instantiator.capsule.errors import CapsuleRefused
    from instantiator.capsule.window import CapsuleWindow
    from instantiator.display.container import application_environment
    from instantiator.display.image import display_lock
    from instantiator.display.profile import parse_profile
    from instantiator.image.ensure import ensure_image
    from instantiator.image.fetch import wheel_target
    from instantiator.image.oci import ImageName
    from instantiator.image.wheels import fetch_wheel
    from instantiator.job.spec import ImageDigest
    from instantiator.recipe.model import GuiKind
    from instantiator.session.plan import choose_gui
    from instantiator.trace.tree import tracer_lock
    from provenance.digest import Digest
    from vnc_gateway.novnc import ensure_novnc

    if recipe is None:
        raise CapsuleRefused(
            f"the recipe {record.recipe} that declares the window is not here as it was",
            where=record.run,
            hint="make the capsule without --with-gui",
        )
    gui = choose_gui(recipe, gui_name)
    if gui.kind is not GuiKind.X11:
        raise CapsuleRefused(
            f"{gui.name} of {recipe.id} is a web application",
            where=record.run,
            hint="name another with --gui",
        )
    lock = display_lock()
    image = ensure_image(lock, bench.workshop, bench.mirrors, progress())
    (wheel,) = [one for one in tracer_lock().python if one.name == "websockify"]
    digest = Digest(f"sha256:{wheel.sha256}")
    if not bench.vault.has(digest):
        target = wheel_target(tracer_lock(), bench.mirrors)
        fetch_wheel(f"{wheel.name}=={wheel.version}", wheel.sha256, target, bench.vault)
    return CapsuleWindow(
        title=gui.title,
        command=gui.command,
        environment={**record.job.environment, **application_environment()},
        working_dir=record.job.working_dir,
        profile=parse_profile(gui.display),
        inputs={item.name: item.mount for item in record.inputs},
        memory_mb=gui.resources.memory_mb,
        cpus=gui.resources.cpus,
        processes=gui.resources.processes,
        display=ImageName(image=ImageDigest(image.id), name=lock.image_name, layers=(image.layer,)),
        novnc=ensure_novnc(bench.settings.cache_dir / "novnc"),
        websockify=bench.vault.path(digest),
    )
