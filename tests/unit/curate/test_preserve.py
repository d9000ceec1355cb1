"""A recipe with all its bytes: packed, checked whole before anything is taken, and refused where it was changed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from instantiator.curate.preserve.audit_report import Audited, count_users, render_page, write_report
from instantiator.curate.preserve.errors import PreserveRefused
from instantiator.curate.preserve.index import FILE, Index, Kept, read_index
from instantiator.curate.preserve.packaging import Packaging, unwrapped, wrap
from provenance.digest import digest_bytes
from provenance.fixity import AuditReport, Finding
from provenance.vault_state import Fault

SOME = digest_bytes(b"some bytes")
INDEX = Index(
    recipe="midas/22SEP",
    recipe_digest=SOME,
    lock=SOME,
    image=f"{SOME}",
    run="20261120-120000-abcd",
    records=(SOME,),
    verdict=None,
    objects=(Kept(digest=SOME, size=10, what="package tk 8.6 of midas/22SEP"),),
)
FILES = {"README.md": "read me", "recipe/a b/ü+é%20.txt": "one", "objects/ab/cd": "one", "empty": ""}


@pytest.fixture
def content(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def texts_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("packaging", list(Packaging))
def test_what_was_packed_comes_out_under_its_names(
    tmp_path: Path, content: Path, packaging: Packaging
) -> None:
    wrap(packaging, content, tmp_path / "packed", name="thaw:midas/22SEP", about="MIDAS")
    with unwrapped(tmp_path / "packed", tmp_path / "scratch") as files:
        assert texts_of(files) == FILES


@pytest.mark.parametrize("packaging", list(Packaging))
@pytest.mark.parametrize("harm", ["changed", "gone", "more", "link"])
def test_what_was_harmed_is_refused(tmp_path: Path, content: Path, packaging: Packaging, harm: str) -> None:
    packed = tmp_path / "packed"
    wrap(packaging, content, packed, name="thaw:midas/22SEP", about="MIDAS")
    file = next(
        path for path in sorted(packed.rglob("*")) if path.is_file() and path.read_bytes() == b"read me"
    )
    if harm == "changed":
        file.write_text("read mE")
    elif harm == "more":
        file.with_name("stranger").write_text("x")
    else:
        file.unlink()
    if harm == "link":
        (tmp_path / "elsewhere").write_text("read me")
        file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PreserveRefused), unwrapped(packed, tmp_path / "scratch"):
        pass


def test_a_folder_that_is_neither_is_told_so(tmp_path: Path) -> None:
    with (
        pytest.raises(PreserveRefused, match="neither an OCFL object nor a BagIt bag"),
        unwrapped(tmp_path, tmp_path / "scratch"),
    ):
        pass


def test_an_index_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(INDEX.to_bytes())
    assert read_index(tmp_path) == INDEX
    (tmp_path / FILE).write_bytes(replace(INDEX, verdict=SOME).to_bytes())
    assert read_index(tmp_path).verdict == SOME


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 2),
        ("recipe", "../../etc"),
        ("recipe", "midas/../x"),
        ("lock", "sha256:short"),
        ("objects", [{"digest": "sha256:" + 64 * "g", "size": 1, "what": ""}]),
        ("objects", "none"),
        ("more", 1),
    ],
)
def test_an_index_that_is_wrong_is_refused(tmp_path: Path, key: str, value: object) -> None:
    wrong = {**json.loads(INDEX.to_bytes()), key: value}
    (tmp_path / FILE).write_text(json.dumps(wrong))
    with pytest.raises(PreserveRefused):
        read_index(tmp_path)


def audited() -> Audited:
    rotten = Finding(
        fault=Fault.ROTTEN, path=Path("/v/<b>"), digest=SOME, used_by=("package tk of midas/22SEP",)
    )
    report = AuditReport(objects=2, size=20, findings=(rotten,))
    return Audited(
        vault="/v",
        began=datetime(2026, 11, 20, tzinfo=UTC),
        seconds=1.5,
        report=report,
        users={"midas/22SEP": 1},
    )


def test_a_report_says_when_what_and_who_uses_it(tmp_path: Path) -> None:
    write_report(audited(), tmp_path / "audit.json")
    told = json.loads((tmp_path / "audit.json").read_text())
    assert (told["began"], told["took_ms"], told["objects"], told["bytes"], told["sound"]) == (
        "2026-11-20T00:00:00.000000Z",
        1500,
        2,
        20,
        False,
    )
    assert told["rotten"][0]["used_by"] == ["package tk of midas/22SEP"]


def test_a_page_holds_the_same_and_no_markup_of_a_name(tmp_path: Path) -> None:
    write_report(replace(audited(), vault="/v/<script>"), tmp_path / "audit.html")
    page = (tmp_path / "audit.html").read_text()
    assert "/v/&lt;script&gt;" in page
    assert "<script>" not in page
    assert "<h1>Not sound</h1>" in render_page(audited())


def test_objects_are_counted_once_for_each_that_uses_them() -> None:
    uses = {
        digest_bytes(b"1"): ("package tk 8.6 of fv/5.5.2", "package tk 8.6 of skycat/3.1.2"),
        digest_bytes(b"2"): ("file a of fv/5.5.2", "package b of fv/5.5.2"),
        digest_bytes(b"3"): (),
    }
    assert count_users(uses, lambda digest: uses[digest]) == {"fv/5.5.2": 2, "nobody": 1, "skycat/3.1.2": 1}
