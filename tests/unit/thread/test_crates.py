from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.image.lock import LockedDeposit, LockedPackage, lock_to_json
from instantiator.recipe.keep import keep_recipe
from instantiator.recipe.load import load_recipe
from instantiator.thread.crates import Asked, House, import_crate, prepared_export, software_of
from provenance.crate_import import CrateRefused, open_crate
from provenance.digest import Digest, canonical_json
from provenance.errors import ObjectMissing
from provenance.export import Export, ExportFormat, ExportRefused, export_folder
from provenance.record import Record
from provenance.store import Journal, Store
from provenance.vault import Vault
from tests.examples import EPS_FOLDER, eps_lock
from tests.unit.provenance.export.conftest import kept_record


def no_engine() -> object:
    raise AssertionError("no engine is needed for this")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return house_at(tmp_path / "here")


def house_at(home: Path) -> House:
    vault = Vault(home / "vault")
    return House(
        vault=vault,
        store=Store(home / "store.sqlite", journal=Journal(vault.root)),
        recipes_dir=home / "recipes",
        scratch=home / "scratch",
        engine=no_engine,  # type: ignore[arg-type]  # never called
    )


@pytest.fixture
def record(house: House) -> Record:
    """A run of rosetta-eps as committed, with its lock."""
    shutil.copytree(EPS_FOLDER, house.recipes_dir / "rosetta-eps/9.3.35")
    lock = house.vault.put_bytes(canonical_json(lock_to_json(eps_lock())))
    return replace(kept_record(house.vault), lock=lock, recipe_digest=load_recipe(EPS_FOLDER).digest)


def test_facts_come_from_the_recipe_and_stay_known_when_it_is_gone(house: House, record: Record) -> None:
    known = software_of(record, house)
    shutil.rmtree(house.recipes_dir)
    still = software_of(record, house)
    assert known.title == "Experiment Planning System (EPS)"
    assert known.citations[0].url == "https://doi.org/10.2514/6.2010-2167"
    assert replace(still, known_from="") == replace(known, known_from="")
    assert (known.known_from, still.known_from) == (
        "the recipe of the run",
        "the recipe of the run, kept in the vault",
    )


def test_a_recipe_that_was_changed_since_is_told(house: House, record: Record) -> None:
    found = software_of(replace(record, recipe_digest=Digest("sha256:" + "0" * 64)), house)
    assert found.known_from == "the recipe as it is now: it was changed since the run"


def test_a_recipe_that_is_gone_and_was_not_kept_is_told(house: House, record: Record) -> None:
    shutil.rmtree(house.recipes_dir)
    found = software_of(record, house)
    assert (found.title, found.version, found.known_from) == ("rosetta-eps", "9.3.35", "")


def test_a_recipe_is_kept_under_its_own_digest(house: House, record: Record) -> None:
    recipe = load_recipe(EPS_FOLDER)
    keep_recipe(recipe, house.vault)
    assert house.vault.read_tree(recipe.digest).digest == record.recipe_digest


def test_a_crate_brings_recipe_and_dataset_to_an_empty_house(
    house: House, record: Record, tmp_path: Path
) -> None:
    with prepared_export(record, house) as export:
        export_folder(export, ExportFormat.RO_CRATE, tmp_path / "crate")
    there = house_at(tmp_path / "there")
    with open_crate(tmp_path / "crate", there.vault) as crate:
        imported = import_crate(crate, there)
    dataset = there.store.dataset("eps-bepicolombo-2015")
    assert (imported.run, imported.datasets, imported.image) == (
        record.run,
        ("eps-bepicolombo-2015@1",),
        None,
    )
    assert dataset is not None
    assert (dataset.digest, dataset.kept) == (record.inputs[0].digest, True)
    assert software_of(record, there).title == "Experiment Planning System (EPS)"


def test_a_dataset_with_an_impossible_name_gets_a_possible_one(
    house: House, record: Record, tmp_path: Path
) -> None:
    forged = replace(record, inputs=(replace(record.inputs[0], dataset="../../evil one@1"),))
    with prepared_export(forged, house) as export:
        export_folder(export, ExportFormat.RO_CRATE, tmp_path / "crate")
    there = house_at(tmp_path / "there")
    with open_crate(tmp_path / "crate", there.vault) as crate:
        assert import_crate(crate, there).datasets == ("evil-one@1",)


def test_an_environment_the_vault_lacks_is_not_exported_in_part(house: House, record: Record) -> None:
    with (
        pytest.raises(ObjectMissing),
        prepared_export(record, house, Asked(with_packages=True)),
    ):
        raise AssertionError("nothing is prepared")


@pytest.mark.parametrize("asked", [Asked(with_image=True), Asked(with_packages=True)])
def test_what_was_handed_in_does_not_leave_unasked(house: House, record: Record, asked: Asked) -> None:
    deposit = LockedDeposit(name="ida", file="ida.tar", sha256="0" * 64, size=7)
    lock = replace(eps_lock(), deposits=(deposit,))
    held = replace(record, lock=house.vault.put_bytes(canonical_json(lock_to_json(lock))))
    with pytest.raises(ExportRefused, match="licence of its own: ida"), prepared_export(held, house, asked):
        raise AssertionError("nothing is prepared")


def test_a_package_s_file_name_cannot_lead_out_of_the_crate(
    house: House, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"a package"
    digest = house.vault.put_bytes(content)
    odd = LockedPackage(
        name="odd",
        version="1",
        architecture="all",
        pool="pool/o/odd/odd_1%3a2 all.deb",
        sha256=digest[7:],
        size=len(content),
    )
    lock = replace(eps_lock(), packages=(odd,), python=(), sources=(), files=())
    held = replace(record, lock=house.vault.put_bytes(canonical_json(lock_to_json(lock))))
    monkeypatch.setattr("instantiator.thread.crates.builder_lock", lambda: lock)
    with prepared_export(held, house, Asked(with_packages=True)) as export:
        assert [part.path for part in export.bundle.environment] == [
            f"environment/{digest[7:19]}-odd_1_3a2_all.deb"
        ]


def test_a_crate_whose_image_is_no_layout_is_refused(house: House, record: Record, tmp_path: Path) -> None:
    from provenance.export import Bundle, Bundled

    class Engine:
        def has_image(self, *_what: object) -> bool:
            return False

    image = tmp_path / "image.oci.tar"
    image.write_bytes(b"no tar")
    part = Bundled(
        path="image.oci.tar",
        digest=house.vault.put_bytes(b"no tar"),
        size=6,
        media_type="application/x-tar",
        what="image",
        source=image,
    )
    with prepared_export(record, house) as export:
        made = Export(record=record, vault=house.vault, software=export.software, bundle=Bundle(image=part))
        export_folder(made, ExportFormat.RO_CRATE, tmp_path / "crate")
    there = replace(house_at(tmp_path / "there"), engine=Engine)  # type: ignore[arg-type]  # all that is asked of it
    with (
        open_crate(tmp_path / "crate", there.vault) as crate,
        pytest.raises(CrateRefused, match="no OCI layout"),
    ):
        import_crate(crate, there)
    assert not there.vault.root.exists()
