"""A recipe's image had, pinned and explained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.curate import build as curate_build
from instantiator.curate.build import build_recipe, evidence_of
from instantiator.curate.lock import write_lock
from instantiator.image.build import Workshop
from instantiator.image.builder import builder_lock
from instantiator.image.errors import DepositMissing, FetchFailed, LockMissing, LockStale
from instantiator.image.evidence import render_dockerfile
from instantiator.image.fetch import Mirrors
from instantiator.image.lock import Lock, LockedDeposit, read_lock, recipe_files
from instantiator.progress import Silent
from instantiator.recipe.model import Recipe
from provenance.digest import Digest, digest_bytes
from tests.examples import MIDAS_IMAGE, answering_lock, digest_of, midas_recipe
from tests.unit.image.test_build import DEB, LOCK, FakeEngine, workshop_with

NOWHERE = Mirrors(debian="file:///nowhere")


@pytest.fixture
def midas(tmp_path: Path) -> Recipe:
    folder = tmp_path / "recipes/midas/22SEP"
    (folder / "files/etc").mkdir(parents=True)
    (folder / "files/etc/midas.conf").write_bytes(b"conf")
    return midas_recipe(folder)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def workshop(engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A workshop with no object of the builder: the fake engine holds it."""
    empty = replace(builder_lock(), packages=())
    monkeypatch.setattr(curate_build, "builder_lock", lambda: empty)
    monkeypatch.setattr("instantiator.image.ensure.builder_lock", lambda: empty)
    return workshop_with(engine, tmp_path)


def lock_midas(recipe: Recipe, **changes: object) -> Lock:
    """Write a lock that answers the recipe."""
    lock = replace(answering_lock(recipe, LOCK), files=recipe_files(recipe), **changes)  # type: ignore[arg-type]  # a test's own keywords
    write_lock(recipe, lock)
    return lock


def test_the_first_build_pins_the_image_in_the_lock(
    midas: Recipe, workshop: Workshop, engine: FakeEngine
) -> None:
    lock_midas(midas)
    built = build_recipe(midas, workshop, NOWHERE, Silent())
    assert (built.is_new, built.is_pinned_now, len(engine.loaded)) == (True, True, 1)
    assert read_lock(midas).image == built.image


def test_a_second_build_gives_the_pinned_image_again(midas: Recipe, workshop: Workshop) -> None:
    lock_midas(midas)
    first = build_recipe(midas, workshop, NOWHERE, Silent())
    again = build_recipe(midas, workshop, NOWHERE, Silent(), is_forced=True)
    assert (again.image, again.is_new, again.is_pinned_now) == (first.image, True, False)


def test_the_evidence_is_in_the_vault_after_a_build(midas: Recipe, workshop: Workshop) -> None:
    lock_midas(midas)
    build_recipe(midas, workshop, NOWHERE, Silent())
    lock = read_lock(midas)
    assert workshop.vault.has(digest_bytes(render_dockerfile(lock).encode()))
    assert lock.image is not None
    evidence = evidence_of(lock, workshop.vault)
    assert digest_bytes(evidence["manifest.json"]) == lock.image.manifest


def test_evidence_of_an_image_built_elsewhere_says_how_to_get_it(midas: Recipe, workshop: Workshop) -> None:
    with pytest.raises(LockMissing) as refusal:
        evidence_of(replace(LOCK, image=MIDAS_IMAGE), workshop.vault)
    assert refusal.value.hint == "build it here: thaw recipe build midas --force"


def test_the_recipes_own_files_enter_the_vault_on_a_fresh_host(midas: Recipe, workshop: Workshop) -> None:
    (midas.folder / "files/etc/midas.conf").write_bytes(b"never in a vault before")
    lock_midas(midas)
    build_recipe(midas, workshop, NOWHERE, Silent())
    assert workshop.vault.has(digest_of(b"never in a vault before"))


def test_offline_a_vault_that_lacks_something_is_told_what(midas: Recipe, workshop: Workshop) -> None:
    lock_midas(midas)
    workshop.vault.path(digest_of(DEB)).unlink()
    with pytest.raises(FetchFailed, match="the vault lacks 1 objects: package mawk"):
        build_recipe(midas, workshop, NOWHERE, Silent(), is_offline=True)


def test_offline_a_full_vault_is_enough(midas: Recipe, workshop: Workshop, engine: FakeEngine) -> None:
    lock_midas(midas)
    build_recipe(midas, workshop, NOWHERE, Silent(), is_offline=True)
    assert engine.networks == [False]


@pytest.mark.parametrize("is_offline", [True, False])
def test_a_missing_deposit_is_asked_for_by_name(midas: Recipe, workshop: Workshop, is_offline: bool) -> None:
    known = LockedDeposit(name="tables", file="tables.dat", sha256=digest_of(b"t")[7:], size=1)
    lock_midas(midas, deposits=(known,))
    with pytest.raises(DepositMissing, match=r"tables\.dat"):
        build_recipe(midas, workshop, NOWHERE, Silent(), is_offline=is_offline)


def test_an_image_the_engine_holds_needs_no_deposit(midas: Recipe, workshop: Workshop) -> None:
    builder = builder_lock()
    known = LockedDeposit(name="tables", file="tables.dat", sha256=digest_of(b"t")[7:], size=1)
    lock = lock_midas(midas, deposits=(known,), image=builder.image)
    engine = HoldsEverything()
    built = build_recipe(midas, replace(workshop, engine=engine), NOWHERE, Silent())  # type: ignore[arg-type]  # a fake
    assert (built.image, built.is_new) == (lock.image, False)


class HoldsEverything(FakeEngine):
    """An engine to which every image was imported."""

    def has_image(self, image: str, name: str, layers: tuple[str, ...] = ()) -> bool:
        return bool(Digest(image))


def test_a_stale_lock_is_not_built(midas: Recipe, workshop: Workshop, engine: FakeEngine) -> None:
    lock_midas(midas)
    with pytest.raises(LockStale):
        build_recipe(replace(midas, packages=()), workshop, NOWHERE, Silent())
    assert engine.loaded == []
