"""When a recipe was last rebuilt and last verified, from the journal of evidence and from the verdicts on its runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from instantiator.evidence import GOOD, Evidence, read_evidence
from instantiator.thread.verify import read_record
from instantiator.web.portal import Bench

AGES = (
    ("day", "within a day"),
    ("week", "within a week"),
    ("month", "within a month"),
    ("longer", "longer ago"),
    ("never", "never"),
)
_WITHIN = (("day", timedelta(days=1)), ("week", timedelta(days=7)), ("month", timedelta(days=30)))
_LOOKED_AT = 500
"""How many of a recipe's newest runs are looked through for repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A rebuild or a repeated run: when, how it came out, of which image; `run` was repeated, where one was."""

    when: datetime
    grade: str
    image: str
    run: str = ""
    seconds: float | None = None


def last_rebuild(bench: Bench, recipe: str) -> Shown | None:
    """The latest rebuild of a recipe's image, however it came out; None where there was none here."""
    return max(
        (_of_evidence(one) for one in read_evidence(bench.settings.home, recipe) if one.kind == "rebuild"),
        key=lambda shown: shown.when,
        default=None,
    )


def last_verify(bench: Bench, recipe: str) -> Shown | None:
    """The latest verdict on a run of a recipe, or test of it, however it came out; names the image too."""
    shown = _newest(bench, recipe, only_good=False)
    if shown is None or shown.image:
        return shown
    return replace(shown, image=read_record(bench.store.run(shown.run), bench.vault).image)


def last_verified(bench: Bench, recipe: str) -> Shown | None:
    """The latest verdict or test that speaks for the recipe: identical, equivalent or passed."""
    return _newest(bench, recipe, only_good=True)


def ages_of(verified: datetime | None, now: datetime) -> tuple[str, ...]:
    """The values of AGES a time lies in: what is within a day is within a week too."""
    if verified is None:
        return ("never",)
    return tuple(age for age, span in _WITHIN if now - verified <= span) or ("longer",)


def _newest(bench: Bench, recipe: str, *, only_good: bool) -> Shown | None:
    noted = [_of_evidence(one) for one in read_evidence(bench.settings.home, recipe) if one.kind != "rebuild"]
    judged = next(_wanted(_verdicts(bench, recipe), only_good=only_good), None)
    found = [*_wanted(iter(noted), only_good=only_good), *((judged,) if judged else ())]
    return max(found, key=lambda shown: shown.when, default=None)


def _wanted(shown: Iterator[Shown], *, only_good: bool) -> Iterator[Shown]:
    return (one for one in shown if one.grade in GOOD or not only_good)


def _verdicts(bench: Bench, recipe: str) -> Iterator[Shown]:
    """What repeats of a recipe's runs showed, newest first; a verdict is only asked for where it is needed."""
    for row in bench.store.runs(_LOOKED_AT, recipe=recipe):
        for verdict in bench.store.verdicts(row.repeats) if row.repeats else ():
            if verdict.repeated_by == row.id:
                yield Shown(when=verdict.judged, grade=verdict.grade, image="", run=verdict.run)


def _of_evidence(evidence: Evidence) -> Shown:
    run = evidence.detail.removeprefix("run ") if evidence.kind == "verify" else ""
    return Shown(
        when=evidence.when, grade=evidence.grade, image=evidence.image, run=run, seconds=evidence.seconds
    )
