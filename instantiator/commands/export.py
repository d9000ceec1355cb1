"""`thaw export`, `thaw cite`, `thaw import`: a run leaves this Thaw as others read it, and comes from another."""

from __future__ import annotations

from pathlib import Path

import click

from instantiator.commands.common import Bench, json_option, show, size_text
from instantiator.commands.steps import progress
from instantiator.progress import step
from instantiator.thread.crates import Asked, House, import_crate, prepared_export, software_of
from instantiator.thread.verify import read_record
from provenance.crate_import import open_crate
from provenance.export import CitationStyle, ExportFormat, cite_run, export_folder, export_run

_FORMATS = [item.value for item in ExportFormat]
_STYLES = [item.value for item in CitationStyle]


def house_of(bench: Bench) -> House:
    """What crates leave and enter."""
    return House(
        vault=bench.vault,
        store=bench.store,
        recipes_dir=bench.settings.recipes_dir,
        scratch=bench.settings.scratch_dir,
        engine=lambda: bench.engine,
    )


@click.command("export")
@click.argument("run")
@click.option(
    "-f",
    "--format",
    "how",
    type=click.Choice(_FORMATS),
    default="ro-crate",
    show_default=True,
    help="What to write.",
)
@click.option("-o", "--output", metavar="FILE", help="Where to; by default RUN and an ending, here.")
@click.option("--with-image", is_flag=True, help="The crate also holds the image, as an OCI layout.")
@click.option("--with-packages", is_flag=True, help="The crate also holds all the image is made of.")
@click.option("--with-deposits", is_flag=True, help="Also what was handed in under a licence of its own.")
@click.option("--licence", default="", metavar="SPDX", help="The licence you give the crate.")
@click.option("--organisation", default="", metavar="NAME", help="Who publishes the crate.")
@click.option("--organisation-url", default="", metavar="URL", help="Their page.")
@json_option
def export_command(
    run: str,
    how: str,
    output: str | None,
    *,
    with_image: bool,
    with_packages: bool,
    with_deposits: bool,
    licence: str,
    organisation: str,
    organisation_url: str,
    as_json: bool,
) -> None:
    """Write a RUN for other people's tools: W3C PROV, IVOA provenance, RO-Crate, BagIt.

    A crate or bag is a zip where FILE ends in .zip, else a folder. Keys: run, format, file, bytes, software_from.
    """
    bench, wanted = Bench(), ExportFormat(how)
    record = read_record(bench.store.run(run), bench.vault)
    target = Path(output or wanted.file_name(record.run))
    asked = Asked(
        with_image=with_image,
        with_packages=with_packages,
        with_deposits=with_deposits,
        licence=licence,
        organisation=organisation,
        organisation_url=organisation_url,
    )
    if (with_image or with_packages) and not wanted.has_bytes:
        raise click.UsageError(f"--with-image and --with-packages go with ro-crate and bagit, not with {how}")
    with (
        prepared_export(record, house_of(bench), asked) as export,
        step(progress(), f"write {target}") as current,
    ):
        if wanted.has_bytes and target.suffix != ".zip":
            export_folder(export, wanted, target)
            size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
        else:
            size = export_run(export, wanted, target).size
        current.detail = size_text(size)
    known = export.software.known_from
    data = {"run": record.run, "format": how, "file": str(target), "bytes": size, "software_from": known}
    note = "" if known else "\nThe recipe is gone: title, licence and citations of the software are left out."
    show(data, as_json=as_json, human=f"{target}: {size_text(size)}{note}")


@click.command("cite")
@click.argument("run")
@click.option(
    "-f",
    "--format",
    "how",
    type=click.Choice(_STYLES),
    default="text",
    show_default=True,
    help="How to write it.",
)
@json_option
def cite_command(run: str, how: str, *, as_json: bool) -> None:
    """Say how to cite a RUN: the software, its environment, the run. Keys: run, format, citation."""
    bench = Bench()
    record = read_record(bench.store.run(run), bench.vault)
    text = cite_run(record, software_of(record, house_of(bench)), CitationStyle(how))
    show({"run": record.run, "format": how, "citation": text}, as_json=as_json, human=text)


@click.command("import")
@click.argument("crate")
@click.option("--no-image", is_flag=True, help="Leave the crate's image out of the engine.")
@json_option
def import_command(crate: str, *, no_image: bool, as_json: bool) -> None:
    """Take a run from a CRATE another Thaw exported (zip, folder or bag); every byte is checked first.

    Then it is repeated as any other: thaw verify RUN. Keys: run, record, added, present, datasets, image.
    """
    bench = Bench()
    with step(progress(), f"read {crate}") as current, open_crate(Path(crate), bench.vault) as checked:
        imported = import_crate(checked, house_of(bench), with_image=not no_image)
        current.detail = f"{imported.taken.added} objects new, {imported.taken.present} were there"
    data = {
        "run": imported.run,
        "record": imported.taken.digest,
        "added": imported.taken.added,
        "present": imported.taken.present,
        "datasets": list(imported.datasets),
        "image": imported.image,
    }
    lines = [f"run       {imported.run}", f"record    {imported.taken.digest}"]
    lines += [f"dataset   {name}" for name in imported.datasets]
    lines += [f"image     {imported.image}"] if imported.image else []
    show(data, as_json=as_json, human="\n".join([*lines, f"repeat it: thaw verify {imported.run}"]))
