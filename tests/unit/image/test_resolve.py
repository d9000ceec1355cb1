"""Names of a recipe made into digests, without apt and without pip."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from instantiator.image.errors import ResolveFailed
from instantiator.image.fetch import Mirrors
from instantiator.image.files import keep_files
from instantiator.image.lock import Lock, LockedDeposit, recipe_files
from instantiator.image.resolve import Kept, epoch_of, file_name, resolve_recipe
from instantiator.image.wheels import WheelTarget, resolve_wheel_file
from instantiator.progress import Silent
from instantiator.recipe.model import Base, Recipe, Source
from provenance.errors import DigestMismatch, ObjectMissing
from provenance.vault import Vault
from tests.examples import HERE, MIDAS_LOCK, digest_of, locked_deb, midas_recipe, sha256

XTERM = b"xterm"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault")


@pytest.fixture
def midas(tmp_path: Path) -> Recipe:
    folder = tmp_path / "recipes/midas/22SEP"
    folder.mkdir(parents=True)
    return midas_recipe(folder)


def resolve(
    recipe: Recipe, vault: Vault, monkeypatch: pytest.MonkeyPatch, *, kept: Kept | None = None
) -> Lock:
    """Resolve with an apt that answers one package."""
    package = locked_deb("xterm", XTERM)
    monkeypatch.setattr("instantiator.image.resolve.resolve_packages", lambda _archive, _names: (package,))
    mirrors = Mirrors(debian="http://mirror.example/debian")
    return resolve_recipe(recipe, vault, mirrors, Silent(), kept=kept or Kept())


def test_a_snapshot_date_is_midnight_in_utc() -> None:
    assert datetime.fromtimestamp(epoch_of("2026-11-20", where="here"), UTC) == datetime(
        2026, 11, 20, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "date", ["", "2026-13-01", "2026-11-31", "20261120", "yesterday", "2026-11-20T00:00:00Z"]
)
def test_what_is_no_date_is_refused_with_an_example(date: str) -> None:
    with pytest.raises(ResolveFailed) as refusal:
        epoch_of(date, where="recipes/midas/22SEP/recipe.yaml:9")
    assert refusal.value.where == "recipes/midas/22SEP/recipe.yaml:9"
    assert "2026-11-20" in refusal.value.hint


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.example/22SEP.tar.gz", "22SEP.tar.gz"),
        ("https://zenodo.example/records/1/files/22SEP.tar.gz?download=1", "22SEP.tar.gz"),
        ("https://a.example/22SEP.tar.gz#sha256=beef", "22SEP.tar.gz"),
        ("https://a.example/a%20b.zip", "a b.zip"),
        ("https://a.example/..%2f..%2fetc", ".._.._etc"),
        ("https://a.example", ""),
    ],
)
def test_a_file_is_called_as_its_address_ends_without_query(url: str, name: str) -> None:
    assert file_name(url) == name


def test_a_lock_names_all_the_recipe_asks_for(
    midas: Recipe, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = resolve(midas, vault, monkeypatch)
    assert (lock.recipe, lock.suite, lock.source_date_epoch) == ("midas/22SEP", "bookworm", 1_795_132_800)
    assert (lock.steps, [package.name for package in lock.packages]) == (("ldconfig",), ["xterm"])
    assert lock.deposits == (LockedDeposit(name="tables", file="tables.dat", sha256=None, size=None),)
    assert lock.image is None


def test_a_deposit_handed_in_before_stays(
    midas: Recipe, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = LockedDeposit(name="tables", file="tables.dat", sha256=sha256(b"tables"), size=6)
    assert resolve(midas, vault, monkeypatch, kept=Kept(deposits=(known,))).deposits == (known,)


def test_the_digest_the_recipe_names_goes_before_the_one_handed_in(
    midas: Recipe, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = LockedDeposit(name="tables", file="tables.dat", sha256=sha256(b"old"), size=3)
    recipe = replace(midas, deposits=(replace(midas.deposits[0], sha256=sha256(b"new"), size=9),))
    (deposit,) = resolve(recipe, vault, monkeypatch, kept=Kept(deposits=(known,))).deposits
    assert (deposit.sha256, deposit.size) == (sha256(b"new"), 9)


def source_at(path: Path, content: bytes, *, size: int | None) -> Source:
    """A source with one address."""
    path.write_bytes(content)
    return Source(
        location=HERE, name="midas", urls=(f"{path.as_uri()}?download=1",), sha256=sha256(content), size=size
    )


def test_a_source_is_fetched_and_named_by_the_file_it_is(
    midas: Recipe, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.put_bytes(b"midas")
    recipe = replace(midas, sources=(source_at(tmp_path / "m.tar.gz", b"midas", size=None),))
    (source,) = resolve(recipe, vault, monkeypatch).sources
    assert (source.file, source.size) == ("m.tar.gz", 5)


def test_a_source_whose_size_is_not_the_recipes_is_refused(
    midas: Recipe, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.put_bytes(b"midas")
    recipe = replace(midas, sources=(source_at(tmp_path / "m.tar.gz", b"midas", size=50),))
    with pytest.raises(ResolveFailed, match="has 5 bytes, the recipe says 50"):
        resolve(recipe, vault, monkeypatch)


def test_a_base_that_is_no_debian_suite_is_refused_where_it_stands(
    midas: Recipe, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ResolveFailed, match="no Debian suite"):
        resolve(replace(midas, base=Base(image="fedora:42")), vault, monkeypatch)


def test_wheels_for_another_python_than_debians_are_refused(
    midas: Recipe, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instantiator.image.resolve.resolve_wheels", lambda *_arguments: ())
    recipe = replace(midas, python=("numpy==1.26.4",), python_version="3.13")
    with pytest.raises(ResolveFailed) as refusal:
        resolve(recipe, vault, monkeypatch)
    assert refusal.value.hint == "set python_version: '3.11'"


@pytest.mark.parametrize(("suite", "architecture"), [("woody", "amd64"), ("bookworm", "m68k")])
def test_wheels_for_an_unknown_suite_or_architecture_are_refused(
    vault: Vault, suite: str, architecture: str
) -> None:
    target = WheelTarget(suite=suite, architecture=architecture, python_version="3.11")
    with pytest.raises(ResolveFailed, match=suite):
        resolve_wheel_file("numpy==1.26.4", target, vault)


@pytest.fixture
def with_file(midas: Recipe) -> Recipe:
    file = midas.folder / "files/etc/midas.conf"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"conf")
    return midas


def test_the_recipes_own_files_enter_the_vault_with_the_lock(
    with_file: Recipe, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = resolve(with_file, vault, monkeypatch)
    assert [(file.path, file.size, file.executable) for file in lock.files] == [("etc/midas.conf", 4, False)]
    assert vault.has(digest_of(b"conf"))


def test_on_another_host_they_come_from_the_recipe(with_file: Recipe, tmp_path: Path) -> None:
    elsewhere = Vault(tmp_path / "elsewhere")
    lock = replace(MIDAS_LOCK, files=recipe_files(with_file))
    keep_files(with_file, lock, elsewhere)
    elsewhere.verify(digest_of(b"conf"))


def test_a_file_that_is_not_the_locked_one_is_refused(with_file: Recipe, vault: Vault) -> None:
    lock = replace(MIDAS_LOCK, files=recipe_files(with_file))
    (with_file.folder / "files/etc/midas.conf").write_bytes(b"CONF")
    with pytest.raises(DigestMismatch):
        keep_files(with_file, lock, vault)
    with pytest.raises(ObjectMissing):
        vault.verify(digest_of(b"conf"))
