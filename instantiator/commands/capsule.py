"""`thaw capsule`: one file that repeats a run where Thaw is not installed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from instantiator.commands.common import Bench, json_option, show, size_text
from instantiator.commands.steps import progress
from instantiator.progress import step

if TYPE_CHECKING:
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
    from instantiator.capsule.pack import (
        CapsuleBench,
        make_capsule,
        prepare_packing,
        recorded_recipe,
        refuse_unpackable,
    )
    from instantiator.commands.start import run_bench
    from instantiator.thread.verify import Repeater, read_record
    from provenance.digest import digest_file

    bench = Bench()
    record = read_record(bench.store.run(run), bench.vault)
    target = Path(output).absolute()
    refuse_unpackable(record, target, with_window=with_gui)
    steps = progress()
    repeater = Repeater(
        bench=run_bench(bench),
        workshop=bench.workshop,
        mirrors=bench.mirrors,
        trees_dir=bench.settings.trees_dir,
    )
    recipe = recorded_recipe(record, bench.recipe)
    packing = prepare_packing(record, recipe, repeater, steps)
    if with_gui:
        packing = replace(packing, window=prepare_window(bench, record, recipe, gui))
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
