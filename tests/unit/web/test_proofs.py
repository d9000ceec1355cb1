"""Last verified and last rebuilt: found among verdicts and evidence, shown and searched for."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from instantiator.evidence import Evidence, Kind, note_evidence
from instantiator.web.portal import Bench
from instantiator.web.proofs import ages_of, last_rebuild, last_verified, last_verify
from provenance.digest import digest_bytes
from provenance.store import NewRun, this_process
from tests.fakes_session import NOON
from tests.unit.web.conftest import Browser

DS9, EPS = "saoimage-ds9/8.4.1", "rosetta-eps/9.3.35"


def note(bench: Bench, kind: Kind, when: datetime, *, grade: str = "identical", recipe: str = DS9) -> None:
    evidence = Evidence(
        kind=kind, recipe=recipe, image=f"sha256:of-{kind}", when=when, grade=grade, seconds=61.0
    )
    note_evidence(bench.settings.home, evidence)


def repeat(bench: Bench, number: int, grade: str) -> str:
    """A run of EPS that was repeated and judged; its id."""
    first, second = (f"20261120-12{number:02}0{place}-aaaa" for place in (1, 2))
    for run, repeats in ((first, None), (second, first)):
        new = NewRun(
            id=run,
            kind="thread",
            recipe=EPS,
            thread="simulate",
            parameters={},
            inputs={},
            submitted=NOON + timedelta(minutes=number),
            owner=this_process(),
            repeats=repeats,
        )
        bench.store.begin_run(new)
    judged = NOON + timedelta(minutes=number)
    bench.store.add_verdict(
        first, repeated_by=second, grade=grade, verdict=digest_bytes(grade.encode()), judged=judged
    )
    return first


@pytest.mark.parametrize(
    ("ago", "ages"),
    [
        (timedelta(hours=1), ("day", "week", "month")),
        (timedelta(days=3), ("week", "month")),
        (timedelta(days=20), ("month",)),
        (timedelta(days=400), ("longer",)),
    ],
)
def test_what_is_within_a_day_is_within_a_week_too(ago: timedelta, ages: tuple[str, ...]) -> None:
    assert ages_of(NOON - ago, NOON) == ages


def test_never_is_an_age_too() -> None:
    assert ages_of(None, NOON) == ("never",)


def test_the_newest_good_verdict_is_what_verified_means(browser: Browser) -> None:
    bench = browser.portal.bench
    good = repeat(bench, 1, "equivalent")
    repeat(bench, 2, "different")
    shown = last_verified(bench, EPS)
    assert shown is not None
    assert (shown.run, shown.grade, shown.when) == (good, "equivalent", NOON + timedelta(minutes=1))
    assert last_verified(bench, DS9) is None


def test_a_test_counts_as_verified_and_a_rebuild_does_not(browser: Browser) -> None:
    bench = browser.portal.bench
    note(bench, "rebuild", NOON)
    assert last_verified(bench, DS9) is None
    note(bench, "test", NOON, grade="failed")
    assert last_verified(bench, DS9) is None
    note(bench, "test", NOON + timedelta(hours=1), grade="passed")
    shown, rebuilt, verified = last_verify(bench, DS9), last_rebuild(bench, DS9), last_verified(bench, DS9)
    assert shown is not None and rebuilt is not None
    assert verified == shown
    assert (shown.image, rebuilt.image) == ("sha256:of-test", "sha256:of-rebuild")


def test_the_catalogue_is_narrowed_by_when_things_were_verified(browser: Browser) -> None:
    note(browser.portal.bench, "test", NOON - timedelta(days=3), grade="passed")
    page = browser.client.get("/").text
    assert '<option value="week">within a week (1)</option>' in page
    assert "Verified 2026-11-17 12:00:00 UTC" in page
    week, day = (browser.client.get(f"/?verified={age}").text for age in ("week", "day"))
    assert ("SAOImage DS9" in week, "Skycat" in week) == (True, False)
    assert "Nothing matches" in day


def test_a_recipes_page_says_when_it_was_rebuilt_and_verified_and_of_which_image(browser: Browser) -> None:
    never = browser.client.get(f"/recipes/{DS9}").text
    assert "thaw recipe rebuild saoimage-ds9" in never
    note(browser.portal.bench, "rebuild", NOON, grade="different")
    note(browser.portal.bench, "verify", NOON)
    shown = browser.client.get(f"/recipes/{DS9}").text
    assert ("2026-11-20 12:00:00 UTC" in shown, "took 61 s" in shown) == (True, True)
    assert ("sha256:of-rebuild" in shown, "sha256:of-verify" in shown) == (True, True)
    assert "not the image of the lock today" in shown
