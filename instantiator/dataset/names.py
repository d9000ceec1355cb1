"""What datasets are called: which names there may be, which one is meant, which one to give."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Container
from difflib import get_close_matches
from itertools import count
from pathlib import Path

from instantiator.dataset.errors import DatasetNameInvalid, DatasetUnknown
from provenance.store import Dataset, Store

_LONGEST = 80
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{_LONGEST - 1}}}")
_REFERENCE = re.compile(rf"({_NAME.pattern})(?:@([1-9][0-9]{{0,8}}))?")
_DATED = re.compile(rf"({_NAME.pattern})@([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})")
_IDENTIFIED = re.compile(r"[a-z][a-z0-9-]*:[A-Za-z0-9][A-Za-z0-9,._-]*")


def check_name(name: str) -> None:
    """Raise `DatasetNameInvalid` unless `name` can be typed, be a file's name, and be told from a path."""
    if not _NAME.fullmatch(name):
        raise DatasetNameInvalid(
            f"a dataset cannot be called {name!r}: expected at most {_LONGEST} letters, digits, '.', '_'"
            " and '-', beginning with a letter or digit",
            where=name,
            hint=f"call it {derive_name(Path(name))!r}: --name {derive_name(Path(name))}",
        )


def derive_name(path: Path) -> str:
    """A name made from the last part of a path: accents dropped, other signs made hyphens."""
    plain = unicodedata.normalize("NFKD", path.name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._]+", "-", plain).strip("._-")[:_LONGEST].rstrip("._-") or "dataset"


def free_name(path: Path, taken: Container[str]) -> str:
    """The derived name, or that with the first number behind it that makes it a new one."""
    name = derive_name(path)
    if name not in taken:
        return name
    numbered = (f"{name[: _LONGEST - 8]}-{number}" for number in count(2))
    return next(candidate for candidate in numbered if candidate not in taken)


def find_dataset(reference: str, store: Store) -> Dataset:
    """The dataset called `name`, in its latest version, or `name@version`; raises `DatasetUnknown`.

    `ccf@2026-07-27` is a calibration of a day, `xmm:0123700101` what was fetched from an archive.
    """
    found = find_registered(reference, store)
    if found is None:
        raise unknown(reference, store)
    return found


def find_registered(reference: str, store: Store) -> Dataset | None:
    """The same, or None."""
    dated = _DATED.fullmatch(reference)
    if dated is not None:
        return store.dataset(".".join(dated.groups()))
    if _IDENTIFIED.fullmatch(reference):
        return store.dataset(identified_name(reference))
    parts = _REFERENCE.fullmatch(reference)
    if parts is None:
        return None
    name, version = parts.groups()
    return store.dataset(name, int(version) if version is not None else None)


def identified_name(identifier: str) -> str:
    """What the dataset of an archive's identifier is called: `xmm-0123700101`; a list gets one made from all of it."""
    archive, _, rest = identifier.partition(":")
    parts = rest.split(",")
    if len(parts) == 1:
        return f"{archive}-{rest}"[:_LONGEST]
    mark = hashlib.sha256(identifier.encode()).hexdigest()[:12]
    return f"{archive}-{parts[0]}-and-{len(parts) - 1}-more-{mark}"[:_LONGEST]


def unknown(reference: str, store: Store) -> DatasetUnknown:
    """The error that names the versions there are, or the nearest name."""
    if _IDENTIFIED.fullmatch(reference):
        return DatasetUnknown(
            f"{reference} was not fetched yet",
            where=reference,
            hint=f"fetch it once: thaw dataset add {reference}",
        )
    name = reference.partition("@")[0]
    names: dict[str, list[int]] = {}
    for dataset in store.datasets():
        names.setdefault(dataset.name, []).append(dataset.version)
    if name in names:
        versions = ", ".join(f"{name}@{version}" for version in names[name])
        return DatasetUnknown(
            f"there is no dataset {reference!r}: found {versions}", where=reference, hint="name one of these"
        )
    near = get_close_matches(name, names, n=1)
    advice = f"did you mean {near[0]!r}? " if near else ""
    return DatasetUnknown(
        f"there is no dataset {reference!r}",
        where=reference,
        hint=f"{advice}see the datasets there are: thaw dataset list; or name a file or folder",
    )
