"""The commands where a service was named (`THAW_URL`, `thaw login`): asked there, told here with the same words.

What comes from the service becomes the values the commands show of this host; so both show the same.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from instantiator.catalog import CatalogEntry
from instantiator.client.service import named_url, read_logins
from instantiator.settings import read_settings
from provenance.digest import parse_digest
from provenance.record import Record, RunState, parse_time
from provenance.store import Dataset, JudgedRun, RunAmbiguous, RunRow, RunUnknown

if TYPE_CHECKING:
    from instantiator.client import Dataset as RemoteDataset
    from instantiator.client import Run, RunStatus, Thaw
    from instantiator.curate.catalog_status import Status


def remote() -> Thaw | None:
    """The service commands go to; None: this host. Asks nothing yet."""
    if "THAW_URL" not in os.environ and not _has_logins():
        return None
    if named_url(read_logins(read_settings().home), os.environ) is None:
        return None
    from instantiator.client import Thaw  # here: where no service is named, httpx need not be loaded

    return Thaw()


def _has_logins() -> bool:
    from instantiator.client.service import logins_file

    return logins_file(read_settings().home).is_file()


def here_alone(option: str, why: str) -> click.UsageError:
    """The refusal of an option that makes no sense with a service."""
    return click.UsageError(f"{option} {why}; for this host: THAW_URL= thaw ...")


def catalogue(service: Thaw, *, retired: bool) -> tuple[list[CatalogEntry], list[Status]]:
    """The service's catalogue, and how each entry stands there."""
    from instantiator.curate.catalog_status import Status

    found = sorted(service.recipes(every=True, retired=retired), key=lambda item: (item.name, item.version))
    entries = [
        CatalogEntry(
            name=item.name,
            version=item.version,
            title=item.title,
            mission=item.mission,
            threads=item.threads,
            guis=item.guis,
            image=item.image,
            awaits=item.awaits,
            missing=item.missing,
            retired=item.retired,
            superseded_by=item.superseded_by,
        )
        for item in found
    ]
    return entries, [Status(word=item.status, since=item.verified, details=item.details) for item in found]


def find_run(service: Thaw, run: str) -> Run:
    """A run of mine by its id, or the beginning or end of it; raises `RunUnknown`, `RunAmbiguous`."""
    from instantiator.client import RemoteError

    try:
        return service.get(run)
    except RemoteError as error:
        if error.status not in (404, 422):
            raise
    found = [item for item in service.runs() if item.id.startswith(run) or item.id.endswith(run)]
    if not found:
        raise RunUnknown(f"there is no run {run!r} of yours", where=service.url, hint="see them: thaw runs")
    if len(found) > 1:
        several = ", ".join(item.id for item in found[:5])
        raise RunAmbiguous(
            f"{len(found)} runs are called like {run!r}: {several}", where=run, hint="give more of the id"
        )
    return found[0]


def rows(
    service: Thaw, limit: int, *, state: RunState | None, recipe: str | None, before: str | None
) -> list[RunRow]:
    """My runs as the store would list them."""
    last = find_run(service, before).status if before is not None else None
    found: list[RunRow] = []
    for run in service.runs(state=state, recipe=recipe, limit=limit if last is None else None):
        if len(found) == limit:
            break
        if last is None or (run.status.submitted, run.id) < (last.submitted, last.run):
            found.append(row_of(run.status))
    return found


def row_of(status: RunStatus) -> RunRow:
    """A run as the store would know it."""
    return RunRow(
        id=status.run,
        kind=status.kind,
        recipe=status.recipe,
        thread=status.thread,
        parameters=status.parameters,
        inputs=status.datasets,
        repeats=status.repeats,
        state=status.state,
        submitted=status.submitted,
        started=status.started,
        ended=status.ended,
        record=parse_digest(status.record) if status.record else None,
        exit_status=status.exit_status,
        message=status.message,
        owner=None,
        user=status.user,
        answered_from=status.answered_from,
    )


def finished(run: Run) -> tuple[Record, tuple[JudgedRun, ...]]:
    """A run that is over: its record, checked against its digest, and how its repetitions were judged."""
    verdicts = (
        JudgedRun(
            run=entry.run,
            repeated_by=entry.repeated_by,
            grade=entry.grade,
            judged=parse_time(entry.judged),
            verdict=parse_digest(entry.verdict),
        )
        for entry in run.verdicts()
    )
    return run.record(), tuple(verdicts)


def dataset_of(found: RemoteDataset) -> Dataset:
    """A dataset as the store would know it; its path is a matter of the service's host: `/`."""
    return Dataset(
        name=found.name,
        version=found.version,
        digest=parse_digest(found.digest),
        path=Path("/"),
        kept=found.kept,
        files=found.files,
        size=found.size,
        added=parse_time(found.added),
        title=found.title,
        origin=found.origin,
        licence=found.licence,
    )
