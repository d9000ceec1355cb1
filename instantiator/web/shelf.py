"""The catalogue's facets, a recipe in all its parts, and what can be opened or run, as values for pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from instantiator.catalog import CatalogEntry, read_catalog
from instantiator.curate.catalog_status import Status, status_of
from instantiator.image.errors import LockMissing
from instantiator.image.lock import Lock, answers, read_lock
from instantiator.recipe.model import Citation, Recipe
from instantiator.recipe.versions import version_key
from instantiator.web.portal import Bench
from instantiator.web.proofs import AGES, ages_of, last_verified
from provenance.store import Dataset, RunRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What the catalogue is searched for."""

    words: str = ""
    mission: str = ""
    kind: str = ""
    status: str = ""
    verified: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether everything is asked for."""
        return self == Query()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """One way to narrow the catalogue: each value there is, its words, and how many entries have it."""

    name: str
    label: str
    chosen: str
    values: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What vouches for a recipe's image."""

    is_locked: bool
    image: str
    layer: str
    size: int
    packages: int
    wheels: int
    lock: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One entry of the catalogue as its card shows it."""

    entry: CatalogEntry
    status: Status
    kinds: tuple[str, ...]
    verified: datetime | None
    ages: tuple[str, ...]


def entry_kinds(entry: CatalogEntry) -> tuple[str, ...]:
    """What an entry can do: be opened (`gui`), be run (`thread`)."""
    return (*(("gui",) if entry.guis else ()), *(("thread",) if entry.threads else ()))


def newest_entries(bench: Bench) -> tuple[CatalogEntry, ...]:
    """The newest version of everything published and not retired, by title."""
    newest: dict[str, CatalogEntry] = {}
    for entry in sorted(read_catalog(bench.settings.recipes_dir), key=lambda item: version_key(item.version)):
        if not entry.retired:
            newest[entry.name] = entry
    return tuple(sorted(newest.values(), key=lambda item: item.title.casefold()))


def all_entries(bench: Bench, *, retired: bool) -> tuple[CatalogEntry, ...]:
    """Every version published, by name; where asked for, those that have left the list too."""
    found = read_catalog(bench.settings.recipes_dir)
    return tuple(entry for entry in found if retired or not entry.retired)


def versions_of(bench: Bench, name: str) -> tuple[str, ...]:
    """The published versions of one application, newest first."""
    found = [entry.version for entry in read_catalog(bench.settings.recipes_dir) if entry.name == name]
    return tuple(sorted(found, key=version_key, reverse=True))


def offers_of(
    bench: Bench, now: datetime, entries: Iterable[CatalogEntry] | None = None
) -> tuple[Offer, ...]:
    """What is published, each with when it was last verified: these entries, else the newest of each."""
    return tuple(
        _offer(bench, entry, now) for entry in (newest_entries(bench) if entries is None else entries)
    )


def find_offers(offers: Iterable[Offer], query: Query) -> tuple[Offer, ...]:
    """The offers that hold every word and lie in every chosen facet."""
    words = query.words.casefold().split()
    return tuple(
        offer
        for offer in offers
        if all(word in _text_of(offer.entry) for word in words)
        and query.mission in ("", *offer.entry.mission)
        and query.kind in ("", *offer.kinds)
        and query.status in ("", offer.status.word)
        and query.verified in ("", *offer.ages)
    )


def facets_of(offers: tuple[Offer, ...], query: Query) -> tuple[Facet, ...]:
    """The facets of these offers, each with its values by name; ages from the youngest on."""
    ages = [value for offer in offers for value in offer.ages]
    counted = tuple((age, words, ages.count(age)) for age, words in AGES if age in ages)
    return (
        _facet("mission", "Mission", query.mission, [value for o in offers for value in o.entry.mission]),
        _facet("kind", "Kind", query.kind, [value for o in offers for value in o.kinds]),
        _facet("status", "Status", query.status, [o.status.word for o in offers]),
        Facet(name="verified", label="Last verified", chosen=query.verified, values=counted),
    )


def evidence_of(recipe: Recipe) -> Evidence | None:
    """What the lock of a recipe vouches for; None where it has none."""
    try:
        lock = read_lock(recipe)
    except LockMissing:
        return None
    return _evidence(recipe, lock)


def screenshot_of(recipe: Recipe) -> Path | None:
    """The picture beside the recipe, where there is one."""
    path = recipe.folder / "screenshot.png"
    return path if path.is_file() and not path.is_symlink() else None


def citation_link(citation: Citation) -> tuple[str, str]:
    """How a citation is written, and where it leads."""
    if citation.doi:
        return f"doi:{citation.doi}", f"https://doi.org/{citation.doi}"
    if citation.ascl:
        number = citation.ascl.removeprefix("ascl:")
        return f"ascl:{number}", f"https://ascl.net/{number}"
    return citation.ads or "", f"https://ui.adsabs.harvard.edu/abs/{citation.ads}"


def dataset_names(recipe: Recipe, registered: Iterable[Dataset]) -> tuple[tuple[str, str], ...]:
    """Name and title of the datasets that can be given: the recipe's own first, then the registered ones."""
    named = {dataset.name: dataset.title for dataset in recipe.datasets}
    for dataset in registered:
        named.setdefault(dataset.name, dataset.title)
    return tuple(named.items())


def latest_grades(bench: Bench, rows: Iterable[RunRow]) -> dict[str, str]:
    """The grade of the latest verdict on each run that has one."""
    judged = {row.id: bench.store.verdicts(row.id) for row in rows}
    return {run: verdicts[-1].grade for run, verdicts in judged.items() if verdicts}


def _offer(bench: Bench, entry: CatalogEntry, now: datetime) -> Offer:
    shown = last_verified(bench, f"{entry.name}/{entry.version}")
    verified = shown.when if shown else None
    return Offer(
        entry=entry,
        status=status_of(entry, bench.settings.home),
        kinds=entry_kinds(entry),
        verified=verified,
        ages=ages_of(verified, now),
    )


def _text_of(entry: CatalogEntry) -> str:
    return " ".join(
        (entry.name, entry.version, entry.title, *entry.mission, *entry.threads, *entry.guis)
    ).casefold()


def _facet(name: str, label: str, chosen: str, values: list[str]) -> Facet:
    counted = tuple((value, value, values.count(value)) for value in sorted(set(values), key=str.casefold))
    return Facet(name=name, label=label, chosen=chosen, values=counted)


def _evidence(recipe: Recipe, lock: Lock) -> Evidence:
    image = lock.image
    return Evidence(
        is_locked=answers(lock, recipe),
        image=image.id if image else "",
        layer=image.layer if image else "",
        size=image.size if image else 0,
        packages=len(lock.packages),
        wheels=len(lock.python),
        lock=lock.digest,
    )
