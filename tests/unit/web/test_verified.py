"""Parts of a file are verified with the whole of it, and the whole of it is hashed once while nobody touches it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from instantiator.web import verified
from instantiator.web.verified import Verified
from provenance.digest import Digest
from provenance.errors import ObjectMissing, ObjectRotten
from provenance.vault import Vault

TABLE = bytes(range(256)) * 4


class CountingVault(Vault):
    """Counts how often an object is hashed."""

    hashed = 0

    def open(self, digest: Digest, *, used_by: str = "") -> BinaryIO:
        self.hashed += 1
        return super().open(digest, used_by=used_by)


@pytest.fixture
def vault(tmp_path: Path) -> CountingVault:
    return CountingVault(tmp_path / "vault")


@pytest.fixture
def kept(vault: CountingVault) -> Digest:
    return vault.put_bytes(TABLE)


def read(found: Verified, vault: Vault, digest: Digest) -> bytes:
    with found.open_part(vault, digest, used_by="a table") as stream:
        return stream.read()


def test_the_second_part_of_a_file_is_not_hashed_again(vault: CountingVault, kept: Digest) -> None:
    found = Verified()
    assert [read(found, vault, kept) for _ in range(5)] == 5 * [TABLE]
    assert vault.hashed == 1


def test_all_of_a_file_is_hashed_each_time(vault: CountingVault, kept: Digest) -> None:
    found = Verified()
    for _ in range(3):
        found.open_whole(vault, kept, used_by="a table").close()
    assert vault.hashed == 3
    assert read(found, vault, kept) == TABLE
    assert vault.hashed == 3


def test_a_file_somebody_touched_is_hashed_again_though_its_times_were_set_back(
    vault: CountingVault, kept: Digest
) -> None:
    found = Verified()
    read(found, vault, kept)
    path = vault.path(kept)
    before = path.stat()
    path.chmod(0o600)
    path.write_bytes(TABLE[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ObjectRotten):
        read(found, vault, kept)
    path.unlink()
    with pytest.raises(ObjectMissing):
        read(found, vault, kept)


def test_what_was_hashed_long_ago_is_hashed_again(
    vault: CountingVault, kept: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Verified()
    read(found, vault, kept)
    monkeypatch.setattr(verified, "GOOD_FOR_S", 0.0)
    read(found, vault, kept)
    assert vault.hashed == 2
