from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bagit
import pytest

from provenance.crate_import import CrateRefused, open_crate, take_crate
from provenance.errors import DigestMismatch, ObjectRotten
from provenance.export import (
    Bundle,
    Export,
    ExportFormat,
    ExportRefused,
    bare_software,
    export_folder,
    export_run,
)
from provenance.record import record_from_bytes
from provenance.store import Journal, Store
from provenance.vault import Vault
from tests.crate_checker import check_crate

METADATA = "ro-crate-metadata.json"


@pytest.fixture
def crate(export: Export, tmp_path: Path) -> Path:
    export_folder(export, ExportFormat.RO_CRATE, tmp_path / "crate")
    return tmp_path / "crate"


@pytest.fixture
def zipped(export: Export, tmp_path: Path) -> Path:
    return export_run(export, ExportFormat.RO_CRATE, tmp_path / "crate.zip").path


@pytest.fixture
def elsewhere(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "elsewhere/vault")


def store_of(vault: Vault) -> Store:
    return Store(vault.root.parent / "store.sqlite", journal=Journal(vault.root))


def take(source: Path, vault: Vault) -> None:
    with open_crate(source, vault) as crate:
        take_crate(crate, vault, store_of(vault))


def change_metadata(crate: Path, change: Callable[[list[dict[str, object]]], object]) -> None:
    read = json.loads((crate / METADATA).read_text())
    change(read["@graph"])
    (crate / METADATA).write_text(json.dumps(read))


def test_a_crate_passes_the_validator_with_nothing_to_recommend(any_export: Export, tmp_path: Path) -> None:
    made = export_run(any_export, ExportFormat.RO_CRATE, tmp_path / "crate.zip")
    checked = check_crate(made.path, tmp_path / "cache")
    assert checked.executed > 80
    assert checked.issues == ()


def test_a_crate_of_unknown_software_passes_too(export: Export, tmp_path: Path) -> None:
    bare = replace(export, software=bare_software(export.record))
    export_folder(bare, ExportFormat.RO_CRATE, tmp_path / "crate")
    assert check_crate(tmp_path / "crate", tmp_path / "cache").issues == ()
    assert "no longer here" in (tmp_path / "crate" / METADATA).read_text()


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda graph: graph.remove(next(e for e in graph if e["@id"] == "./")), "REQUIRED"),
        (lambda graph: [e.pop("instrument", None) for e in graph], "MUST have an instrument"),
        (lambda graph: [e.pop("agent", None) for e in graph], "SHOULD have an agent"),
    ],
)
def test_the_validator_sees_a_broken_crate(
    crate: Path, tmp_path: Path, broken: Callable[[list[dict[str, object]]], object], complaint: str
) -> None:
    change_metadata(crate, broken)
    assert complaint in "\n".join(check_crate(crate, tmp_path / "cache").issues)


