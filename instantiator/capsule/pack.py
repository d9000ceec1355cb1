"""Pack a run: image, inputs, script, record, expected outputs, runner and page, into one tar."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from instantiator.capsule.errors import CapsuleRefused
from instantiator.capsule.page import About, about_of, render_page
from instantiator.capsule.script import render_job, render_outputs
from instantiator.capsule.window import CapsuleWindow, add_window
from instantiator.capsule.writer import CapsuleWriter, make_frame
from instantiator.engine import Engine
from instantiator.image.lock import Lock
from instantiator.image.oci import ImageName, export_image
from instantiator.image.scratch import scratch_folder
from instantiator.job.spec import ImageDigest
from instantiator.progress import Progress
from instantiator.recipe.model import Recipe
from instantiator.thread.verify import (
    Repeater,
    check_objects,
    lay_out_input,
    prepare_image,
    read_recorded_lock,
)
from provenance.digest import Digest, canonical_json
from provenance.errors import ThawError
from provenance.record import Record, RunState
from provenance.vault import Vault

RUNNER = Path(__file__).with_name("run.sh")


@dataclass(frozen=True, slots=True, kw_only=True)
class CapsuleBench:
    """What capsules are made with."""

    vault: Vault
    engine: Engine
    scratch: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """All that goes into one capsule. `inputs` gives the folder of each input on this host."""

    record: Record
    lock: Lock
    inputs: Mapping[str, Path]
    about: About
    window: CapsuleWindow | None = None


def refuse_unpackable(record: Record, target: Path, *, with_window: bool) -> None:
    """Raise `CapsuleRefused` where no capsule can be made of a run, before anything is copied."""
    if target.exists():
        raise CapsuleRefused("there is a file or folder already", where=str(target), hint="name a new file")
    if record.kind != "thread" and not with_window:
        raise CapsuleRefused(
            f"{record.run} is a {record.kind}: nobody can repeat what a person did in it",
            where=record.run,
            hint="make it --with-gui: then the capsule opens the program on the same inputs",
        )
    if record.kind == "thread" and record.state is not RunState.COMPLETED:
        raise CapsuleRefused(
            f"run {record.run} is {record.state}: it gave nothing a repeat could be compared with",
            where=record.run,
            hint="run the thread again, and pack that run",
        )


def recorded_recipe(record: Record, find: Callable[[str], Recipe]) -> Recipe | None:
    """The recipe of a run, where it is here and still is what was recorded; None otherwise."""
    try:
        recipe = find(record.recipe)
    except ThawError:
        return None
    return recipe if recipe.digest == record.recipe_digest else None


def prepare_packing(record: Record, recipe: Recipe | None, repeater: Repeater, progress: Progress) -> Packing:
    """All a capsule needs, at hand and checked: objects, image, inputs. Raises what a repeat of the run raises."""
    check_objects(record, record.inputs, repeater.bench, progress)
    lock = read_recorded_lock(record, repeater.bench.vault)
    prepare_image(record, lock, repeater, progress)
    return Packing(
        record=record,
        lock=lock,
        inputs={item.name: lay_out_input(item, repeater) for item in record.inputs},
        about=about_of(record, recipe),
    )


def make_capsule(packing: Packing, target: Path, bench: CapsuleBench) -> None:
    """Write the capsule, whole or not at all."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            writer = CapsuleWriter(stream, f"thaw-{packing.record.run}")
            _add_all(writer, packing, bench)
            writer.close()
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _add_all(writer: CapsuleWriter, packing: Packing, bench: CapsuleBench) -> None:
    record, vault = packing.record, bench.vault
    image = name_image(record, packing.lock)
    writer.add_file("run.sh", RUNNER, is_program=True)
    writer.add_bytes("index.html", render_page(record, packing.about, has_window=packing.window is not None))
    writer.add_bytes("job.sh", render_job(record, image).encode())
    writer.add_bytes("outputs.txt", render_outputs(record).encode())
    writer.add_bytes("record.json", record.to_bytes())
    writer.add_bytes("lock.json", vault.read_bytes(record.lock, used_by=f"lock of run {record.run}"))
    writer.add_bytes("frame.tar", make_frame())
    if record.job.script is not None:
        writer.add_file("script", vault.path(record.job.script), expected=record.job.script)
    if record.log is not None:
        writer.add_file("log.txt", vault.path(record.log), expected=record.log)
    for output in record.outputs:
        writer.add_file(f"expected/{output.path}", vault.path(output.digest), expected=output.digest)
    for item in record.inputs:
        _add_input(writer, item.name, item.digest, packing.inputs[item.name], vault)
    add_image(writer, "image", image, bench)
    if packing.window is not None:
        add_window(writer, packing.window)
        add_image(writer, "display", packing.window.display, bench)


def name_image(record: Record, lock: Lock) -> ImageName:
    """The image of a record, with its layers as the lock names them."""
    layers = (lock.image.layer,) if lock.image is not None else ()
    return ImageName(image=ImageDigest(record.image), name=lock.image_name, layers=layers)


def _add_input(writer: CapsuleWriter, name: str, digest: Digest, folder: Path, vault: Vault) -> None:
    writer.add_empty_folder(f"inputs/{name}")
    for entry in vault.read_tree(digest).entries:
        writer.add_file(
            f"inputs/{name}/{entry.path}",
            folder / entry.path,
            expected=entry.digest,
            is_program=entry.executable,
        )


def add_image(writer: CapsuleWriter, folder: str, image: ImageName, bench: CapsuleBench) -> None:
    """An image as an OCI layout that is a docker-archive as well: older engines load nothing else."""
    with scratch_folder(bench.scratch, "capsule-") as scratch:
        layout = scratch / "layout"
        export_image(image, layout, bench.engine, bench.scratch)
        writer.add_folder(folder, layout)
    blob = "blobs/sha256/{}".format
    manifest = {
        "Config": blob(image.image.removeprefix("sha256:")),
        "Layers": [blob(layer.removeprefix("sha256:")) for layer in image.layers],
        "RepoTags": [image.name],
    }
    writer.add_bytes(f"{folder}/manifest.json", canonical_json([manifest]))
