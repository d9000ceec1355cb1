"""A recipe put into the catalogue: only a sound one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from instantiator.catalog import catalog_file, read_catalog
from instantiator.curate.lock import write_lock
from instantiator.curate.publish import entry_of, publish_recipe
from instantiator.image.errors import LockStale
from instantiator.recipe.errors import RecipeInvalid
from instantiator.recipe.load import load_recipe
from instantiator.recipe.model import Grant, Need, Recipe
from tests.examples import EPS_FOLDER, MIDAS_LOCK, answering_lock, eps_lock, eps_recipe, midas_recipe


@pytest.fixture
def eps(tmp_path: Path) -> Recipe:
    """rosetta-eps in a repository of its own."""
    folder = tmp_path / "recipes/rosetta-eps/9.3.35"
    shutil.copytree(EPS_FOLDER, folder)
    return load_recipe(folder)


def test_a_sound_recipe_is_published_and_found(eps: Recipe) -> None:
    entry = publish_recipe(eps)
    assert read_catalog(eps.folder.parent.parent) == (entry,)
    assert (entry.name, entry.threads, entry.status) == ("rosetta-eps", ("simulate",), "built")


def test_the_committed_catalogue_is_what_publishing_gives() -> None:
    recipe = eps_recipe()
    assert entry_of(recipe, eps_lock()) in read_catalog(recipe.folder.parent.parent)


def test_publishing_again_renews_the_entry_and_leaves_the_others(eps: Recipe) -> None:
    recipes = eps.folder.parent.parent
    other = replace(publish_recipe(eps), name="xmm-sas", version="21.0")
    text = yaml.safe_load(catalog_file(recipes).read_text())
    text["recipes"].append(
        {"name": other.name, "version": other.version, "title": "SAS", "image": other.image}
    )
    text["recipes"][0]["title"] = "an old title"
    catalog_file(recipes).write_text(yaml.safe_dump(text))
    publish_recipe(eps)
    assert [(entry.name, entry.title) for entry in read_catalog(recipes)] == [
        ("rosetta-eps", eps.title),
        ("xmm-sas", "SAS"),
    ]


def test_a_recipe_whose_lock_is_stale_is_not_published(eps: Recipe) -> None:
    with pytest.raises(LockStale):
        publish_recipe(replace(eps, packages=("python3",)))
    assert not catalog_file(eps.folder.parent.parent).exists()


def test_a_recipe_with_an_error_is_not_published(eps: Recipe) -> None:
    silent = Need(location=eps.threads[0].location, grant=Grant.NETWORK)
    broken = replace(eps, threads=(replace(eps.threads[0], needs=(silent,)),))
    with pytest.raises(RecipeInvalid):
        publish_recipe(broken)
    assert not catalog_file(eps.folder.parent.parent).exists()


def test_an_entry_names_the_deposits_nobody_has_handed_in(tmp_path: Path) -> None:
    recipe = midas_recipe(tmp_path)
    (deposit,) = recipe.deposits
    waiting = replace(answering_lock(recipe), deposits=(replace(MIDAS_LOCK.deposits[0], sha256=None),))
    known = replace(recipe, deposits=(replace(deposit, sha256="ab" * 32, size=1_534_501_526),))
    assert [entry_of(one, waiting).awaits for one in (recipe, known)] == [
        ("tables: tables.dat, from the ESO archive; pinned by its sha256 when it is handed in",),
        (f"tables: tables.dat, 1,534,501,526 bytes, from the ESO archive; sha256 {'ab' * 32}",),
    ]
    assert (entry_of(recipe, waiting).status, entry_of(recipe, waiting).image) == ("awaiting deposit", None)


def test_a_recipe_that_was_never_built_is_locked(tmp_path: Path) -> None:
    recipe = midas_recipe(tmp_path)
    write_lock(recipe, answering_lock(recipe))
    assert entry_of(recipe, answering_lock(recipe)).status == "locked"
