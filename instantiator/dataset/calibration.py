"""Calibration datasets: a tree such as XMM-Newton's CCF as it was on a day, and how a run asks for that day.

The tree `ccf` of 27 July 2026 is the dataset `ccf.2026-07-27`, and `ccf@2026-07-27` means it wherever a dataset is
asked for. It has one content for good: a run that names the day can be repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from instantiator.dataset.add import add_dataset, read_files
from instantiator.dataset.names import check_name, find_registered
from provenance.errors import ThawError
from provenance.store import Dataset, Store
from provenance.vault import Vault

_DATED_NAME = re.compile(r"(.+)\.([0-9]{4}-[0-9]{2}-[0-9]{2})")


class CalibrationMissing(ThawError):
    """A run needs a calibration and names no date, or one of which nothing is registered."""

    code = "calibration-missing"


class CalibrationInvalid(ThawError):
    """A calibration cannot be registered like this: no date, a day to come, or another content for a day."""

    code = "calibration-invalid"


def add_calibration(
    path: Path,
    name: str,
    as_of: str,
    *,
    vault: Vault,
    store: Store,
    now: datetime,
    keep: bool = True,
    origin: str = "",
    licence: str = "",
    progress: Callable[[int], None] | None = None,
) -> Dataset:
    """Register the tree at `path` as the calibration `name` of the day `as_of`.

    The same tree again gives what there is; another one for that day raises `CalibrationInvalid`.
    """
    check_name(name)
    _check_day(as_of, now)
    dated = f"{name}.{as_of}"
    standing = store.dataset(dated)
    if standing is not None:
        tree = read_files(path.resolve(), vault=vault, store=store, now=now, keep=False, progress=progress)
        if tree.digest != standing.digest:
            raise CalibrationInvalid(
                f"{name}@{as_of} is registered with other content: expected {standing.digest}, found {tree.digest}",
                where=str(path),
                hint="a day has one state: name the day this tree was fetched",
            )
        return standing
    return add_dataset(
        path,
        vault=vault,
        store=store,
        now=now,
        name=dated,
        keep=keep,
        title=f"calibration {name} as of {as_of}",
        origin=origin,
        licence=licence,
        progress=progress,
    )


def dates_of(name: str, store: Store) -> tuple[str, ...]:
    """The days of which a calibration is registered, oldest first."""
    found = (_DATED_NAME.fullmatch(dataset.name) for dataset in store.datasets())
    return tuple(sorted({parts[2] for parts in found if parts is not None and parts[1] == name}))


def choose_calibration(name: str, asked: str | Path | None, store: Store) -> str:
    """The dataset `name.DATE` that a run asked for; raises `CalibrationMissing` naming the dates there are."""
    found = find_registered(asked, store) if isinstance(asked, str) else None
    parts = _DATED_NAME.fullmatch(found.name) if found is not None else None
    if found is None or parts is None or parts[1] != name:
        raise _missing(name, asked, dates_of(name, store))
    return found.reference


def _missing(name: str, asked: str | Path | None, dates: tuple[str, ...]) -> CalibrationMissing:
    text = "no date was named" if asked is None else f"found no such date: {asked}"
    there = ", ".join(dates) or "none"
    if dates:
        hint = f"name one: --calibration {name}={dates[-1]}"
    else:
        hint = f"register one first: thaw dataset add {name} FOLDER --as-of YYYY-MM-DD"
    return CalibrationMissing(
        f"the calibration {name!r} is needed, and {text}; registered dates: {there}", hint=hint
    )


def _check_day(as_of: str, now: datetime) -> None:
    try:
        day = datetime.strptime(as_of, "%Y-%m-%d").replace(tzinfo=now.tzinfo)
    except ValueError:
        day = None
    if day is None or day.strftime("%Y-%m-%d") != as_of:
        raise CalibrationInvalid(
            f"{as_of!r} is no day: expected YYYY-MM-DD",
            where=as_of,
            hint="name the day the tree was fetched, as 2026-07-27",
        )
    if day > now:
        raise CalibrationInvalid(
            f"{as_of} is still to come: expected the day the tree was fetched",
            where=as_of,
            hint="name that day",
        )
