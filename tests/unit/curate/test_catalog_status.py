"""The status of a recipe: derived from its entry and from what was shown of it, never typed."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from instantiator.catalog import CatalogEntry, catalog_file, read_catalog
from instantiator.curate.catalog_status import derive_status, status_of_recipe
from instantiator.curate.publish import publish_recipe
from instantiator.curate.retire import retire_recipe, retired_text
from instantiator.evidence import Evidence, Kind
from instantiator.recipe.errors import RecipeUnknown
from instantiator.recipe.load import load_recipe
from instantiator.recipe.model import Recipe
from provenance.vault import Vault
from tests.examples import EPS_FOLDER, eps_recipe

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
IMAGE = "sha256:" + 64 * "a"
BUILT = CatalogEntry(name="midas", version="22SEP", title="MIDAS", image=IMAGE)


def shown(kind: Kind, grade: str, *, hours: int = 0, image: str = IMAGE) -> Evidence:
    when = NOON + timedelta(hours=hours)
    return Evidence(kind=kind, recipe="midas/22SEP", image=image, when=when, grade=grade, seconds=1)


@pytest.mark.parametrize(
    ("evidence", "word", "details"),
    [
        ([], "built", 0),
        ([shown("rebuild", "identical")], "built", 0),
        ([shown("test", "passed")], "verified", 0),
        ([shown("test", "passed", image="sha256:another")], "built", 0),
        ([shown("test", "failed"), shown("test", "passed", hours=1)], "verified", 0),
        ([shown("test", "passed"), shown("test", "failed", hours=1)], "built", 1),
        ([shown("test", "passed"), shown("rebuild", "different", hours=1, image="sha256:b")], "built", 1),
        ([shown("rebuild", "different", image="sha256:b"), shown("test", "passed", hours=1)], "verified", 0),
    ],
)
def test_only_the_newest_test_in_the_very_image_verifies(
    evidence: list[Evidence], word: str, details: int
) -> None:
    status = derive_status(BUILT, evidence)
    assert (status.word, len(status.details), status.since is not None) == (word, details, word == "verified")


@pytest.mark.parametrize(("key", "word"), [("missing", "draft"), ("awaits", "awaiting deposit")])
def test_what_is_not_whole_is_never_verified(key: str, word: str) -> None:
    entry = CatalogEntry(name="sas", version="1", title="SAS", image=IMAGE, **{key: ("a file",)})  # type: ignore[arg-type]  # both are tuples
    status = derive_status(entry, [shown("test", "passed")])
    assert (status.word, status.since, status.details) == (word, None, ("a file",))


@pytest.fixture
def eps(tmp_path: Path) -> Recipe:
    """rosetta-eps in a repository of its own."""
    folder = tmp_path / "recipes/rosetta-eps/9.3.35"
    shutil.copytree(EPS_FOLDER, folder)
    return load_recipe(folder)


def test_a_recipe_whose_lock_does_not_answer_it_is_not_locked(eps: Recipe, tmp_path: Path) -> None:
    (eps.folder / "recipe.lock.yaml").unlink()
    assert status_of_recipe(eps, tmp_path).word == "not locked"


def test_a_draft_is_published_without_a_lock(eps: Recipe, tmp_path: Path) -> None:
    (eps.folder / "recipe.lock.yaml").unlink()
    text = eps.file.read_text().replace("\nbase:", "\nmissing: [where MAPPS is]\nbase:", 1)
    eps.file.write_text(text)
    entry = publish_recipe(load_recipe(eps.folder))
    assert (entry.status, entry.missing, entry.can_run) == ("draft", ("where MAPPS is",), False)


def test_a_retired_recipe_keeps_all_but_its_place_in_the_lists(eps: Recipe, tmp_path: Path) -> None:
    publish_recipe(eps)
    other = eps.folder.with_name("10.0")
    shutil.copytree(eps.folder, other)
    (other / "recipe.yaml").write_text(
        eps.file.read_text().replace("version: 9.3.35", "version: '10.0'").replace("9.3.35 ", "")
    )
    vault = Vault(tmp_path / "vault")
    retired = retire_recipe(eps, vault, superseded_by="rosetta-eps/10.0", why='the "new" one: better')
    (entry,) = read_catalog(catalog_file(eps.folder.parent.parent).parent / "recipes")
    assert (entry.retired, entry.superseded_by) == ('the "new" one: better', "rosetta-eps/10.0")
    assert (retired.threads, retired.datasets) == (load_recipe(eps.folder).threads, retired.datasets)
    assert vault.has(eps_recipe().digest)
    assert (eps.folder / "recipe.lock.yaml").is_file()


@pytest.mark.parametrize("name", ["rosetta-eps", "rosetta-eps/9.3.35", "xmm-sas"])
def test_a_successor_is_another_recipe_that_is_there(eps: Recipe, tmp_path: Path, name: str) -> None:
    before = eps.file.read_bytes()
    with pytest.raises(RecipeUnknown):
        retire_recipe(eps, Vault(tmp_path / "vault"), superseded_by=name)
    assert eps.file.read_bytes() == before


def test_retiring_again_renews_what_is_said() -> None:
    text = "format: 1\nname: a\nversion: 1\ntitle: A\n"
    once = retired_text(text, superseded_by="b", why="first")
    assert retired_text(once, superseded_by="", why="") == text.replace(
        "version: 1\n", 'version: 1\nretired: "superseded"\n'
    )
