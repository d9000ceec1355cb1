from __future__ import annotations

import errno
import io
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from provenance import vault_files
from provenance.digest import Digest, digest_bytes
from provenance.errors import (
    DigestMismatch,
    DiskFull,
    ObjectMissing,
    ObjectRotten,
    SourceChanged,
    SourceRefused,
    VaultRefused,
)
from provenance.vault import Vault
from provenance.vault_files import open_temp

SPECTRUM = b"SIMPLE  =                    T" * 100
EVENTS = b"2014-11-12T15:34:00Z TOUCHDOWN\n" * 50


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault")


def rot(vault: Vault, digest: Digest, content: bytes) -> None:
    path = vault.path(digest)
    path.unlink()
    path.write_bytes(content)


def flip_a_bit(vault: Vault, digest: Digest) -> bytes:
    content = bytearray(vault.path(digest).read_bytes())
    content[len(content) // 2] ^= 1
    rot(vault, digest, bytes(content))
    return bytes(content)


def temps_of(vault: Vault) -> list[Path]:
    return list(vault.temps.glob("*"))


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_what_is_put_is_read_back_and_named_by_its_sha256(vault: Vault) -> None:
    digest = vault.put_bytes(SPECTRUM)
    assert digest == digest_bytes(SPECTRUM)
    assert (vault.read_bytes(digest), vault.has(digest), vault.size(digest)) == (
        SPECTRUM,
        True,
        len(SPECTRUM),
    )


def test_an_empty_object_is_an_object(vault: Vault) -> None:
    assert vault.read_bytes(vault.put_bytes(b"")) == b""


def test_a_vault_is_made_on_the_first_write_and_not_before(vault: Vault) -> None:
    assert not vault.has(digest_bytes(EVENTS))
    assert list(vault.digests()) == []
    assert not vault.root.exists()


def test_the_layout_is_the_documented_one_whatever_the_umask(vault: Vault) -> None:
    with umask(0o777 if os.getuid() == 0 else 0o077):
        digest = vault.put_bytes(EVENTS)
    path = vault.root / "objects" / digest[7:9] / digest[9:]
    modes = [
        stat.S_IMODE(each.stat().st_mode) for each in (vault.root, path.parent.parent, path.parent, path)
    ]
    assert modes == [0o755, 0o755, 0o755, 0o444]
    assert (vault.root / "VERSION").read_text() == "1\n"
    assert temps_of(vault) == []


def test_every_object_has_the_same_time_so_that_folders_made_of_them_look_the_same(vault: Vault) -> None:
    path = vault.path(vault.put_bytes(EVENTS))
    assert datetime.fromtimestamp(path.stat().st_mtime, UTC) == datetime(2000, 1, 1, tzinfo=UTC)


def test_a_vault_of_a_newer_version_is_refused(vault: Vault) -> None:
    vault.put_bytes(EVENTS)
    (vault.root / "VERSION").chmod(0o644)
    (vault.root / "VERSION").write_text("2\n")
    with pytest.raises(VaultRefused, match="version '2'"):
        Vault(vault.root)


def test_digests_are_listed_sorted_and_only_objects_are(vault: Vault) -> None:
    put = [vault.put_bytes(b"%d" % number) for number in range(40)]
    (vault.objects / "README").write_text("not an object")
    (vault.path(put[0]).parent / "notes").write_text("not an object")
    assert list(vault.digests()) == sorted(put)


def test_a_missing_object_is_named_with_what_uses_it(vault: Vault) -> None:
    digest = digest_bytes(SPECTRUM)
    with pytest.raises(ObjectMissing, match=f"{digest} is not in the vault; used by recipe midas 22SEP"):
        vault.read_bytes(digest, used_by="recipe midas 22SEP")
    with pytest.raises(ObjectMissing):
        vault.size(digest)
    with pytest.raises(ObjectMissing):
        vault.open(digest)


def test_one_flipped_bit_is_caught_and_named_with_what_uses_it(vault: Vault) -> None:
    digest = vault.put_bytes(SPECTRUM)
    found = digest_bytes(flip_a_bit(vault, digest))
    for read in (vault.read_bytes, vault.open, vault.verify):
        with pytest.raises(ObjectRotten) as caught:
            read(digest, used_by="run 7")
        assert f"object {digest} is rotten: its bytes now have {found}; used by run 7" in caught.value.message
        assert caught.value.where == str(vault.path(digest))


def test_an_object_that_is_a_symbolic_link_is_not_believed(vault: Vault, tmp_path: Path) -> None:
    digest = vault.put_bytes(SPECTRUM)
    vault.path(digest).rename(tmp_path / "elsewhere")
    vault.path(digest).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ObjectRotten, match="cannot be read"):
        vault.read_bytes(digest)


