"""Verifying the catalogue: a row for everything, one recipe's trouble is not another's, nothing is green unseen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instantiator.catalog import CatalogEntry
from instantiator.curate.catalog_verify import Row, Shown, Verifier, verify_catalog
from instantiator.evidence import Evidence
from instantiator.image.errors import FetchFailed
from instantiator.thread.errors import VerifyCancelled

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
IMAGE = "sha256:" + 64 * "a"
MIDAS = CatalogEntry(name="midas", version="1", title="MIDAS", image=IMAGE)
IRAF = CatalogEntry(name="iraf", version="1", title="IRAF", image=IMAGE)
SAS = CatalogEntry(name="sas", version="1", title="SAS", awaits=("archive: sas.tgz",))
HIPE = CatalogEntry(name="hipe", version="1", title="HIPE", missing=("where it is",))


class Bench:
    """Tests and rebuilds that come out as they are told, and are noted as evidence."""

    def __init__(self, *, tested: str = "passed", rebuilt: str = "identical", broken: str = "") -> None:
        self.grades = {"test": tested, "rebuild": rebuilt}
        self.broken, self.seen, self.noted = broken, list[str](), list[Evidence]()

    def _show(self, kind: str, recipe: str) -> Shown:
        self.seen.append(f"{kind} {recipe}")
        if recipe == self.broken:
            raise FetchFailed("no mirror has it")
        grade = self.grades[kind]
        self.noted.append(
            Evidence(kind=kind, recipe=recipe, image=IMAGE, when=NOW, grade=grade, seconds=1)  # type: ignore[arg-type]  # test or rebuild
        )
        return Shown(grade=grade, image=IMAGE)

    def verifier(self, *, later: timedelta = timedelta(0), rebuild: bool = True) -> Verifier:
        return Verifier(
            test=lambda recipe: self._show("test", recipe),
            rebuild=(lambda recipe: self._show("rebuild", recipe)) if rebuild else None,
            evidence=lambda recipe: [one for one in self.noted if one.recipe == recipe],
            now=lambda: NOW + later,
        )


def run(
    bench: Bench, *entries: CatalogEntry, fresh: timedelta | None = None, later: timedelta = timedelta(0)
) -> list[Row]:
    return list(verify_catalog(entries, bench.verifier(later=later), fresh=fresh))


def test_everything_has_a_row_and_what_waits_is_not_run() -> None:
    bench = Bench()
    rows = run(bench, MIDAS, SAS, HIPE)
    assert [(row.status.word, row.smoke, row.rebuild) for row in rows] == [
        ("verified", "passed", "identical"),
        ("awaiting deposit", "-", "-"),
        ("draft", "-", "-"),
    ]
    assert bench.seen == ["test midas/1", "rebuild midas/1"]


@pytest.mark.parametrize(("tested", "rebuilt"), [("failed", "identical"), ("passed", "different")])
def test_what_came_out_otherwise_differs_and_is_not_verified(tested: str, rebuilt: str) -> None:
    (row,) = run(Bench(tested=tested, rebuilt=rebuilt), MIDAS)
    assert (row.differs, row.status.word) == (True, "built")


def test_one_recipe_that_cannot_be_verified_stops_no_other() -> None:
    broken, sound = run(Bench(broken="midas/1"), MIDAS, IRAF)
    assert "fetch-failed: no mirror has it" in broken.problem
    assert (broken.status.word, broken.differs) == ("built", False)
    assert (sound.status.word, sound.problem) == ("verified", "")


def test_going_on_skips_what_was_verified_lately() -> None:
    bench = Bench()
    run(bench, MIDAS)
    skipped, done = run(bench, MIDAS, IRAF, fresh=timedelta(hours=24), later=timedelta(hours=1))
    assert (skipped.is_skipped, skipped.smoke, skipped.rebuild) == (True, "passed", "identical")
    assert (done.is_skipped, bench.seen[2:]) == (False, ["test iraf/1", "rebuild iraf/1"])


def test_what_was_verified_long_ago_is_verified_again() -> None:
    bench = Bench()
    run(bench, MIDAS)
    (row,) = run(bench, MIDAS, fresh=timedelta(hours=24), later=timedelta(hours=25))
    assert (row.is_skipped, len(bench.seen)) == (False, 4)


def test_a_test_without_its_rebuild_is_half_of_what_is_wanted() -> None:
    bench = Bench()
    list(verify_catalog([MIDAS], bench.verifier(rebuild=False)))
    (row,) = run(bench, MIDAS, fresh=timedelta(hours=24))
    assert row.is_skipped is False


def test_being_cancelled_ends_the_whole() -> None:
    verifier = Bench().verifier()

    def cancelled(recipe: str) -> Shown:
        raise VerifyCancelled("stopped")

    with pytest.raises(VerifyCancelled):
        list(
            verify_catalog(
                [MIDAS, IRAF],
                Verifier(test=cancelled, rebuild=None, evidence=verifier.evidence, now=verifier.now),
            )
        )
