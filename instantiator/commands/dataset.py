"""`thaw dataset`: name, hash and keep the data threads work on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from instantiator.commands.common import Bench, json_option, show, size_text, table
from instantiator.commands.steps import progress
from instantiator.dataset import Dataset, add_dataset, check_dataset, find_dataset
from instantiator.progress import megabytes, step
from provenance.record import format_time


@click.group("dataset")
def dataset_command() -> None:
    """Name, hash and keep the data threads work on."""


@dataset_command.command("add")
@click.argument("path")
@click.option("--name", help="What to call it; made from the path where not given.")
@click.option(
    "--reference", is_flag=True, help="Leave the bytes where they are: for data too large to have twice."
)
@click.option("--title", default="", help="One line for people.")
@click.option("--origin", default="", help="Where the data come from.")
@click.option("--licence", default="", help="Under which licence, as SPDX.")
@json_option
def add_one(
    path: str, name: str | None, *, reference: bool, title: str, origin: str, licence: str, as_json: bool
) -> None:
    """Register a file or folder; its bytes are kept in the vault. Other content under a known name is a new version.

    Keys: name, version, reference, digest, files, bytes, kept, path.
    """
    bench, steps, done = Bench(), progress(), 0
    with step(steps, f"hash {path}") as current:

        def tell(size: int) -> None:
            nonlocal done
            done += size
            steps.note(megabytes(done))

        dataset = add_dataset(
            Path(path),
            vault=bench.vault,
            store=bench.store,
            now=datetime.now(UTC),
            name=name,
            keep=not reference,
            title=title,
            origin=origin,
            licence=licence,
            progress=tell,
        )
        current.detail = f"{dataset.files} files, {size_text(dataset.size)}"
    where = "kept in the vault" if dataset.kept else f"stays at {dataset.path}"
    show(dataset_to_json(dataset), as_json=as_json, human=f"{dataset.reference}: {dataset.digest}, {where}")


@dataset_command.command("list")
@json_option
def list_all(*, as_json: bool) -> None:
    """List all versions of all datasets.

    Keys: datasets[name, version, digest, files, bytes, kept, path, title].
    """
    datasets = Bench().store.datasets()
    rows = [
        (
            d.reference,
            str(d.files),
            size_text(d.size),
            "kept" if d.kept else "reference",
            d.digest[7:19],
            d.title,
        )
        for d in datasets
    ]
    human = (
        table(("DATASET", "FILES", "SIZE", "BYTES", "SHA256", "TITLE"), rows) if rows else "no datasets yet"
    )
    show({"datasets": [dataset_to_json(d) for d in datasets]}, as_json=as_json, human=human)


@dataset_command.command("check")
@click.argument("name")
@json_option
def check_one(name: str, *, as_json: bool) -> int:
    """Hash every file of a dataset again, at its path and in the vault. Exit 1 where something changed.

    Keys: name, version, unchanged, expected, found, changed, missing, added.
    """
    bench = Bench()
    dataset = find_dataset(name, bench.store)
    with step(progress(), f"hash {dataset.reference}"):
        result = check_dataset(dataset, vault=bench.vault, store=bench.store, now=datetime.now(UTC))
    data = {
        "name": dataset.name,
        "version": dataset.version,
        "unchanged": result.is_unchanged,
        "expected": dataset.digest,
        "found": result.found,
        "changed": list(result.changed),
        "missing": list(result.missing),
        "added": list(result.added),
    }
    at = str(dataset.path) if result.found else "its path is gone; the vault's copy is sound"
    words = [f"{dataset.reference}: {'unchanged' if result.is_unchanged else 'changed'} ({at})"]
    for kind, paths in (("changed", result.changed), ("missing", result.missing), ("added", result.added)):
        words += [f"  {kind} {path}" for path in paths]
    show(data, as_json=as_json, human="\n".join(words))
    return 0 if result.is_unchanged else 1


def dataset_to_json(dataset: Dataset) -> dict[str, object]:
    """A dataset as data."""
    return {
        "name": dataset.name,
        "version": dataset.version,
        "reference": dataset.reference,
        "digest": dataset.digest,
        "files": dataset.files,
        "bytes": dataset.size,
        "kept": dataset.kept,
        "path": str(dataset.path),
        "title": dataset.title,
        "origin": dataset.origin,
        "licence": dataset.licence,
        "added": format_time(dataset.added),
    }