def test_verify_many_names_every_object_that_is_wrong_not_the_first(vault: Vault) -> None:
    good, rotten, missing = vault.put_bytes(b"good"), vault.put_bytes(SPECTRUM), digest_bytes(b"missing")
    flip_a_bit(vault, rotten)
    with pytest.raises(ObjectRotten) as caught:
        vault.verify_many({good: "lock a", rotten: "lock b", missing: "lock c"})
    assert caught.value.message.startswith("2 objects")
    assert all(text in caught.value.message for text in (rotten, missing, "lock b", "lock c"))
    assert good not in caught.value.message
    vault.verify_many({good: "lock a"})


def test_an_opened_object_can_be_sought_in(vault: Vault) -> None:
    with vault.open(vault.put_bytes(EVENTS)) as stream:
        stream.seek(21)
        assert stream.read(9) == b"TOUCHDOWN"


@pytest.mark.parametrize("rotten", [b"cut sho", b"another text"], ids=["another size", "the same size"])
def test_putting_an_object_again_replaces_a_rotten_one_and_loses_nothing(vault: Vault, rotten: bytes) -> None:
    digest = vault.put_bytes(b"twelve bytes")
    rot(vault, digest, rotten)
    assert vault.put_bytes(b"twelve bytes") == digest
    assert vault.read_bytes(digest) == b"twelve bytes"
    assert [path.read_bytes() for path in vault.list_set_aside(digest)] == [rotten]


def test_putting_a_sound_object_again_leaves_its_file_as_it_is(vault: Vault, tmp_path: Path) -> None:
    digest = vault.put_bytes(EVENTS)
    inode = vault.path(digest).stat().st_ino
    (tmp_path / "events").write_bytes(EVENTS)
    assert vault.put_bytes(EVENTS) == digest
    assert vault.put_file(tmp_path / "events") == (digest, len(EVENTS))
    assert vault.path(digest).stat().st_ino == inode
    assert temps_of(vault) == []


def test_a_stream_that_is_not_the_expected_one_leaves_nothing(vault: Vault) -> None:
    expected = digest_bytes(SPECTRUM)
    with pytest.raises(DigestMismatch, match=f"expected {expected}, found {digest_bytes(EVENTS)}"):
        vault.put_stream(io.BytesIO(EVENTS), expected=expected)
    with pytest.raises(DigestMismatch, match="expected 9999 bytes, found 1550"):
        vault.put_stream(io.BytesIO(EVENTS), expected_size=9999)
    assert (list(vault.digests()), temps_of(vault)) == ([], [])


def test_a_stream_that_never_ends_is_stopped_soon_after_its_expected_size(vault: Vault) -> None:
    class Endless:
        given = 0

        def read(self, size: int) -> bytes:
            self.given += size
            return bytes(size)

    endless = Endless()
    with pytest.raises(DigestMismatch, match="found more"):
        vault.put_stream(endless, expected_size=1000)  # type: ignore[arg-type]  # only read() is asked of it
    assert endless.given < 10_000_000


