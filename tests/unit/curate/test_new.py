"""A recipe proposed from a program's files: what is found, what is not, and archives that mean harm."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from instantiator.curate.new import members
from instantiator.curate.new.elf import read_elf
from instantiator.curate.new.find import Found, look_into
from instantiator.curate.new.libraries import Mapped, map_names
from instantiator.curate.new.licence import read_licence, spdx
from instantiator.curate.new.make import RecipeExists, refuse_name, write_draft
from instantiator.curate.new.members import ArchiveHostile, ArchiveUnknown, Member, read_members
from instantiator.curate.new.propose import Asked, Origin, propose
from instantiator.curate.risk import Level, rate_risks
from instantiator.recipe.lint import Severity, run_checks

CONTENTS = """\
bin/true                                    utils/coreutils
lib64/ld-linux-x86-64.so.2                  libs/libc6
usr/bin/perl                                perl/perl-base
usr/bin/wish                                interpreters/tk
usr/lib/x86_64-linux-gnu/libcfitsio.so.10   libs/libcfitsio10
usr/lib/games/libcfitsio.so.11              games/other
usr/lib/x86_64-linux-gnu/libc.so.6          libs/libc6
"""
ASKED = Asked(name="gasp", suite="bookworm", snapshot="2026-11-20", maintainer="Thaw catalogue")


def script(path: str, text: str, *, mode: int = 0o755) -> Member:
    return Member(path=path, size=len(text), mode=mode, content=text.encode())


def tar_of(target: Path, *names: str) -> Path:
    with tarfile.open(target, "w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = 5, 0o755
            archive.addfile(entry, io.BytesIO(b"#!sh\n"))
    return target


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b"])
def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveHostile, match="leads out of its folder"):
        list(read_members(tar_of(tmp_path / "a.tgz", "good", name)))


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "MOST_BYTES", 9)
    with pytest.raises(ArchiveHostile):
        list(read_members(tar_of(tmp_path / "a.tgz", "one", "two")))


def test_a_zip_that_says_less_than_it_holds_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(1 << 20))
    raw = file.read_bytes().replace((1 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    file.write_bytes(raw)
    with pytest.raises(ArchiveUnknown):
        list(read_members(file))


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"!<arch>\nrubbish", b"PK\x05\x06", b"\x1f\x8b\x08rubbish"]
)
def test_what_is_no_archive_is_told_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    from provenance.errors import ThawError

    with pytest.raises(ThawError) as refused:
        list(read_members(file))
    assert refused.value.code in ("archive-unknown", "object-rotten")


def test_a_real_program_names_its_loader_and_libraries() -> None:
    elf = read_elf(Path("/bin/true").read_bytes())
    assert elf is not None
    assert (elf.bits, "libc.so.6" in elf.needed) == (64, True)
    assert elf.interpreter.startswith("/lib")


@pytest.mark.parametrize(
    "content", [b"\x7fELF", b"\x7fELF" + bytes(100), b"\x7fELF\x02\x01\x01" + b"\xff" * 200]
)
def test_a_forged_program_is_no_program(content: bytes) -> None:
    assert read_elf(content) is None


def test_libraries_and_interpreters_are_mapped_to_packages(tmp_path: Path) -> None:
    contents = tmp_path / "contents"
    contents.write_text(CONTENTS)
    names = ("libcfitsio.so.10", "libcfitsio.so.11", "/bin/wish", "perl", "/lib64/ld-linux-x86-64.so.2")
    assert map_names(names, contents) == Mapped(
        packages={
            "/bin/wish": "tk",
            "/lib64/ld-linux-x86-64.so.2": "libc6",
            "libcfitsio.so.10": "libcfitsio10",
            "perl": "perl-base",
        },
        missing=("libcfitsio.so.11",),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("GPL-3+ or Expat", "GPL-3.0-or-later OR MIT"),
        ("fv (NASA)", "LicenseRef-fv-NASA"),
    ],
)
def test_a_licence_is_said_in_the_words_of_spdx(name: str, expected: str) -> None:
    assert spdx(name) == expected
    text = f"Format: 1\n\nFiles: debian/*\nLicense: MIT\n\nFiles: *\nCopyright: x\nLicense: {name}\n text\n"
    assert read_licence(text) == expected


def test_every_sign_of_rot_is_found_with_its_reason() -> None:
    found = look_into(
        [
            script("DEBIAN/postinst", "#!/bin/sh\nwget http://ftp.example/kit.tar.gz\n"),
            script("usr/bin/old", "#!/usr/bin/python2.7\nprint 1\n"),
            script("usr/bin/gui", '#!/usr/bin/wish8.4\npackage require Tk 8.4\nopen "/home/jones/gasp/x"\n'),
            script("usr/bin/ask", "#!/bin/sh\nexec mail http://cds.u-strasbg.fr/cgi\n"),
            Member(path="usr/bin/root", size=0, mode=0o4755),
        ]
    )
    risks = rate_risks(found, missing=("libforms.so.1",))
    told = {risk.what: risk.level for risk in risks}
    assert told == {
        "its postinst downloads: wget http://ftp.example/kit.tar.gz": Level.HIGH,
        "usr/bin/old is run by /usr/bin/python2.7": Level.HIGH,
        "usr/bin/gui is run by /usr/bin/wish8.4": Level.HIGH,
        "libforms.so.1 is in no package of the base suite (needed by its programs)": Level.HIGH,
        "the path /home/jones/gasp/x is in usr/bin/gui": Level.MEDIUM,
        "the host cds.u-strasbg.fr is named in usr/bin/ask": Level.MEDIUM,
        "usr/bin/root is setuid or setgid": Level.MEDIUM,
        "usr/bin/gui wants Tk 8.4": Level.LOW,
    }
    assert [risk.level for risk in risks] == sorted((risk.level for risk in risks), key=list(Level).index)


def found_gasp() -> Found:
    desktop = "[Desktop Entry]\nType=Application\nName=Gasp: the viewer\nExec=gasp %f\n"
    control = (
        "Package: gasp\nVersion: 1:2.0+dfsg-3\nHomepage: https://gasp.stsci.edu/\n"
        'Description: view "plates"\n It views.\n .\n # and: more\n'
    )
    return look_into(
        [
            script("DEBIAN/control", control),
            script("usr/share/applications/gasp.desktop", desktop, mode=0o644),
        ]
    )


@pytest.mark.parametrize("kind", ["package", "deb-file", "wheel", "archive"])
def test_a_proposal_loads_is_linted_and_is_a_draft(tmp_path: Path, kind: str) -> None:
    package = "gasp" if kind == "package" else ""
    origin = Origin(kind=kind, file="gasp.bin", sha256=64 * "a", size=17, package=package)
    mapped = Mapped(packages={"libc.so.6": "libc6"}, missing=("libforms.so.1",))
    draft = propose(ASKED, origin, found_gasp(), mapped, ())
    recipe = write_draft(draft, tmp_path / "recipes")
    assert (recipe.id, recipe.title, recipe.guis[0].command) == ("gasp/2.0", 'view "plates"', ("gasp",))
    assert recipe.missing == draft.missing
    assert "what brings libforms.so.1: no package of bookworm does" in recipe.missing
    findings = run_checks(recipe)
    errors = [one.check for one in findings if one.severity is Severity.ERROR]
    assert errors == ["gui-without-window"]  # the desktop file does not say it, and lint asks for it
    assert len([one for one in findings if one.check == "missing-fact"]) == len(recipe.missing)
    assert "**in no package of the suite**" in (recipe.folder / "README.md").read_text()


def test_a_recipe_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    origin = Origin(kind="package", file="gasp.deb", sha256=64 * "a", size=17, package="gasp")
    draft = propose(ASKED, origin, found_gasp(), Mapped(), ())
    folder = write_draft(draft, tmp_path).folder
    (folder / "recipe.yaml").write_text("mine")
    with pytest.raises(RecipeExists):
        write_draft(draft, tmp_path)
    assert (folder / "recipe.yaml").read_text() == "mine"
    assert [path.name for path in folder.parent.iterdir()] == ["2.0"]


@pytest.mark.parametrize("name", ["../x", "Gasp", "a--b", ""])
def test_a_name_no_recipe_can_have_is_refused(name: str) -> None:
    with pytest.raises(RecipeExists):
        refuse_name(name)
