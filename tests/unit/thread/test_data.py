"""Datasets a recipe brings, laid out as folders."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.image.errors import ArchiveInvalid
from instantiator.image.lock import LockedSource
from instantiator.recipe.model import RecipeDataset
from instantiator.thread.data import find_recipe_dataset, laid_out, unpack_members
from provenance.errors import ObjectMissing, ObjectRotten
from provenance.vault import Vault
from tests.examples import HERE, MIDAS_LOCK, digest_of, midas_recipe, sha256

DATASET = RecipeDataset(
    location=HERE,
    name="calib",
    title="MIDAS calibration tables",
    origin="ESO",
    source="calib",
    subpath="calib/area",
)
FILES = {
    "calib/area/flux/hd1.tbl": b"hd1",
    "calib/area/flux/deep/hd2.tbl": b"hd2",
    "calib/area/README": b"read me",
    "calib/areas/x.tbl": b"a neighbour",
    "other/y.tbl": b"elsewhere",
}


def make_zip(files: Mapping[str, bytes]) -> bytes:
    """A zip archive; names are taken as they are."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def keep(vault: Vault, content: bytes) -> LockedSource:
    """A locked source whose bytes are in the vault."""
    vault.put_bytes(content)
    return LockedSource(name="calib", file="calib.zip", sha256=sha256(content), size=len(content))


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("include", "found"),
    [
        (("**",), ["README", "flux/deep/hd2.tbl", "flux/hd1.tbl"]),
        (("flux/**",), ["flux/deep/hd2.tbl", "flux/hd1.tbl"]),
        (("flux/*.tbl",), ["flux/hd1.tbl"]),
        (("**/*.tbl",), ["flux/deep/hd2.tbl", "flux/hd1.tbl"]),
        (("README", "**/hd2.tbl"), ["README", "flux/deep/hd2.tbl"]),
        (("*",), ["README"]),
    ],
)
def test_the_files_below_a_path_that_the_globs_name_are_unpacked(
    vault: Vault, folder: Path, include: tuple[str, ...], found: list[str]
) -> None:
    unpack_members(keep(vault, make_zip(FILES)), replace(DATASET, include=include), vault, folder)
    assert listing(folder) == found


def test_what_is_unpacked_has_the_archives_bytes_and_may_be_read(vault: Vault, folder: Path) -> None:
    unpack_members(keep(vault, make_zip(FILES)), DATASET, vault, folder)
    file = folder / "flux/hd1.tbl"
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"hd1", 0o644)


@pytest.mark.parametrize(
    "name", ["calib/area/../../../escaped", "calib/area//etc/escaped", "calib/area/x/../../../escaped"]
)
def test_a_member_that_leads_out_of_the_folder_is_refused(
    vault: Vault, folder: Path, tmp_path: Path, name: str
) -> None:
    source = keep(vault, make_zip({"calib/area/README": b"", name: b"x"}))
    with pytest.raises(ArchiveInvalid, match="leads out of its folder"):
        unpack_members(source, DATASET, vault, folder)
    assert list(tmp_path.rglob("escaped")) == []
    assert listing(folder) == []


def test_a_path_that_holds_nothing_is_told_and_not_an_empty_dataset(vault: Vault, folder: Path) -> None:
    with pytest.raises(ArchiveInvalid, match="holds nothing that dataset 'calib' asks for"):
        unpack_members(keep(vault, make_zip(FILES)), replace(DATASET, subpath="calib/arae"), vault, folder)


@pytest.mark.parametrize("content", [b"", b"a tar, perhaps", make_zip(FILES)[:-30]])
def test_a_source_that_is_no_zip_is_refused_where_the_recipe_names_it(
    vault: Vault, folder: Path, content: bytes
) -> None:
    with pytest.raises(ArchiveInvalid) as refusal:
        unpack_members(keep(vault, content), DATASET, vault, folder)
    assert refusal.value.where == str(HERE)


def test_a_rotten_source_gives_no_file(vault: Vault, folder: Path) -> None:
    content = make_zip(FILES)
    source = keep(vault, content)
    path = vault.path(digest_of(content))
    path.chmod(0o644)
    path.write_bytes(content.replace(b"hd1", b"hd7"))
    with pytest.raises(ObjectRotten, match="source calib"):
        unpack_members(source, DATASET, vault, folder)
    assert listing(folder) == []


def test_a_source_that_is_not_there_is_named(vault: Vault, folder: Path) -> None:
    source = LockedSource(name="calib", file="c.zip", sha256=sha256(b"gone"), size=4)
    with pytest.raises(ObjectMissing, match="source calib"):
        unpack_members(source, DATASET, vault, folder)


def test_a_folder_of_the_recipe_is_taken_as_it_is(vault: Vault, tmp_path: Path) -> None:
    recipe = midas_recipe(tmp_path / "recipe")
    own = replace(DATASET, source=None, path="data/calib")
    with laid_out(own, recipe, MIDAS_LOCK, vault, tmp_path / "scratch") as folder:
        assert folder == tmp_path / "recipe/data/calib"


def test_the_recipes_own_files_lie_over_those_of_the_source(vault: Vault, tmp_path: Path) -> None:
    own = tmp_path / "recipe/data/calib"
    own.mkdir(parents=True)
    (own / "README").write_bytes(b"Thaw's own")
    source = keep(vault, make_zip(FILES))
    lock = replace(MIDAS_LOCK, sources=(source,))
    both = replace(DATASET, path="data/calib")
    with laid_out(both, midas_recipe(tmp_path / "recipe"), lock, vault, tmp_path / "scratch") as folder:
        assert listing(folder) == ["README", "flux/deep/hd2.tbl", "flux/hd1.tbl"]
        assert (folder / "README").read_bytes() == b"Thaw's own"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_dataset_is_found_by_its_name() -> None:
    recipe = replace(midas_recipe(Path("/recipes/midas/22SEP")), datasets=(DATASET,))
    assert find_recipe_dataset(recipe, "calib") is DATASET
    assert find_recipe_dataset(recipe, "calib@1") is None