def test_a_file_is_kept_with_its_digest_and_size(vault: Vault, tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    (tmp_path / "image.fits").write_bytes(content)
    assert vault.put_file(tmp_path / "image.fits") == (digest_bytes(content), 3_000_001)
    assert vault.read_bytes(digest_bytes(content)) == content


def test_a_file_that_is_not_the_expected_one_is_refused_and_named(vault: Vault, tmp_path: Path) -> None:
    for content in (EVENTS, EVENTS * 1000):
        (tmp_path / "deposit.tar").write_bytes(content)
        with pytest.raises(DigestMismatch, match=f"found {digest_bytes(content)}") as caught:
            vault.put_file(tmp_path / "deposit.tar", expected=digest_bytes(SPECTRUM))
        assert caught.value.where.endswith("deposit.tar")
    assert list(vault.digests()) == []


def test_an_expected_file_that_is_kept_already_is_only_hashed(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deposit.tar").write_bytes(EVENTS * 1000)
    kept = vault.put_file(tmp_path / "deposit.tar")
    monkeypatch.setattr(vault, "_temp", None)
    assert vault.put_file(tmp_path / "deposit.tar", expected=kept[0]) == kept
    (tmp_path / "deposit.tar").write_bytes(EVENTS * 999 + SPECTRUM[:1550])
    with pytest.raises(DigestMismatch):
        vault.put_file(tmp_path / "deposit.tar", expected=kept[0])


def test_a_file_that_grows_while_it_is_read_is_refused(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "growing.log"
    path.write_bytes(EVENTS * 1000)
    copy = vault_files.write_stream

    def copy_while_another_writes(
        temp: vault_files.Temp, stream: BinaryIO, *, expected: Digest | None, expected_size: int | None
    ) -> tuple[Digest, int]:
        copied = copy(temp, stream, expected=expected, expected_size=expected_size)
        path.write_bytes(EVENTS * 1001)
        return copied

    monkeypatch.setattr("provenance.vault.write_stream", copy_while_another_writes)
    with pytest.raises(SourceChanged, match=r"growing\.log.*1550000 bytes, then 1551550"):
        vault.put_file(path)
    assert (list(vault.digests()), temps_of(vault)) == ([], [])


def test_a_small_file_that_is_written_to_while_it_is_read_is_refused(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.log"
    path.write_bytes(EVENTS)

    def read_then_another_writes(descriptor: int) -> bytes:
        content = vault_files.read_all(descriptor)
        path.write_bytes(SPECTRUM)
        return content

    monkeypatch.setattr("provenance.vault.read_all", read_then_another_writes)
    with pytest.raises(SourceChanged, match=r"small\.log"):
        vault.put_file(path)
    assert list(vault.digests()) == []


def test_folders_pipes_and_missing_files_are_refused_at_once(vault: Vault, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "nothing"):
        with pytest.raises(SourceRefused):
            vault.put_file(tmp_path / name)
    assert temps_of(vault) == []


@pytest.mark.parametrize("full", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_with_found_and_needed_and_leaves_no_temp(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, full: int
) -> None:
    vault.put_bytes(b"the vault is made")

    def refuse(_descriptor: int) -> None:
        raise OSError(full, os.strerror(full))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(
        DiskFull, match=rf"{len(SPECTRUM)} bytes are needed, \d+ bytes and \d+ files are free"
    ):
        vault.put_bytes(SPECTRUM)
    assert (vault.has(digest_bytes(SPECTRUM)), temps_of(vault)) == (False, [])


def test_a_name_appears_only_after_its_bytes_are_on_the_disk(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.put_bytes(b"the vault is made")
    path, flush, seen = vault.path(digest_bytes(SPECTRUM)), os.fsync, list[tuple[bool, bool]]()

    def flush_and_look(descriptor: int) -> None:
        seen.append((stat.S_ISREG(os.fstat(descriptor).st_mode), path.exists()))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", flush_and_look)
    vault.put_bytes(SPECTRUM)
    assert (True, False) in seen
    assert (True, True) not in seen
    assert seen[-1] == (False, True)


def test_a_file_system_without_hard_links_will_do(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_source: Path, _target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert vault.read_bytes(vault.put_bytes(EVENTS)) == EVENTS
    flip_a_bit(vault, digest_bytes(EVENTS))
    assert vault.read_bytes(vault.put_bytes(EVENTS)) == EVENTS
    assert temps_of(vault) == []


def test_threads_that_put_the_same_object_agree(vault: Vault) -> None:
    content = os.urandom(400_000)
    threads = [threading.Thread(target=vault.put_bytes, args=[content]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(vault.digests()) == [digest_bytes(content)]
    assert (vault.read_bytes(digest_bytes(content)), temps_of(vault)) == (content, [])


def test_many_files_are_kept_in_the_order_given_and_progress_adds_up(vault: Vault, tmp_path: Path) -> None:
    contents = [b"%d" % number * number for number in range(60)]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}").write_bytes(content)
    told = list[int]()
    kept = vault.put_files([tmp_path / f"{number}" for number in range(60)], progress=told.append)
    assert kept == [(digest_bytes(content), len(content)) for content in contents]
    assert sum(told) == sum(map(len, contents))


def test_stale_temps_are_removed_only_when_old_and_their_writer_is_dead(vault: Vault) -> None:
    vault.put_bytes(EVENTS)
    (vault.temps / "1234-of-the-dead").write_bytes(b"half an obj")
    now = datetime.now(UTC) + timedelta(minutes=1)
    with open_temp(vault.temps) as living:
        assert vault.remove_stale_temps(now, timedelta(hours=1)) == 0
        assert vault.remove_stale_temps(now, timedelta(0)) == 1
        assert temps_of(vault) == [living.path]
    assert temps_of(vault) == []


def test_setting_a_sound_object_aside_is_refused(vault: Vault) -> None:
    digest = vault.put_bytes(EVENTS)
    assert vault.set_aside(digest) is None
    assert vault.has(digest)


def test_a_missing_object_that_rotted_before_says_where_its_bytes_are(vault: Vault) -> None:
    digest = vault.put_bytes(EVENTS)
    flip_a_bit(vault, digest)
    vault.set_aside(digest)
    with pytest.raises(ObjectMissing, match=rf"it rotted, and was set aside as quarantine/{digest[7:]}\.1"):
        vault.read_bytes(digest)
