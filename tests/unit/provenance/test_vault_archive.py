from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.digest import Digest, canonical_json, digest_bytes
from provenance.errors import ArchiveInvalid, ObjectMissing, ObjectRotten, SourceRefused
from provenance.vault import Vault
from provenance.vault_archive import MARKER, export_objects, import_objects

CONTENTS = (b"", b"x" * 512, b"EPS" * 400, b"SIMPLE  = T")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    vault = Vault(tmp_path / "vault")
    for content in CONTENTS:
        vault.put_bytes(content)
    return vault


@pytest.fixture
def archive(vault: Vault, tmp_path: Path) -> Path:
    export_objects(vault, None, tmp_path / "all.tar")
    return tmp_path / "all.tar"


@pytest.fixture
def other(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "other")


def test_what_is_exported_is_imported(vault: Vault, other: Vault, archive: Path) -> None:
    report = import_objects(other, archive)
    assert sorted(report.added) == list(vault.digests()) == list(other.digests())
    assert (report.present, report.size) == (0, sum(map(len, CONTENTS)))
    assert all(other.read_bytes(digest_bytes(content)) == content for content in CONTENTS)


def test_importing_again_adds_nothing_and_mends_what_rotted(other: Vault, archive: Path) -> None:
    import_objects(other, archive)
    path = other.path(digest_bytes(b"SIMPLE  = T"))
    path.chmod(0o644)
    path.write_bytes(b"SIMPLE  = F")
    report = import_objects(other, archive)
    assert (report.added, report.present) == ((digest_bytes(b"SIMPLE  = T"),), 3)
    assert import_objects(other, archive).added == ()


