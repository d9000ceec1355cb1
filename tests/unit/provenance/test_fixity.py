from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pytest

from provenance.digest import Digest, canonical_json, digest_bytes
from provenance.fixity import AuditReport, SecondVault, audit, status
from provenance.vault import Vault
from provenance.vault_state import Fault

POWER = b"time,power\n2015-07-21T00:00:00,115.2\n" * 30


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault")


def flip_a_bit(vault: Vault, digest: Digest) -> bytes:
    path = vault.path(digest)
    content = bytearray(path.read_bytes())
    content[0] ^= 4
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)
    return bytes(content)


def used_by_run(digest: Digest) -> Sequence[str]:
    return ("run 12", "lock rosetta-eps 9.3.35") if digest == digest_bytes(POWER) else ()


def faults(report: AuditReport) -> list[tuple[Fault, Digest | None]]:
    return [(finding.fault, finding.digest) for finding in report.findings]


def test_a_sound_vault_is_found_sound_and_every_byte_was_read(vault: Vault) -> None:
    for number in range(100):
        vault.put_bytes(bytes(number))
    told = list[int]()
    report = audit(vault, uses=used_by_run, progress=told.append)
    assert (report.objects, report.size, report.findings) == (100, sum(range(100)), ())
    assert report.is_sound()
    assert sum(told) == report.size


def test_a_vault_that_was_never_written_to_is_sound(vault: Vault) -> None:
    assert audit(vault, uses=used_by_run).is_sound()
    assert not vault.root.exists()


def test_one_flipped_bit_is_found_named_with_its_uses_and_set_aside(vault: Vault) -> None:
    digest = vault.put_bytes(POWER)
    vault.put_bytes(b"sound")
    rotten = flip_a_bit(vault, digest)
    report = audit(vault, uses=used_by_run)
    (finding,) = report.rotten
    assert (finding.digest, finding.found) == (digest, digest_bytes(rotten))
    assert finding.used_by == ("run 12", "lock rosetta-eps 9.3.35")
    assert finding.set_aside is not None and finding.set_aside.read_bytes() == rotten
    assert finding.set_aside.parent == vault.root / "quarantine"
    assert not vault.has(digest)
    assert not report.is_sound()
    for text in (digest, "rotten", "run 12", "quarantine"):
        assert text in finding.describe()


def test_a_missing_object_is_reported_only_if_it_is_expected(vault: Vault) -> None:
    present = vault.put_bytes(b"present")
    report = audit(vault, uses=used_by_run, expected=[present, digest_bytes(POWER)])
    assert faults(report) == [(Fault.MISSING, digest_bytes(POWER))]
    assert report.missing[0].used_by == ("run 12", "lock rosetta-eps 9.3.35")


def test_rotten_and_missing_objects_are_brought_back_from_a_second_vault(
    vault: Vault, tmp_path: Path
) -> None:
    second = Vault(tmp_path / "second")
    digests = [each.put_bytes(content) for each in (vault, second) for content in (POWER, b"deposit")][:2]
    flip_a_bit(vault, digests[0])
    vault.path(digests[1]).unlink()
    report = audit(vault, uses=used_by_run, expected=digests, repair_from=[SecondVault(second)])
    assert {finding.digest for finding in report.repaired} == set(digests)
    assert {finding.repaired_from for finding in report.repaired} == {str(second.root)}
    assert report.is_sound()
    assert len(vault.list_set_aside(digests[0])) == 1
    assert [vault.read_bytes(digest) for digest in digests] == [POWER, b"deposit"]
    assert audit(vault, uses=used_by_run, expected=digests).findings == ()


def test_a_source_with_other_bytes_or_no_answer_is_passed_over_and_told(vault: Vault, tmp_path: Path) -> None:
    digest = vault.put_bytes(POWER)
    flip_a_bit(vault, digest)
    second = Vault(tmp_path / "second")
    second.put_bytes(POWER)
    flip_a_bit(second, digest)

    class Mirror:
        name = "mirror"

        def fetch(self, digest: Digest, size: int | None) -> BinaryIO | None:
            raise TimeoutError("no answer in 60 s")

    report = audit(vault, uses=used_by_run, repair_from=[Mirror(), SecondVault(second)])
    assert report.repaired == ()
    assert "mirror: no answer in 60 s" in report.rotten[0].reason
    assert f"{second.root}: these are not the bytes" in report.rotten[0].reason
    assert not vault.has(digest)


