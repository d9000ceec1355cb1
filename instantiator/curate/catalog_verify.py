"""Verify everything that is published: every smoke test and rebuild, a row each; nothing is called green unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from instantiator.catalog import CatalogEntry
from instantiator.curate.catalog_status import Status, derive_status, newest
from instantiator.evidence import Evidence
from provenance.errors import ThawError

NOT_RUN = "-"
DIFFERS = ("different", "failed", "missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What re-running showed of one side of a recipe: a verdict's word, of which image, and what was wrong."""

    grade: str
    image: str
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """How a recipe is tested and rebuilt, and what was noted of it before; each raises what stops it.

    What they show they note as evidence themselves, before the next one begins: a kill loses one recipe at most.
    `rebuild` is None where nothing is to be rebuilt.
    """

    test: Callable[[str], Shown]
    rebuild: Callable[[str], Shown] | None
    evidence: Callable[[str], Sequence[Evidence]]
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One recipe of the table. `smoke` and `rebuild` are grades, or `-`; `problem` is why it could not be verified."""

    recipe: str
    status: Status
    smoke: str = NOT_RUN
    rebuild: str = NOT_RUN
    seconds: float = 0.0
    image: str = ""
    findings: tuple[str, ...] = ()
    problem: str = ""
    is_skipped: bool = False

    @property
    def differs(self) -> bool:
        """Whether something came out otherwise than it must."""
        return self.smoke in DIFFERS or self.rebuild in DIFFERS

    def to_json(self) -> dict[str, object]:
        """Keys: recipe, status, verified, details, smoke, rebuild, seconds, image, findings, problem, skipped."""
        return {
            "recipe": self.recipe,
            **self.status.to_json(),
            "smoke": self.smoke,
            "rebuild": self.rebuild,
            "seconds": round(self.seconds, 1),
            "image": self.image,
            "findings": list(self.findings),
            "problem": self.problem,
            "skipped": self.is_skipped,
        }


def verify_catalog(
    entries: Sequence[CatalogEntry], verifier: Verifier, *, fresh: timedelta | None = None
) -> Iterator[Row]:
    """A row for each entry, as soon as it is known. With `fresh`, what was verified within that time is skipped."""
    for entry in entries:
        if not entry.can_run:
            yield Row(recipe=entry.id, status=derive_status(entry, ()))
        elif fresh is not None and is_fresh(entry, verifier, fresh):
            yield _row_of_evidence(entry, verifier)
        else:
            yield verify_entry(entry, verifier)


def is_fresh(entry: CatalogEntry, verifier: Verifier, fresh: timedelta) -> bool:
    """Whether all that would be run was shown good, of this very image, within that time."""
    shown, since = verifier.evidence(entry.id), verifier.now() - fresh
    wanted = [newest(shown, "test", entry.image)]
    wanted += [newest(shown, "rebuild")] if verifier.rebuild is not None else []
    return all(
        one is not None and one.is_good and one.image == entry.image and one.when >= since for one in wanted
    )


def _row_of_evidence(entry: CatalogEntry, verifier: Verifier) -> Row:
    shown = verifier.evidence(entry.id)
    tested, rebuilt = newest(shown, "test", entry.image), newest(shown, "rebuild")
    return Row(
        recipe=entry.id,
        status=derive_status(entry, shown),
        smoke=tested.grade if tested else NOT_RUN,
        rebuild=rebuilt.grade if rebuilt else NOT_RUN,
        image=entry.image or "",
        is_skipped=True,
    )


def verify_entry(entry: CatalogEntry, verifier: Verifier) -> Row:
    """Test and rebuild one recipe; an error of it stops neither the other half nor the other recipes."""
    began = monotonic()
    tested, problem = _try(verifier.test, entry.id)
    rebuilt, trouble = _try(verifier.rebuild, entry.id)
    return Row(
        recipe=entry.id,
        status=derive_status(entry, verifier.evidence(entry.id)),
        smoke=tested.grade if tested else NOT_RUN,
        rebuild=rebuilt.grade if rebuilt else NOT_RUN,
        seconds=monotonic() - began,
        image=rebuilt.image if rebuilt else tested.image if tested else "",
        findings=tuple(line for shown in (tested, rebuilt) if shown for line in shown.findings),
        problem="; ".join(text for text in (problem, trouble) if text),
    )


def _try(show: Callable[[str], Shown] | None, recipe: str) -> tuple[Shown | None, str]:
    """What was shown, or why nothing was. Being cancelled is no answer: it ends the whole."""
    if show is None:
        return None, ""
    try:
        return show(recipe), ""
    except ThawError as error:
        if error.code == "cancelled":
            raise
        return None, f"{error.code}: {error.message}"
