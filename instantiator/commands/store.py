"""`thaw store`: look after the index of runs."""

from __future__ import annotations

import click

from instantiator.commands.common import Bench, json_option, show


@click.group("store")
def store_command() -> None:
    """Look after the index of runs: it may be lost, the vault's journal makes it again."""


@store_command.command("rebuild")
@json_option
def rebuild_store(*, as_json: bool) -> int:
    """Make the index again from the vault's records. Keys: runs, verdicts, datasets, problems."""
    bench = Bench()
    rebuilt = bench.store.rebuild(bench.vault)
    data = {
        "runs": rebuilt.runs,
        "verdicts": rebuilt.verdicts,
        "datasets": rebuilt.datasets,
        "problems": list(rebuilt.problems),
    }
    words = [f"index of {rebuilt.runs} runs, {rebuilt.verdicts} verdicts, {rebuilt.datasets} datasets"]
    words += [f"  left out: {problem}" for problem in rebuilt.problems]
    show(data, as_json=as_json, human="\n".join(words))
    return 1 if rebuilt.problems else 0
