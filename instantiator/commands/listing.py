"""`thaw list`: what is in the catalogue. Reads the published index, not the recipes: it answers at once."""

from __future__ import annotations

import click

from instantiator.catalog import read_catalog
from instantiator.commands.common import Bench, json_option, show, table
from instantiator.commands.remote import catalogue, remote


@click.command("list")
@click.option("--retired", is_flag=True, help="Also what has left the list.")
@json_option
def list_command(*, retired: bool, as_json: bool) -> None:
    """Show what is in the catalogue, each with its status as this Thaw can derive it.

    Keys: recipes[name, version, title, mission, threads, guis, status, verified, details, image, awaits, missing,
    retired, superseded_by].
    """
    from instantiator.curate.catalog_status import status_of

    service = remote()
    if service is not None:
        entries, stati = catalogue(service, retired=retired)
    else:
        settings = Bench().settings
        entries = [entry for entry in read_catalog(settings.recipes_dir) if retired or not entry.retired]
        stati = [status_of(entry, settings.home) for entry in entries]
    rows = [
        (
            entry.id,
            status.describe() + (", retired" if entry.retired else ""),
            entry.title,
            ", ".join(entry.threads) or "-",
            ", ".join(entry.mission),
        )
        for entry, status in zip(entries, stati, strict=True)
    ]
    lines = [table(("RECIPE", "STATUS", "TITLE", "THREADS", "MISSIONS"), rows)]
    for entry, status in zip(entries, stati, strict=True):
        lines += [f"{entry.id}: {detail}" for detail in status.details]
        lines += [f"{entry.id}: superseded by {entry.superseded_by}"] if entry.superseded_by else []
    data = {
        "recipes": [
            {**entry.to_json(), **status.to_json()} for entry, status in zip(entries, stati, strict=True)
        ]
    }
    show(data, as_json=as_json, human="\n".join(lines))