def test_the_crate_names_image_software_parameters_and_bytes(export: Export, crate: Path) -> None:
    graph = {entity["@id"]: entity for entity in json.loads((crate / METADATA).read_text())["@graph"]}
    action = graph[f"#run-{export.record.run}"]
    image = graph[action["containerImage"]["@id"]]
    assert image["sha256"] == export.record.image.removeprefix("sha256:")
    assert (image["name"], image["tag"]) == ("thaw/rosetta-eps", "9.3.35-7a0e")
    software = graph[action["instrument"]["@id"]]
    assert "https://doi.org/10.2514/6.2010-2167" in software["identifier"]
    assert graph["#parameter-time_step"]["value"] == 60
    assert action["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert graph["inputs/scenario/"]["identifier"] == export.record.inputs[0].digest


def test_a_crate_that_failed_says_so_with_its_reason(vault: Vault, export: Export, tmp_path: Path) -> None:
    from tests.unit.provenance.export.conftest import failed_record

    failed = replace(export, record=failed_record(vault), bundle=Bundle())
    export_folder(failed, ExportFormat.RO_CRATE, tmp_path / "crate")
    text = (tmp_path / "crate" / METADATA).read_text()
    assert "FailedActionStatus" in text
    assert '"error": "Thaw was killed"' in text


def test_the_same_run_gives_the_same_zip(export: Export, zipped: Path, tmp_path: Path) -> None:
    again = export_run(export, ExportFormat.RO_CRATE, tmp_path / "again.zip")
    assert again.path.read_bytes() == zipped.read_bytes()


def test_a_rotten_object_does_not_leave_the_house(export: Export, tmp_path: Path) -> None:
    rotten = export.vault.path(export.record.outputs[0].digest)
    rotten.chmod(0o644)
    rotten.write_bytes(b"time,power\n0,13.57\n")
    with pytest.raises(ObjectRotten, match="output power-average"):
        export_run(export, ExportFormat.RO_CRATE, tmp_path / "crate.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["vault"]


def test_a_file_registered_by_reference_goes_along_unless_it_was_changed(
    export: Export, tmp_path: Path
) -> None:
    entry = export.vault.read_tree(export.record.inputs[0].digest).entries[0]
    (tmp_path / "data").write_bytes(export.vault.read_bytes(entry.digest))
    export.vault.path(entry.digest).unlink()
    referring = replace(export, bundle=Bundle(references={entry.digest: tmp_path / "data"}))
    export_folder(referring, ExportFormat.RO_CRATE, tmp_path / "crate")
    assert (tmp_path / "crate/inputs/scenario" / entry.path).read_bytes() == (tmp_path / "data").read_bytes()
    (tmp_path / "data").write_bytes(b"other")
    with pytest.raises(DigestMismatch, match="input scenario"):
        export_folder(referring, ExportFormat.RO_CRATE, tmp_path / "second")


def test_what_is_there_is_never_written_over(export: Export, crate: Path) -> None:
    with pytest.raises(ExportRefused, match="there already"):
        export_folder(export, ExportFormat.RO_CRATE, crate)


@pytest.mark.parametrize("how", [ExportFormat.RO_CRATE, ExportFormat.BAGIT])
@pytest.mark.parametrize("is_zip", [True, False])
def test_an_empty_vault_takes_all_of_a_crate_and_its_run_is_finished(
    any_export: Export, elsewhere: Vault, tmp_path: Path, how: ExportFormat, *, is_zip: bool
) -> None:
    target = tmp_path / "made"
    if is_zip:
        export_run(any_export, how, target)
    else:
        export_folder(any_export, how, target)
    take(target, elsewhere)
    row = store_of(elsewhere).run(any_export.record.run)
    assert row.record is not None
    assert record_from_bytes(elsewhere.read_bytes(row.record)) == any_export.record
    for item in any_export.record.inputs:
        for entry in elsewhere.read_tree(item.digest).entries:
            elsewhere.verify(entry.digest)


def test_taking_a_crate_twice_changes_nothing(zipped: Path, elsewhere: Vault) -> None:
    take(zipped, elsewhere)
    before = list(elsewhere.digests())
    with open_crate(zipped, elsewhere) as crate:
        assert take_crate(crate, elsewhere, store_of(elsewhere)).added == 0
    assert list(elsewhere.digests()) == before


def test_a_bag_validates_and_a_flipped_byte_in_it_does_not(export: Export, tmp_path: Path) -> None:
    export_folder(export, ExportFormat.BAGIT, tmp_path / "bag")
    bagit.Bag(str(tmp_path / "bag")).validate()
    flip(tmp_path / "bag/data/record.json")
    with pytest.raises(bagit.BagValidationError):
        bagit.Bag(str(tmp_path / "bag")).validate()


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "file",
    [
        *("record.json", "lock.json", "script", "log.txt", "inputs/scenario.tree.json"),
        *("inputs/scenario/session.json", "outputs/eps_output/power avg.out"),
    ],
)
def test_a_flipped_byte_is_refused_by_name_and_nothing_is_taken(
    crate: Path, elsewhere: Vault, file: str
) -> None:
    flip(crate / file)
    with pytest.raises(CrateRefused, match=f"'{file}' has other bytes"):
        take(crate, elsewhere)
    assert not elsewhere.root.exists()


def test_a_flipped_byte_in_a_zip_is_refused(zipped: Path, elsewhere: Vault) -> None:
    with zipfile.ZipFile(zipped) as archive:
        at = archive.getinfo("record.json").header_offset + 200
    content = bytearray(zipped.read_bytes())
    content[at] ^= 1
    zipped.write_bytes(content)
    with pytest.raises(CrateRefused):
        take(zipped, elsewhere)


def test_a_missing_file_is_named(crate: Path, elsewhere: Vault) -> None:
    (crate / "script").unlink()
    with pytest.raises(CrateRefused, match="'script' is missing"):
        take(crate, elsewhere)


@pytest.mark.parametrize(
    "path", ["outputs/eps_output/power%20avg.out", "inputs/scenario/session.json", "script"]
)
def test_an_object_nobody_names_any_more_is_missed(crate: Path, elsewhere: Vault, path: str) -> None:
    change_metadata(crate, lambda graph: graph.remove(next(e for e in graph if e["@id"] == path)))
    with pytest.raises(CrateRefused, match="it lacks"):
        take(crate, elsewhere)


@pytest.mark.parametrize(
    "path", ["../secret", "/etc/passwd", "outputs/../../secret", "a//b", "%2e%2e/secret"]
)
def test_a_path_that_leads_out_is_refused(crate: Path, elsewhere: Vault, path: str) -> None:
    (crate.parent / "secret").write_text("mine")
    change_metadata(crate, lambda graph: graph.append({"@id": path, "@type": "File"}))
    with pytest.raises(CrateRefused, match="leads out of the crate"):
        take(crate, elsewhere)


def test_a_link_that_leads_out_is_refused(crate: Path, elsewhere: Vault) -> None:
    (crate / "log.txt").rename(crate.parent / "log.txt")
    (crate / "log.txt").symlink_to("../log.txt")
    with pytest.raises(CrateRefused, match="leads out of the crate"):
        take(crate, elsewhere)


def test_another_record_under_the_same_run_is_refused(
    export: Export, crate: Path, elsewhere: Vault, tmp_path: Path
) -> None:
    take(crate, elsewhere)
    forged = replace(export, record=replace(export.record, message="better"))
    export_folder(forged, ExportFormat.RO_CRATE, tmp_path / "forged")
    with pytest.raises(CrateRefused, match="with another record"):
        take(tmp_path / "forged", elsewhere)


def test_a_record_that_is_not_the_one_the_crate_says_is_refused(crate: Path, elsewhere: Vault) -> None:
    change_metadata(
        crate,
        lambda graph: next(e for e in graph if e["@id"] == "./").update(identifier="sha256:" + "0" * 64),
    )
    with pytest.raises(CrateRefused, match="it says it is record"):
        take(crate, elsewhere)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"@graph": 7}', '{"@graph": []}', "\0"])
