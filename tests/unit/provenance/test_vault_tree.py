from __future__ import annotations

import os
import shutil
import socket
import stat
from pathlib import Path

import pytest

from provenance import vault_folder
from provenance.digest import Tree, TreeEntry, canonical_json, digest_bytes, make_tree
from provenance.errors import (
    FolderTaken,
    ObjectMissing,
    ObjectRotten,
    SourceRefused,
    TreeInvalid,
)
from provenance.vault import Vault
from provenance.vault_folder import discard_folder
from provenance.vault_tree import scan_folder


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault")


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """A folder as EPS reads them, with an executable and two files of the same bytes."""
    folder = tmp_path / "scenario"
    (folder / "config" / "eps").mkdir(parents=True)
    (folder / "session.json").write_text("{}")
    (folder / "config" / "eps" / "eps.cfg").write_text("Resources: power\n")
    (folder / "config" / "eps" / "copy.cfg").write_text("Resources: power\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o700)
    return folder


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def stagings(folder: Path) -> list[Path]:
    return list(folder.glob(".thaw-*"))


def test_a_tree_names_every_file_with_digest_size_and_executable_bit(vault: Vault, scenario: Path) -> None:
    tree = vault.put_tree(scenario)
    assert [(entry.path, entry.size, entry.executable) for entry in tree.entries] == [
        ("config/eps/copy.cfg", 17, False),
        ("config/eps/eps.cfg", 17, False),
        ("run.sh", 10, True),
        ("session.json", 2, False),
    ]
    assert tree.entries[3].digest == digest_bytes(b"{}")
    assert vault.read_tree(tree.digest) == tree


def test_a_tree_does_not_depend_on_times_or_where_its_folder_is(vault: Vault, scenario: Path) -> None:
    tree = vault.put_tree(scenario)
    moved = scenario.rename(scenario.with_name("moved"))
    os.utime(moved / "session.json", (0, 0))
    assert vault.put_tree(moved) == tree


def test_links_inside_a_folder_are_followed(vault: Vault, scenario: Path) -> None:
    (scenario / "latest.cfg").symlink_to("config/eps/eps.cfg")
    (scenario / "absolute.cfg").symlink_to(scenario / "config/eps/eps.cfg")
    (scenario / "settings").symlink_to("config")
    paths = {entry.path: entry.digest for entry in vault.put_tree(scenario).entries}
    assert paths["latest.cfg"] == paths["absolute.cfg"] == paths["settings/eps/eps.cfg"]


def test_all_that_cannot_be_kept_is_named_at_once(vault: Vault, scenario: Path) -> None:
    (scenario / "outside").symlink_to("/etc/passwd")
    (scenario / "sibling").symlink_to(f"../{scenario.name}-2")
    scenario.with_name(f"{scenario.name}-2").mkdir()
    (scenario / "nowhere").symlink_to("gone")
    (scenario / "itself").symlink_to("itself")
    (scenario / "config" / "above").symlink_to("..")
    os.mkfifo(scenario / "pipe")
    Path(os.fsdecode(os.fsencode(scenario) + b"/caf\xe9")).write_bytes(b"latin-1")
    with pytest.raises(SourceRefused) as caught:
        vault.put_tree(scenario)
    message = caught.value.message
    assert message.startswith("7 names of folder 'scenario' cannot be kept")
    for name in (
        "'outside'",
        "'sibling'",
        "'nowhere'",
        "'itself'",
        "'config/above'",
        "'pipe'",
        r"'caf\udce9'",
    ):
        assert name in message
    assert list(vault.digests()) == []
    message.encode()


def test_a_socket_is_refused(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(scenario)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("X0")
        with pytest.raises(SourceRefused, match="'X0': neither a file nor a folder"):
            scan_folder(scenario)


def test_a_file_is_no_folder(vault: Vault, scenario: Path) -> None:
    with pytest.raises(SourceRefused, match="is not a folder"):
        vault.put_tree(scenario / "session.json")


def test_unusual_names_come_back_as_they_were(vault: Vault, tmp_path: Path) -> None:
    names = {
        "new\nline",
        "quote'\"",
        "Ångström",
        "A\u030angstro\u0308m",
        " ",
        "-rf",
        "back\\slash",
        "#1;$(x)",
    }
    (tmp_path / "odd").mkdir()
    for name in names:
        (tmp_path / "odd" / name).write_text(name)
    tree = vault.put_tree(tmp_path / "odd")
    vault.materialise(vault.read_tree(tree.digest), tmp_path / "again")
    assert {path.name: path.read_text() for path in (tmp_path / "again").iterdir()} == {n: n for n in names}


def test_a_materialised_folder_is_the_tree_read_only_and_shares_the_vaults_bytes(
    vault: Vault, scenario: Path, tmp_path: Path
) -> None:
    tree, folder = vault.put_tree(scenario), tmp_path / "in" / "scenario"
    vault.materialise(tree, folder)
    assert vault.put_tree(folder) == tree
    config = folder / "config" / "eps" / "eps.cfg"
    assert config.samefile(vault.path(tree.entries[0].digest))
    assert [mode_of(path) for path in (folder, config.parent, config)] == [0o555, 0o555, 0o444]
    assert stagings(folder.parent) == []


def test_an_executable_is_a_copy_so_that_the_object_keeps_its_mode(
    vault: Vault, scenario: Path, tmp_path: Path
) -> None:
    tree = vault.put_tree(scenario)
    vault.materialise(tree, tmp_path / "again")
    script, entry = tmp_path / "again" / "run.sh", tree.entries[2]
    assert (mode_of(script), mode_of(vault.path(entry.digest))) == (0o555, 0o444)
    assert script.read_bytes() == vault.read_bytes(entry.digest)


def test_materialising_again_changes_nothing(vault: Vault, scenario: Path, tmp_path: Path) -> None:
    tree, folder = vault.put_tree(scenario), tmp_path / "again"
    vault.materialise(tree, folder)
    inode = folder.stat().st_ino
    vault.materialise(tree, folder)
    vault.materialise(tree, folder, verify=True)
    assert folder.stat().st_ino == inode


def test_an_empty_folder_may_be_there_already(vault: Vault, scenario: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    vault.materialise(vault.put_tree(scenario), tmp_path / "again")
    assert (tmp_path / "again" / "session.json").read_text() == "{}"


def test_the_empty_tree_is_an_empty_folder(vault: Vault, tmp_path: Path) -> None:
    vault.materialise(make_tree([]), tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize("change", ["other size", "one more", "one less", "mode"])
def test_a_folder_with_anything_else_in_it_is_left_alone(
    vault: Vault, scenario: Path, tmp_path: Path, change: str
) -> None:
    tree, folder = vault.put_tree(scenario), tmp_path / "taken"
    shutil.copytree(scenario, folder)
    match change:
        case "other size":
            (folder / "session.json").write_text("{ }")
        case "one more":
            (folder / "more").write_text("more")
        case "one less":
            (folder / "session.json").unlink()
        case "mode":
            (folder / "session.json").chmod(0o755)
    before = scan_folder(folder)
    with pytest.raises(FolderTaken, match="holds something else"):
        vault.materialise(tree, folder)
    assert scan_folder(folder) == before


def test_verify_finds_a_changed_file_of_the_same_size_in_a_folder(
    vault: Vault, scenario: Path, tmp_path: Path
) -> None:
    tree, folder = vault.put_tree(scenario), tmp_path / "changed"
    shutil.copytree(scenario, folder)
    (folder / "session.json").write_text("[]")
    vault.materialise(tree, folder)
    with pytest.raises(FolderTaken, match=r"'session.json' \(1 in all\)"):
        vault.materialise(tree, folder, verify=True)


def test_every_missing_or_cut_object_of_a_tree_is_named_and_no_folder_is_made(
    vault: Vault, scenario: Path, tmp_path: Path
) -> None:
    tree = vault.put_tree(scenario)
    vault.path(tree.entries[0].digest).unlink()
    with pytest.raises(ObjectMissing, match=r"used by 'config/eps/eps.cfg' of 'again'"):
        vault.materialise(tree, tmp_path / "again")
    vault.path(tree.entries[3].digest).chmod(0o644)
    vault.path(tree.entries[3].digest).write_text("{")
    with pytest.raises(ObjectRotten, match=r"2 objects.*\n(.*\n)*.*expected 2 bytes, found 1"):
        vault.materialise(tree, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_verify_finds_a_rotten_object_of_the_same_size(vault: Vault, scenario: Path, tmp_path: Path) -> None:
    tree = vault.put_tree(scenario)
    vault.path(tree.entries[3].digest).chmod(0o644)
    vault.path(tree.entries[3].digest).write_text("[]")
    with pytest.raises(ObjectRotten, match=r"used by 'session.json'"):
        vault.materialise(tree, tmp_path / "again", verify=True)


def test_a_rotten_executable_is_never_given_out(vault: Vault, scenario: Path, tmp_path: Path) -> None:
    tree = vault.put_tree(scenario)
    vault.path(tree.entries[2].digest).chmod(0o644)
    vault.path(tree.entries[2].digest).write_text("#!/bin/rm\n")
    with pytest.raises(ObjectRotten):
        vault.materialise(tree, tmp_path / "again")
    assert (list(tmp_path.glob("again*")), stagings(tmp_path)) == ([], [])


def test_files_are_copied_where_the_file_system_will_not_link(
    vault: Vault, scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = vault.put_tree(scenario)
    monkeypatch.setattr(vault_folder, "link_file", lambda _source, _target: False)
    vault.materialise(tree, tmp_path / "again")
    copied = tmp_path / "again" / "session.json"
    assert (mode_of(copied), copied.stat().st_nlink) == (0o444, 1)
    assert vault.put_tree(tmp_path / "again") == tree


def test_what_a_killed_process_left_is_removed_and_a_living_ones_work_is_not(
    vault: Vault, scenario: Path, tmp_path: Path
) -> None:
    tree = vault.put_tree(scenario)
    dead = tmp_path / ".thaw-again-0123"
    (dead / "config").mkdir(parents=True)
    (dead / "config").chmod(0o555)
    with vault_folder._staging_folder(tmp_path / "again") as living:
        assert not dead.exists()
        vault.materialise(tree, tmp_path / "again")
        assert stagings(tmp_path) == [living]


def test_a_materialised_folder_can_be_discarded(vault: Vault, scenario: Path, tmp_path: Path) -> None:
    vault.materialise(vault.put_tree(scenario), tmp_path / "again")
    discard_folder(tmp_path / "again")
    discard_folder(tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert all(mode_of(vault.path(digest)) == 0o444 for digest in vault.digests())


def forged(*paths: str) -> Tree:
    entries = (TreeEntry(path=path, digest=digest_bytes(b"x"), size=1) for path in paths)
    return make_tree(entries)


@pytest.mark.parametrize(
    "paths",
    [["../x"], ["/etc/x"], ["a//b"], ["a/../b"], [""], ["."], ["a/"], ["a\0b"], ["a", "a/b"], ["a", "a"]],
    ids=repr,
)
def test_a_forged_tree_can_write_nowhere(vault: Vault, tmp_path: Path, paths: list[str]) -> None:
    vault.put_bytes(b"x")
    tree = forged(*paths)
    with pytest.raises(TreeInvalid, match="no folder can have"):
        vault.materialise(tree, tmp_path / "folder")
    with pytest.raises(TreeInvalid):
        vault.read_tree(vault.put_bytes(canonical_json(tree.to_json())))


@pytest.mark.parametrize(
    "content",
    [
        b"not JSON",
        b"[]",
        b'{"files":[],"format":2}\n',
        b'{"files":[]}\n',
        b'{"files":{},"format":1}\n',
        b'{"files":[{}],"format":1}\n',
        b'{"files": [], "format": 1}',
        canonical_json({"format": 1, "files": [{"path": 3, "digest": "x", "size": 1, "executable": False}]}),
        canonical_json(
            {
                "format": 1,
                "files": [{"path": 3, "digest": digest_bytes(b""), "size": 1, "executable": False}],
            }
        ),
    ],
)
def test_an_object_that_is_no_tree_is_told_so(vault: Vault, content: bytes) -> None:
    with pytest.raises(TreeInvalid, match="not a tree"):
        vault.read_tree(vault.put_bytes(content))
