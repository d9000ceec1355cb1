"""`thaw image`: export and import images as OCI layouts, look at their evidence."""

from __future__ import annotations

from pathlib import Path

import click

from instantiator.commands.common import Bench, json_option, show, size_text, table
from instantiator.commands.steps import progress
from instantiator.progress import step


@click.group("image")
def image_command() -> None:
    """Export and import images, look at their evidence."""


@image_command.command("list")
@json_option
def list_images(*, as_json: bool) -> None:
    """List the images the locks name. Keys: images[recipe, image, bytes, present]."""
    from instantiator.curate.locks import known_locks
    from instantiator.image.ensure import find_built

    bench = Bench()
    locks = [lock for lock in known_locks(bench.settings.recipes_dir) if lock.image is not None]
    images = [
        {
            "recipe": lock.recipe,
            "image": lock.image.id,
            "bytes": lock.image.size,
            "present": find_built(lock, bench.workshop) is not None,
        }
        for lock in locks
        if lock.image is not None
    ]
    rows = [
        (str(i["recipe"]), str(i["image"]), size_text(int(str(i["bytes"]))), "yes" if i["present"] else "no")
        for i in images
    ]
    show({"images": images}, as_json=as_json, human=table(("RECIPE", "IMAGE", "SIZE", "IN THE ENGINE"), rows))


@image_command.command("export")
@click.argument("name")
@click.argument("target")
@json_option
def export_one(name: str, target: str, *, as_json: bool) -> None:
    """Write a recipe's image as an OCI layout: a folder, or one tar where TARGET ends in .tar.

    Keys: image, target.
    """
    from instantiator.image.ensure import locked_image
    from instantiator.image.lock import refuse_unlocked
    from instantiator.image.oci import ImageName, export_image
    from instantiator.job.spec import ImageDigest
    from instantiator.thread.deliver import refuse_taken

    bench = Bench()
    lock = refuse_unlocked(bench.recipe(name))
    image = locked_image(lock)
    refuse_taken(Path(target))
    wanted = ImageName(image=ImageDigest(image.id), name=lock.image_name, layers=(image.layer,))
    with step(progress(), f"export {lock.image_name}"):
        export_image(wanted, Path(target), bench.engine, bench.settings.scratch_dir)
    show({"image": image.id, "target": target}, as_json=as_json, human=f"{target}: {image.id}")


@image_command.command("import")
@click.argument("source")
@json_option
def import_one(source: str, *, as_json: bool) -> None:
    """Load an OCI layout (folder or tar) into the engine; every blob is checked first. Keys: image, name."""
    from instantiator.image.oci import import_image

    bench = Bench()
    with step(progress(), f"import {source}"):
        name = import_image(Path(source), bench.engine, bench.settings.scratch_dir)
    show({"image": name.image, "name": name.name}, as_json=as_json, human=f"{name.name}: {name.image}")


@image_command.command("evidence")
@click.argument("name")
@click.argument("folder")
@json_option
def write_evidence(name: str, folder: str, *, as_json: bool) -> None:
    """Write what is known of a recipe's image to FOLDER: Dockerfile, file manifest, packages, bill of materials.

    Keys: image, files[name, bytes, sha256].
    """
    from instantiator.curate.build import evidence_of
    from instantiator.image.ensure import locked_image
    from instantiator.image.lock import refuse_unlocked
    from instantiator.thread.deliver import refuse_taken
    from provenance.digest import digest_bytes

    bench = Bench()
    lock = refuse_unlocked(bench.recipe(name))
    target = Path(folder)
    refuse_taken(target)
    files = evidence_of(lock, bench.vault)
    target.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (target / file).write_bytes(content)
    listed = [
        {"name": file, "bytes": len(content), "sha256": digest_bytes(content)[7:]}
        for file, content in files.items()
    ]
    data = {"image": locked_image(lock).id, "files": listed}
    show(data, as_json=as_json, human="\n".join(f"{target / str(item['name'])}" for item in listed))
