"""Files handed in by a curator: the right ones enter, and are pinned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.curate.deposit import take_deposit
from instantiator.curate.lock import write_lock
from instantiator.image.errors import DepositWrong, LockMissing
from instantiator.image.lock import LockedDeposit, read_lock
from instantiator.recipe.model import Recipe
from provenance.vault import Vault
from tests.examples import MIDAS_IMAGE, MIDAS_LOCK, answering_lock, digest_of, midas_recipe, sha256

TABLES = b"the calibration tables"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault")


@pytest.fixture
def midas(tmp_path: Path) -> Recipe:
    folder = tmp_path / "recipes/midas/22SEP"
    folder.mkdir(parents=True)
    return midas_recipe(folder)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "download.dat"
    made.write_bytes(TABLES)
    return made


def asking(recipe: Recipe, *, digest: str | None = None, size: int | None = None) -> Recipe:
    """The recipe with digest and size in its deposit."""
    return replace(recipe, deposits=(replace(recipe.deposits[0], sha256=digest, size=size),))


def lock_waiting(recipe: Recipe, *, digest: str | None = None, size: int | None = None) -> None:
    """Write a lock that has the deposit like this, and names an image."""
    deposit = LockedDeposit(name="tables", file="tables.dat", sha256=digest, size=size)
    lock = replace(answering_lock(recipe, MIDAS_LOCK), deposits=(deposit,), image=MIDAS_IMAGE)
    write_lock(recipe, lock)


def test_a_file_the_recipe_names_by_digest_is_kept(midas: Recipe, vault: Vault, file: Path) -> None:
    taken = take_deposit(asking(midas, digest=sha256(TABLES), size=len(TABLES)), "tables", file, vault)
    assert (taken.digest, taken.size, taken.is_pinned_now) == (digest_of(TABLES), len(TABLES), False)
    assert vault.read_bytes(digest_of(TABLES)) == TABLES


def test_a_file_the_recipe_does_not_name_is_pinned_in_the_lock(
    midas: Recipe, vault: Vault, file: Path
) -> None:
    lock_waiting(midas)
    assert take_deposit(midas, "tables", file, vault).is_pinned_now
    lock = read_lock(midas)
    assert (lock.deposits[0].sha256, lock.deposits[0].size) == (sha256(TABLES), len(TABLES))
    assert (lock.awaited, lock.image) == ((), None)


def test_handing_in_the_same_file_again_changes_nothing(midas: Recipe, vault: Vault, file: Path) -> None:
    lock_waiting(midas)
    take_deposit(midas, "tables", file, vault)
    pinned = read_lock(midas)
    assert not take_deposit(midas, "tables", file, vault).is_pinned_now
    assert read_lock(midas) == pinned


@pytest.mark.parametrize("size", [None, len(TABLES)])
def test_on_another_host_a_known_deposit_leaves_the_lock_and_its_image_alone(
    midas: Recipe, vault: Vault, file: Path, size: int | None
) -> None:
    recipe = asking(midas, digest=sha256(TABLES))
    lock_waiting(recipe, digest=sha256(TABLES), size=size)
    before = read_lock(recipe)
    take_deposit(recipe, "tables", file, vault)
    assert read_lock(recipe) == before


@pytest.mark.parametrize("content", [TABLES[:-1], b"", TABLES + b"\n"])
def test_a_file_of_another_size_is_refused_before_it_is_hashed(
    midas: Recipe, vault: Vault, file: Path, content: bytes
) -> None:
    file.write_bytes(content)
    with pytest.raises(DepositWrong) as refusal:
        take_deposit(asking(midas, digest=sha256(TABLES), size=len(TABLES)), "tables", file, vault)
    assert f"has {len(content)} bytes: the deposit 'tables' has {len(TABLES)}" in refusal.value.message
    assert (
        refusal.value.hint == "it is cut off, or another version: get tables.dat again from the ESO archive"
    )
    assert list(vault.digests()) == []


def test_a_file_with_other_bytes_is_refused_naming_both_digests(
    midas: Recipe, vault: Vault, file: Path
) -> None:
    with pytest.raises(DepositWrong) as refusal:
        take_deposit(asking(midas, digest=sha256(b"others")), "tables", file, vault)
    assert sha256(b"others") in refusal.value.message
    assert sha256(TABLES) in refusal.value.message
    assert (refusal.value.where, refusal.value.hint) == (
        str(file),
        "get tables.dat again from the ESO archive",
    )
    assert list(vault.digests()) == []


def test_a_pinned_deposit_is_not_replaced_by_another_file(midas: Recipe, vault: Vault, file: Path) -> None:
    lock_waiting(midas)
    take_deposit(midas, "tables", file, vault)
    file.write_bytes(b"a newer version of them")
    with pytest.raises(DepositWrong):
        take_deposit(midas, "tables", file, vault)
    assert read_lock(midas).deposits[0].sha256 == sha256(TABLES)


def test_a_file_nothing_could_remember_is_not_taken_in(midas: Recipe, vault: Vault, file: Path) -> None:
    with pytest.raises(LockMissing) as refusal:
        take_deposit(midas, "tables", file, vault)
    assert refusal.value.hint == "make one: thaw recipe lock midas"
    assert list(vault.digests()) == []


@pytest.mark.parametrize(
    ("name", "hint"), [("tabels", "did you mean 'tables'?"), ("x", "it asks for: tables")]
)
def test_a_deposit_the_recipe_does_not_ask_for_is_refused(
    midas: Recipe, vault: Vault, file: Path, name: str, hint: str
) -> None:
    with pytest.raises(DepositWrong) as refusal:
        take_deposit(midas, name, file, vault)
    assert refusal.value.hint == hint


def test_a_file_that_is_not_there_is_an_os_error_with_its_name(midas: Recipe, vault: Vault) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        take_deposit(asking(midas, digest=sha256(TABLES)), "tables", Path("/nowhere/tables.dat"), vault)
