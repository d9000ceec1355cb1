"""`thaw list`: what is in the catalogue. Reads the published index, not the recipes: it answers at once."""

from __future__ import annotations

import click

from instantiator.catalog import read_catalog
from instantiator.commands.common import Bench, json_option, show, table


@click.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """Show what is in the catalogue.

    Keys: recipes[name, version, title, mission, threads, guis, status, image].
    """
    entries = read_catalog(Bench().settings.recipes_dir)
    rows = [
        (
            f"{entry.name}/{entry.version}",
            entry.status,
            entry.title,
            ", ".join(entry.threads) or "-",
            ", ".join(entry.mission),
        )
        for entry in entries
    ]
    data = {"recipes": [entry.to_json() for entry in entries]}
    show(data, as_json=as_json, human=table(("RECIPE", "STATUS", "TITLE", "THREADS", "MISSIONS"), rows))