def test_any_tar_can_read_an_archive(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert names[0] == "thaw-vault/1"
    assert f"objects/{digest_bytes(b'')[7:9]}/{digest_bytes(b'')[9:]}" in names
    assert archive.stat().st_size % 10240 == 0


def test_the_same_objects_give_the_same_bytes(
    vault: Vault, other: Vault, archive: Path, tmp_path: Path
) -> None:
    import_objects(other, archive)
    export_objects(other, reversed(list(vault.digests())), tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == archive.read_bytes()


def test_only_what_is_named_is_exported(vault: Vault, other: Vault, tmp_path: Path) -> None:
    digest = digest_bytes(b"EPS" * 400)
    assert export_objects(vault, [digest, digest], tmp_path / "one.tar").objects == 1
    assert import_objects(other, tmp_path / "one.tar").added == (digest,)


def test_a_rotten_or_missing_object_stops_an_export_and_the_file_before_stays(
    vault: Vault, archive: Path, tmp_path: Path
) -> None:
    before = archive.read_bytes()
    path = vault.path(digest_bytes(b"SIMPLE  = T"))
    path.chmod(0o644)
    path.write_bytes(b"SIMPLE  = F")
    with pytest.raises(ObjectRotten, match="used by the export"):
        export_objects(vault, None, archive)
    with pytest.raises(ObjectMissing, match=digest_bytes(b"never")):
        export_objects(vault, [digest_bytes(b"never")], tmp_path / "missing.tar")
    assert archive.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} == {"vault", "all.tar"}


def test_an_archive_cut_anywhere_is_refused_and_nothing_is_taken(other: Vault, archive: Path) -> None:
    content = archive.read_bytes()
    end = len(content.rstrip(b"\0"))
    for length in [0, 1, 511, 512, 600, *range(1024, end, 256), end - 1]:
        archive.write_bytes(content[:length])
        with pytest.raises(ArchiveInvalid):
            import_objects(other, archive)
    assert not other.root.exists()


def test_one_flipped_bit_anywhere_in_the_contents_is_refused(other: Vault, archive: Path) -> None:
    content = archive.read_bytes()
    start = content.index(b"EPSEPS")
    for position in range(start, start + 1200, 100):
        flipped = bytearray(content)
        flipped[position] ^= 128
        archive.write_bytes(flipped)
        with pytest.raises(ArchiveInvalid, match="has other bytes"):
            import_objects(other, archive)
    assert not other.root.exists()


def test_noise_of_any_kind_is_refused_and_never_raises_anything_else(other: Vault, archive: Path) -> None:
    content = archive.read_bytes()
    for seed in range(300):
        noisy = bytearray(content)
        noisy[seed * 37 % 4000] ^= 1 + seed % 255
        archive.write_bytes(noisy)
        try:
            report = import_objects(other, archive)
        except ArchiveInvalid:
            continue
        assert report.size == sum(map(len, CONTENTS))  # the bit was in padding or an unused field
    archive.write_bytes(os.urandom(20480))
    with pytest.raises(ArchiveInvalid):
        import_objects(other, archive)


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def name_of(digest: Digest) -> str:
    return f"objects/{digest[7:9]}/{digest[9:]}"


def marker(*contents: bytes, **changes: object) -> tuple[tarfile.TarInfo, bytes]:
    objects = [{"digest": digest_bytes(content), "size": len(content)} for content in contents]
    return member(MARKER, canonical_json({"format": 1, "objects": objects, **changes}))


GOOD = member(name_of(digest_bytes(b"good")), b"good")
FORGERIES: dict[str, tuple[list[tuple[tarfile.TarInfo, bytes]], str]] = {
    "no marker": ([GOOD], "first member is not"),
    "empty": ([], "first member is not"),
    "newer format": ([marker(format=2), GOOD], "format 2"),
    "a deep list": ([member(MARKER, b"[" * 100_000)], "cannot be read"),
    "no list": ([member(MARKER, b"hello")], "list of objects cannot be read"),
    "a list of no digests": ([marker(objects=[{"digest": "md5:0", "size": 1}])], "cannot be read"),
    "path out": ([marker(b"good"), GOOD, member("../../evil", b"x")], r"'../../evil' is not an object"),
    "absolute path": ([marker(b"good"), GOOD, member("/etc/cron.d/x", b"x")], "is not an object"),
    "path in a path": (
        [marker(b"good"), member(f"objects/../{name_of(digest_bytes(b'good'))}")],
        "is not an",
    ),
    "newline": (
        [marker(b"good"), member(name_of(digest_bytes(b"good")) + "\n", b"good")],
        "is not an object",
    ),
    "symlink": (
        [marker(b"good"), member(GOOD[0].name, type=tarfile.SYMTYPE, linkname="/etc/passwd")],
        "is not an",
    ),
    "hard link": (
        [marker(b"good"), member(GOOD[0].name, type=tarfile.LNKTYPE, linkname=MARKER)],
        "is not an",
    ),
    "device": ([marker(b"good"), member(GOOD[0].name, type=tarfile.CHRTYPE)], "is not an object"),
    "twice": ([marker(b"good"), GOOD, GOOD], "in it twice"),
    "a second marker": ([marker(b"good"), marker(b"good"), GOOD], "is not an object"),
    "not listed": ([marker(), GOOD], "its list says no such object"),
    "listed, not there": ([marker(b"good", b"gone"), GOOD], "2 objects are listed, 1 are there"),
    "other bytes": (
        [marker(b"good", b"evil"), GOOD, member(name_of(digest_bytes(b"evil")), b"live")],
        "other",
    ),
    "another size": ([marker(b"good"), member(GOOD[0].name, b"goods")], "5 bytes, its list says 4"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_archive_is_refused_and_nothing_is_taken(other: Vault, tmp_path: Path, forgery: str) -> None:
    members, reason = FORGERIES[forgery]
    with tarfile.open(tmp_path / "forged.tar", "w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(ArchiveInvalid, match=reason):
        import_objects(other, tmp_path / "forged.tar")
    assert not other.root.exists()


def test_a_compressed_archive_is_not_one(other: Vault, archive: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "all.tar.gz", "w:gz") as tar:
        tar.add(archive)
    with pytest.raises(ArchiveInvalid):
        import_objects(other, tmp_path / "all.tar.gz")


@pytest.mark.parametrize("take", [lambda path: path / "gone.tar", lambda path: path])
def test_an_archive_that_is_no_file_is_told_so(
    other: Vault, tmp_path: Path, take: Callable[[Path], Path]
) -> None:
    with pytest.raises(SourceRefused):
        import_objects(other, take(tmp_path))
