"""`thaw dataset`: name, hash and keep the data threads work on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from instantiator.commands.common import Bench, json_option, show, size_text, table
from instantiator.commands.remote import dataset_of, here_alone, remote
from instantiator.commands.remote_run import upload
from instantiator.commands.steps import progress
from instantiator.dataset import Dataset, add_dataset, check_dataset, find_dataset
from instantiator.dataset.calibration import add_calibration
from instantiator.progress import megabytes, step
from provenance.record import format_time


@click.group("dataset")
def dataset_command() -> None:
    """Name, hash and keep the data threads work on."""


@dataset_command.command("add")
@click.argument("what")
@click.argument("path", required=False)
@click.option(
    "--as-of", metavar="DATE", help="WHAT is a calibration, PATH its tree as it was on this day: YYYY-MM-DD."
)
@click.option("--name", help="What to call it; made from the path where not given.")
@click.option(
    "--reference", is_flag=True, help="Leave the bytes where they are: for data too large to have twice."
)
@click.option("--title", default="", help="One line for people.")
@click.option("--origin", default="", help="Where the data come from.")
@click.option("--licence", default="", help="Under which licence, as SPDX.")
@json_option
def add_one(
    what: str,
    path: str | None,
    as_of: str | None,
    name: str | None,
    *,
    reference: bool,
    title: str,
    origin: str,
    licence: str,
    as_json: bool,
) -> None:
    """Register a file or folder; its bytes are kept in the vault. Other content under a known name is a new version.

    WHAT is its path; or an archive's identifier, as xmm:0123700101, which is fetched once; or with --as-of the name
    of a calibration, as in `thaw dataset add ccf FOLDER --as-of 2026-07-27`.

    Keys: name, version, reference, digest, files, bytes, kept, path.
    """
    if (as_of is None) is not (path is None) or (as_of and (name or title)):
        raise click.UsageError("a calibration is its name, a folder and --as-of DATE; all else is one path")
    service = remote()
    if service is not None:
        if reference or as_of is not None or fetch_is_meant(what):
            raise here_alone("this", "adds a file or folder to the vault; a service takes those as uploads")
        sent = upload(service, what, progress(), name=name, title=title, origin=origin, licence=licence)
        _show_added(dataset_of(sent), as_json=as_json, is_remote=True)
        return
    bench = Bench()
    if as_of is not None and path is not None:
        add = partial(add_calibration, Path(path), what, as_of)
    elif fetch_is_meant(what):
        if name or title or origin or licence or reference:
            raise click.UsageError(f"{what} brings its name and origin along: give it no options")
        dataset = fetch_dataset(bench, what)
        _show_added(dataset, as_json=as_json)
        return
    else:
        add = partial(add_dataset, Path(what), name=name, title=title)
    described = partial(add, keep=not reference, origin=origin, licence=licence)
    dataset = _hash_and_add(bench, path or what, described)
    _show_added(dataset, as_json=as_json)


def _hash_and_add(bench: Bench, path: str, add: Callable[..., Dataset]) -> Dataset:
    """What `add` registers, as a named step that tells how many bytes are done."""
    steps, done = progress(), 0
    with step(steps, f"hash {path}") as current:

        def tell(size: int) -> None:
            nonlocal done
            done += size
            steps.note(megabytes(done))

        dataset = add(vault=bench.vault, store=bench.store, now=datetime.now(UTC), progress=tell)
        current.detail = f"{dataset.files} files, {size_text(dataset.size)}"
    return dataset


def _show_added(dataset: Dataset, *, as_json: bool, is_remote: bool = False) -> None:
    where = "kept in the vault" if dataset.kept else f"stays at {dataset.path}"
    data = dataset_to_json(dataset, is_remote=is_remote)
    show(data, as_json=as_json, human=f"{dataset.reference}: {dataset.digest}, {where}")


def fetch_is_meant(what: str) -> bool:
    """Whether `what` is an archive's identifier; a path of that spelling is a path."""
    from instantiator.dataset.archives import is_identifier

    return not Path(what).exists() and is_identifier(what)


def fetch_dataset(bench: Bench, identifier: str) -> Dataset:
    """The dataset of an archive's identifier, fetched now where it was not before."""
    from instantiator.dataset.archives_fetch import add_identified

    steps, done = progress(), 0
    with step(steps, f"fetch {identifier}") as current:

        def tell(size: int) -> None:
            nonlocal done
            done += size
            steps.note(megabytes(done))

        dataset = add_identified(
            identifier,
            vault=bench.vault,
            store=bench.store,
            scratch=bench.settings.scratch_dir,
            now=datetime.now(UTC),
            progress=tell,
        )
        current.detail = f"{dataset.files} files, {size_text(dataset.size)}"
    return dataset


@dataset_command.command("list")
@json_option
def list_all(*, as_json: bool) -> None:
    """List all versions of all datasets.

    Keys: datasets[name, version, digest, files, bytes, kept, path, title].
    """
    service = remote()
    datasets = [dataset_of(item) for item in service.datasets()] if service else Bench().store.datasets()
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
    data = {"datasets": [dataset_to_json(d, is_remote=service is not None) for d in datasets]}
    show(data, as_json=as_json, human=human)


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


def dataset_to_json(dataset: Dataset, *, is_remote: bool = False) -> dict[str, object]:
    """A dataset as data; its path is told of this host alone."""
    return {
        "name": dataset.name,
        "version": dataset.version,
        "reference": dataset.reference,
        "digest": dataset.digest,
        "files": dataset.files,
        "bytes": dataset.size,
        "kept": dataset.kept,
        "path": None if is_remote else str(dataset.path),
        "title": dataset.title,
        "origin": dataset.origin,
        "licence": dataset.licence,
        "added": format_time(dataset.added),
    }
