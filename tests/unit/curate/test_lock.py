"""Locking: once, kept, and told what moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.atomic import replace_text
from instantiator.curate import lock as curate_lock
from instantiator.curate.lock import is_locked, lock_recipe, moves, pin_image, write_lock
from instantiator.curate.locks import known_locks
from instantiator.image.builder import builder_lock
from instantiator.image.errors import FetchFailed
from instantiator.image.fetch import Mirrors
from instantiator.image.lock import Lock, LockedDeposit, LockedPackage, LockedWheel, lock_file, read_lock
from instantiator.image.resolve import Kept
from instantiator.progress import Progress, Silent
from instantiator.recipe.model import Recipe
from provenance.vault import Vault
from tests.examples import MIDAS_IMAGE, MIDAS_LOCK, answering_lock, digest_of, locked_deb, midas_recipe

XTERM = b"the bytes of xterm"
PLAIN = replace(
    MIDAS_LOCK, packages=(locked_deb("xterm", XTERM),), python=(), sources=(), deposits=(), files=()
)


@pytest.fixture
def midas(tmp_path: Path) -> Recipe:
    folder = tmp_path / "recipes/midas/22SEP"
    folder.mkdir(parents=True)
    return midas_recipe(folder)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault")


class Archive:
    """A world of packages that can be resolved: what it answers, and how often it was asked."""

    def __init__(self, folder: Path, answer: Lock) -> None:
        self.answer, self.asked, self.kept = answer, 0, Kept()
        for package in answer.packages:
            file = folder / package.pool
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(XTERM)
        self.mirrors = Mirrors(debian=folder.as_uri())

    def resolve(
        self, recipe: Recipe, _vault: Vault, _mirrors: Mirrors, _steps: Progress, *, kept: Kept
    ) -> Lock:
        self.asked, self.kept = self.asked + 1, kept
        return answering_lock(recipe, self.answer)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    made = Archive(tmp_path / "mirror", PLAIN)
    monkeypatch.setattr(curate_lock, "resolve_recipe", made.resolve)
    return made


def test_a_first_lock_is_written_and_every_byte_is_in_the_vault(
    midas: Recipe, vault: Vault, archive: Archive
) -> None:
    locked = lock_recipe(midas, vault, archive.mirrors, Silent())
    assert (locked.is_changed, locked.moved, read_lock(midas)) == (True, (), locked.lock)
    assert vault.has(digest_of(XTERM))
    assert is_locked(midas)


def test_a_later_lock_of_an_unchanged_recipe_changes_nothing(
    midas: Recipe, vault: Vault, archive: Archive
) -> None:
    lock_recipe(midas, vault, archive.mirrors, Silent())
    before = lock_file(midas).stat().st_mtime_ns
    again = lock_recipe(midas, vault, archive.mirrors, Silent())
    assert (again.is_changed, archive.asked, lock_file(midas).stat().st_mtime_ns) == (False, 1, before)


def test_a_committed_lock_is_fetched_into_an_empty_vault(
    midas: Recipe, archive: Archive, tmp_path: Path
) -> None:
    write_lock(midas, answering_lock(midas, PLAIN))
    elsewhere = Vault(tmp_path / "elsewhere")
    lock_recipe(midas, elsewhere, archive.mirrors, Silent())
    assert (archive.asked, elsewhere.has(digest_of(XTERM))) == (0, True)


def test_a_recipe_that_moved_on_is_resolved_again_and_told_what_moved(
    midas: Recipe, vault: Vault, archive: Archive
) -> None:
    lock_recipe(midas, vault, archive.mirrors, Silent())
    archive.answer = replace(PLAIN, environment={})
    moved = lock_recipe(replace(midas, environment={"A": "1"}), vault, archive.mirrors, Silent())
    assert (moved.is_changed, moved.moved, archive.asked) == (True, ("environment changed",), 2)


def test_a_lock_copied_from_another_version_is_made_again(
    midas: Recipe, vault: Vault, archive: Archive
) -> None:
    write_lock(midas, replace(answering_lock(midas, PLAIN), recipe="midas/21FEB"))
    assert not is_locked(midas)
    assert lock_recipe(midas, vault, archive.mirrors, Silent()).lock.recipe == "midas/22SEP"


def test_a_refresh_where_nothing_moved_keeps_the_image(midas: Recipe, vault: Vault, archive: Archive) -> None:
    first = lock_recipe(midas, vault, archive.mirrors, Silent()).lock
    pin_image(midas, first, MIDAS_IMAGE)
    again = lock_recipe(midas, vault, archive.mirrors, Silent(), refresh=True)
    assert (again.is_changed, again.moved, again.lock.image) == (False, (), MIDAS_IMAGE)


def test_a_refresh_that_moves_something_forgets_the_image(
    midas: Recipe, vault: Vault, archive: Archive
) -> None:
    first = lock_recipe(midas, vault, archive.mirrors, Silent()).lock
    pin_image(midas, first, MIDAS_IMAGE)
    archive.answer = replace(PLAIN, packages=(replace(PLAIN.packages[0], version="2.0"),))
    again = lock_recipe(midas, vault, archive.mirrors, Silent(), refresh=True)
    assert (again.lock.image, again.moved) == (None, ("package xterm 1.0 -> 2.0",))


def test_deposits_handed_in_stay(midas: Recipe, vault: Vault, archive: Archive) -> None:
    known = LockedDeposit(name="tables", file="t", sha256=digest_of(b"t")[7:], size=1)
    write_lock(midas, replace(answering_lock(midas, PLAIN), deposits=(known,)))
    lock_recipe(midas, vault, archive.mirrors, Silent(), refresh=True)
    assert archive.kept == Kept(deposits=(known,))


def test_an_awaited_deposit_keeps_no_package_from_being_fetched(
    midas: Recipe, vault: Vault, archive: Archive
) -> None:
    waiting = LockedDeposit(name="tables", file="t", sha256=None, size=None)
    archive.answer = replace(PLAIN, deposits=(waiting,))
    assert lock_recipe(midas, vault, archive.mirrors, Silent()).lock.awaited == (waiting,)
    assert vault.has(digest_of(XTERM))


def test_a_lock_whose_bytes_cannot_be_had_is_not_written(
    midas: Recipe, vault: Vault, archive: Archive
) -> None:
    with pytest.raises(FetchFailed):
        lock_recipe(midas, vault, Mirrors(debian="file:///nowhere"), Silent())
    assert not lock_file(midas).exists()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        replace_text(file, "new \udcff")
    assert (file.read_text(), [path.name for path in tmp_path.iterdir()]) == ("old", ["catalog.yaml"])
    replace_text(file, "neu für Köln")
    assert file.read_bytes() == "neu für Köln".encode()


LIBC = LockedPackage(name="libc6", version="2.36-9", architecture="amd64", pool="p", sha256=64 * "a", size=1)
PERL = replace(LIBC, name="perl", version="5.36")
OPENSSL = replace(LIBC, name="openssl", version="3.0")
NUMPY = LockedWheel(name="numpy", version="1.26.4", file="n.whl", sha256=64 * "b", size=1)


def test_what_moved_is_one_line_for_each_part() -> None:
    old = replace(PLAIN, packages=(LIBC, PERL), python=(NUMPY,))
    new = replace(
        PLAIN, packages=(replace(LIBC, version="2.36-10"), OPENSSL), python=(replace(NUMPY, version="2.0"),)
    )
    assert list(moves(old, new)) == [
        "package libc6 2.36-9 -> 2.36-10",
        "package openssl 3.0 added",
        "package perl 5.36 gone",
        "wheel numpy 1.26.4 -> 2.0",
    ]


def test_the_same_version_with_other_bytes_has_moved_too() -> None:
    old, new = (replace(PLAIN, packages=(replace(LIBC, sha256=64 * sign),)) for sign in "ab")
    assert list(moves(old, new)) == ["package libc6 2.36-9 changed"]


def test_sources_and_deposits_are_told_by_their_digests() -> None:
    source, deposit = MIDAS_LOCK.sources[0], MIDAS_LOCK.deposits[0]
    old = replace(PLAIN, sources=(source,), deposits=(replace(deposit, sha256=None),))
    new = replace(PLAIN, sources=(replace(source, sha256=64 * "c"),), deposits=(deposit,))
    assert deposit.sha256 is not None
    assert list(moves(old, new)) == [
        f"source midas {source.sha256[:12]} -> cccccccccccc",
        f"deposit tables awaited -> {deposit.sha256[:12]}",
    ]


@pytest.mark.parametrize(
    ("new", "line"),
    [
        (replace(PLAIN, steps=()), "steps changed"),
        (replace(PLAIN, environment={}), "environment changed"),
        (replace(PLAIN, files=MIDAS_LOCK.files), "files changed"),
        (replace(PLAIN, source_date_epoch=0), "snapshot date changed"),
        (replace(PLAIN, suite="trixie"), "base bookworm amd64 -> trixie amd64"),
    ],
)
def test_what_else_moved_is_named(new: Lock, line: str) -> None:
    assert list(moves(PLAIN, new)) == [line]


def test_nothing_moved_says_nothing() -> None:
    assert list(moves(MIDAS_LOCK, replace(MIDAS_LOCK))) == []


def test_every_lock_this_thaw_knows_is_those_of_its_recipes_and_the_builders(midas: Recipe) -> None:
    lock = answering_lock(midas)
    write_lock(midas, lock)
    assert known_locks(midas.folder.parent.parent) == (lock, builder_lock())