def test_an_origin_that_streams_fits_as_a_repair_source(vault: Vault) -> None:
    class Origin:
        name = "origin"

        def fetch(self, digest: Digest, size: int | None) -> BinaryIO | None:
            return io.BytesIO(POWER) if digest == digest_bytes(POWER) else None

    report = audit(vault, uses=used_by_run, expected=[digest_bytes(POWER)], repair_from=[Origin()])
    assert report.repaired[0].repaired_from == "origin"
    assert vault.read_bytes(digest_bytes(POWER)) == POWER


def test_an_unreadable_object_is_reported_and_stays_until_it_can_be_replaced(vault: Vault) -> None:
    digest = vault.put_bytes(POWER)
    vault.path(digest).unlink()
    vault.path(digest).mkdir()
    report = audit(vault, uses=used_by_run)
    assert faults(report) == [(Fault.UNREADABLE, digest)]
    assert report.unreadable[0].set_aside is None
    assert vault.path(digest).is_dir()
    vault.put_bytes(POWER)
    assert vault.read_bytes(digest) == POWER


def test_strangers_are_set_aside_and_do_no_harm(vault: Vault) -> None:
    digest = vault.put_bytes(POWER)
    (vault.path(digest).parent / "copy of an object").write_bytes(POWER)
    (vault.objects / "notes.txt").write_text("not ours")
    report = audit(vault, uses=used_by_run)
    assert {finding.path.name for finding in report.strangers} == {"copy of an object", "notes.txt"}
    assert {path.name for path in vault.quarantine.iterdir()} == {"stranger.1", "stranger.2"}
    assert report.is_sound()
    assert audit(vault, uses=used_by_run).findings == ()


def test_a_misnamed_object_that_is_wanted_gets_its_name_back(vault: Vault) -> None:
    digest = vault.put_bytes(POWER)
    vault.path(digest).rename(vault.objects / f"{digest[7:]} (1)")
    report = audit(vault, uses=used_by_run, expected=[digest])
    assert (report.missing, report.strangers[0].found, len(report.repaired)) == ((), digest, 1)
    assert vault.read_bytes(digest) == POWER


def test_two_objects_whose_names_were_swapped_are_both_found(vault: Vault) -> None:
    first, second = vault.put_bytes(b"first"), vault.put_bytes(b"other")
    third = vault.path(first).with_name("third")
    vault.path(first).rename(third)
    shutil.move(vault.path(second), vault.path(first))
    shutil.move(third, vault.path(second))
    report = audit(vault, uses=used_by_run)
    assert {(finding.digest, finding.found) for finding in report.rotten} == {
        (first, second),
        (second, first),
    }


def test_a_report_is_data(vault: Vault) -> None:
    flip_a_bit(vault, vault.put_bytes(POWER))
    value = json.loads(canonical_json(audit(vault, uses=used_by_run).to_json()))
    assert (value["objects"], value["bytes"], value["sound"]) == (1, len(POWER), False)
    assert value["rotten"][0]["digest"] == digest_bytes(POWER)
    assert value["rotten"][0]["fault"] == "rotten"
    assert [value[key] for key in ("missing", "unreadable", "strangers", "repaired")] == [[], [], [], []]


def test_a_status_counts_objects_bytes_temps_and_what_was_set_aside(vault: Vault) -> None:
    assert status(vault).objects == 0
    flip_a_bit(vault, vault.put_bytes(POWER))
    audit(vault, uses=used_by_run)
    vault.put_bytes(b"three")
    (vault.temps / "99-dead").write_bytes(b"")
    found = status(vault)
    assert (found.objects, found.size, found.temps, found.quarantined) == (1, 5, 1, 1)
    assert found.disk_free > 0
    assert set(found.to_json()) == {"objects", "bytes", "temps", "quarantined", "disk_free"}
