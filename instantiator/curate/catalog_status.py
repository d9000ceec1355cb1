"""The status of a recipe, derived and never typed: from its catalogue entry and from what was shown of it here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from instantiator.catalog import CatalogEntry
from instantiator.evidence import Evidence, Kind, read_evidence

if TYPE_CHECKING:
    from instantiator.recipe.model import Recipe

VERIFIED = "verified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One word, the day it was shown (for `verified`), and in words why it is no better."""

    word: str
    since: datetime | None = None
    details: tuple[str, ...] = ()

    def describe(self) -> str:
        """The word, with its day where there is one."""
        return f"{self.word} {self.since:%Y-%m-%d}" if self.since else self.word

    def to_json(self) -> dict[str, object]:
        """Keys: status, verified (a time, or null), details."""
        since = self.since.isoformat() if self.since else None
        return {"status": self.word, "verified": since, "details": list(self.details)}


def status_of(entry: CatalogEntry, home: Path) -> Status:
    """How a recipe stands in this Thaw."""
    return derive_status(entry, read_evidence(home, entry.id) if entry.image else ())


def status_of_recipe(recipe: Recipe, home: Path) -> Status:
    """How a recipe stands in this Thaw, published or not: without a lock that answers it, it is `not locked`."""
    from instantiator.curate.publish import entry_of
    from instantiator.image.errors import LockMissing, LockStale
    from instantiator.image.lock import refuse_unlocked

    try:
        lock = None if recipe.missing else refuse_unlocked(recipe)
    except (LockMissing, LockStale) as error:
        return Status(word="not locked", details=(error.message,))
    return status_of(entry_of(recipe, lock), home)


def derive_status(entry: CatalogEntry, shown: Sequence[Evidence]) -> Status:
    """`verified` where the newest test of all smoke tests passed in the very image of the lock.

    A newer rebuild that gave another image takes it back. What is a draft, waits for a deposit or has no smoke
    test is never verified, whatever was shown.
    """
    if entry.missing or entry.awaits:
        return Status(word=entry.status, details=entry.missing or entry.awaits)
    tested = newest(shown, "test", entry.image)
    rebuilt = newest(shown, "rebuild")
    if tested is None:
        return Status(word=entry.status)
    if not tested.is_good:
        return Status(word=entry.status, details=(f"its smoke tests failed on {tested.when:%Y-%m-%d}",))
    if rebuilt is not None and not rebuilt.is_good and rebuilt.when >= tested.when:
        return Status(
            word=entry.status, details=(f"a rebuild on {rebuilt.when:%Y-%m-%d} gave another image",)
        )
    return Status(word=VERIFIED, since=tested.when)


def newest(shown: Sequence[Evidence], kind: Kind, image: str | None = None) -> Evidence | None:
    """The latest of its kind; only that of `image` where one is named."""
    found = [one for one in shown if one.kind == kind and image in (None, one.image)]
    return max(found, key=lambda one: one.when, default=None)