def test_what_is_no_crate_is_refused(crate: Path, elsewhere: Vault, content: str) -> None:
    (crate / METADATA).write_text(content)
    with pytest.raises(CrateRefused):
        take(crate, elsewhere)


def test_what_is_no_zip_is_refused(tmp_path: Path, elsewhere: Vault) -> None:
    (tmp_path / "crate.zip").write_bytes(b"PK no")
    with pytest.raises(CrateRefused, match="zip is damaged"):
        take(tmp_path / "crate.zip", elsewhere)


def test_an_encrypted_zip_is_refused(zipped: Path, elsewhere: Vault) -> None:
    content = bytearray(zipped.read_bytes())
    for found in re.finditer(rb"PK\x01\x02", bytes(content)):
        content[found.start() + 8] |= 1  # bit 0 of the flags: APPNOTE 4.4.4
    zipped.write_bytes(content)
    with pytest.raises(CrateRefused, match="encrypted"):
        take(zipped, elsewhere)


def test_a_defect_of_who_reads_a_crate_is_not_told_as_the_crates(zipped: Path, elsewhere: Vault) -> None:
    with pytest.raises(RuntimeError, match="a defect"), open_crate(zipped, elsewhere):
        raise RuntimeError("a defect")


def test_a_crate_that_says_a_file_is_smaller_than_it_is_gives_no_more_than_it_said(
    crate: Path, elsewhere: Vault
) -> None:
    with (crate / "log.txt").open("ab") as stream:
        stream.write(b"x" * 10_000_000)
    with pytest.raises(CrateRefused, match="found more"):
        take(crate, elsewhere)
    shutil.rmtree(crate)
