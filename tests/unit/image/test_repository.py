"""Packages as an archive apt can read, and the builder's layer unpacked from them."""

from __future__ import annotations

import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from debian.deb822 import Packages

from instantiator.image.builder import PACKAGES, builder_lock, make_builder, write_unpacked_layer
from instantiator.image.lock import LockedPackage
from instantiator.image.repository import deb_name, link_object, make_repository, read_control
from provenance.digest import digest_file
from provenance.errors import ObjectMissing, ObjectRotten
from provenance.vault import Vault
from tests.examples import MIDAS_LOCK, locked_deb, make_deb, sha256

CONTROL = """\
Package: mawk
Version: 1.3.4
Architecture: amd64
Maintainer: Bolesław <b@example.org>
Description: awk
 more
"""
MAWK = make_deb(
    {"./": b"", "./bin/": b"", "./bin/mawk": b"ELF", "./usr/share/doc/mawk/changelog": b"new"},
    control=CONTROL,
)
OLDER = make_deb(
    {"./usr/bin/mawk": b"a second one", "./lib/x.so": b"x"},
    control="Package: zz\nVersion: 1\n",
    mtime=4_000_000_000,
)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    kept = Vault(tmp_path / "vault")
    for content in (MAWK, OLDER):
        kept.put_bytes(content)
    return kept


def read_index(folder: Path) -> list[dict[str, str]]:
    with (folder / "Packages").open("rb") as stream:
        return [dict(stanza) for stanza in Packages.iter_paragraphs(stream, use_apt_pkg=False)]


def test_the_index_holds_each_packages_own_control_and_where_its_file_is(
    vault: Vault, tmp_path: Path
) -> None:
    packages = (locked_deb("mawk", MAWK, version="1:1.3.4+ds~1"), locked_deb("zz", OLDER))
    make_repository(packages, vault, tmp_path / "repository")
    mawk, zz = read_index(tmp_path / "repository")
    assert mawk["Maintainer"] == "Bolesław <b@example.org>"
    assert (mawk["Filename"], mawk["Size"], mawk["SHA256"]) == (
        "./mawk_1-3a1.3.4+ds~1_amd64.deb",
        str(len(MAWK)),
        sha256(MAWK),
    )
    assert zz["Package"] == "zz"
    assert (tmp_path / "repository" / mawk["Filename"]).read_bytes() == MAWK


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("1.0", "mawk_1.0_amd64.deb"),
        ("2:1.0+dfsg~rc1-2+b3", "mawk_2-3a1.0+dfsg~rc1-2+b3_amd64.deb"),
    ],
)
def test_a_file_name_has_nothing_apt_would_decode(version: str, name: str) -> None:
    assert deb_name(locked_deb("mawk", b"", version=version)) == name


def test_a_control_file_without_the_usual_dot_is_found(tmp_path: Path) -> None:
    deb = tmp_path / "mawk.deb"
    deb.write_bytes(make_deb({}, control="Package: mawk\n"))
    assert read_control(deb) == "Package: mawk\n"


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"!<arch>\n", MAWK[:100], MAWK[:200]])
def test_a_file_that_is_no_package_is_refused(tmp_path: Path, content: bytes) -> None:
    deb = tmp_path / "mawk.deb"
    deb.write_bytes(content)
    with pytest.raises(ObjectRotten, match="not a Debian package"):
        read_control(deb)


def test_an_object_is_copied_where_it_cannot_be_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "object", tmp_path / "elsewhere"
    source.write_bytes(b"bytes")
    monkeypatch.setattr(os, "link", _refuse_link)
    link_object(source, target)
    assert (target.read_bytes(), target.stat().st_ino == source.stat().st_ino) == (b"bytes", False)


def _refuse_link(_source: Path, _target: Path) -> None:
    raise OSError(18, "Invalid cross-device link")


def read_members(layer: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(layer) as archive:
        members = archive.getmembers()
    assert len({member.name for member in members}) == len(members)
    return {member.name: member for member in members}


def test_the_builders_layer_is_a_merged_tree_with_clamped_times(vault: Vault, tmp_path: Path) -> None:
    lock = replace(MIDAS_LOCK, packages=(locked_deb("mawk", MAWK), locked_deb("zz", OLDER)))
    layer = tmp_path / "layer.tar"
    write_unpacked_layer(lock, vault, layer)
    members = read_members(layer)
    assert (members["bin"].issym(), members["bin"].linkname) == (True, "usr/bin")
    assert {"usr/bin/mawk", "usr/lib/x.so", "usr/share/doc/mawk/changelog", "etc/passwd"} <= members.keys()
    assert members["usr/bin/mawk"].size == len(b"ELF")
    assert max(member.mtime for member in members.values()) == lock.source_date_epoch
    assert {member.uname for member in members.values()} == {""}


def test_the_builder_is_the_same_bytes_whatever_the_umask_and_the_zone(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = replace(
        MIDAS_LOCK,
        recipe="thaw-builder/1",
        packages=(locked_deb("mawk", MAWK), locked_deb("zz", OLDER)),
        python=(),
        sources=(),
        deposits=(),
        files=(),
    )
    made = []
    for number, umask in enumerate((0o022, 0o077)):
        folder = tmp_path / str(number)
        folder.mkdir()
        before = os.umask(umask)
        monkeypatch.setenv("TZ", ("UTC", "Asia/Kathmandu")[number])
        image, archive = make_builder(lock, vault, folder)
        os.umask(before)
        made.append((image, digest_file(archive)))
    assert made[0] == made[1]


def test_a_package_the_vault_lacks_is_named_before_anything_is_written(vault: Vault, tmp_path: Path) -> None:
    missing = LockedPackage(
        name="apt", version="2.6.1", architecture="amd64", pool="pool/a", sha256=sha256(b"apt"), size=1
    )
    lock = replace(MIDAS_LOCK, recipe="thaw-builder/1", packages=(missing,), python=(), sources=())
    with pytest.raises(ObjectMissing, match=r"package apt 2\.6\.1 of thaw-builder/1"):
        make_builder(replace(lock, deposits=(), files=()), vault, tmp_path)
    assert not list(tmp_path.glob("*.tar"))


def test_the_committed_builder_lock_names_its_tools_and_its_image() -> None:
    lock = builder_lock()
    assert set(PACKAGES) <= {package.name for package in lock.packages}
    assert lock.image is not None
