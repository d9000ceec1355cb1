"""Sessions on disk and workspaces: what is written is read back, and nothing else is kept."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from instantiator.session.errors import SessionRefused, SessionUnknown
from instantiator.session.files import Backstage, SessionFiles
from instantiator.session.launch import fresh_steps
from instantiator.session.model import (
    STEPS,
    OpenSession,
    Session,
    SessionId,
    SessionLimits,
    SessionState,
)
from instantiator.session.plan import check_names, mount_name
from instantiator.session.workspace import (
    NamedFiles,
    keep_workspace,
    list_outputs,
    open_workspace,
    read_version,
    workspace_folder,
    write_version,
)
from provenance.digest import Tree, make_tree
from provenance.store import Owner
from provenance.vault import Vault

NOW = datetime(2026, 11, 20, 15, 49, 49, tzinfo=UTC)
SESSION = Session(
    id=SessionId("20261120-154949-k3f9"),
    user="ada",
    recipe="saoimage-ds9/8.4",
    gui="ds9",
    title="SAOImage ds9",
    kind="x11",
    state=SessionState.LAUNCHING,
    created=NOW,
    ready=None,
    ended=None,
    display="truecolor",
    workspace="default",
    datasets=("m31@1",),
    steps=fresh_steps(STEPS),
    message="",
    exit_status=None,
    log_tail=("a", "b"),
    limits=SessionLimits(),
    last_active=NOW,
    expires=NOW + timedelta(hours=8),
    rfb_socket=Path("/x/rfb.sock"),
    web_socket=None,
    record=None,
    end_reason="",
)
BACKSTAGE = Backstage(
    launcher=Owner(pid=1, start_ticks=2, boot_id="b"), workspace_dir=Path("/w"), profile="truecolor"
)


def test_a_session_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    files = SessionFiles(tmp_path)
    files.add(SESSION, BACKSTAGE)
    assert files.read(SESSION.id) == (SESSION, BACKSTAGE)
    ready = files.set(SESSION.id, state=SessionState.READY, ready=NOW)
    assert files.read(SESSION.id)[0] == ready == replace(SESSION, state=SessionState.READY, ready=NOW)
    assert files.ids() == (SESSION.id,)


@pytest.mark.parametrize("name", ("20261120-154949-none", "../20261120-154949-k3f9", "", "a/b"))
def test_what_is_no_session_is_unknown(tmp_path: Path, name: str) -> None:
    with pytest.raises(SessionUnknown):
        SessionFiles(tmp_path / "sessions").read(name)


@pytest.mark.parametrize("name", ("..", ".versions", "a/b", "", "a\n", "x" * 65))
def test_a_workspace_cannot_lie_anywhere_else(name: str) -> None:
    with pytest.raises(SessionRefused, match="workspace"):
        check_names(OpenSession(user="ada", recipe="ds9", workspace=name))


def test_a_workspace_belongs_to_a_user_and_an_application_of_any_version() -> None:
    folder = workspace_folder(Path("/home"), "ada", "saoimage-ds9/8.4", "paper")
    assert folder == Path("/home/workspaces/ada/saoimage-ds9/paper")


def test_a_dataset_is_mounted_by_its_name_without_the_version() -> None:
    assert (mount_name("m31@2"), mount_name("m31")) == ("m31", "m31")


def test_only_regular_files_of_a_workspace_are_kept_and_links_are_named(tmp_path: Path) -> None:
    folder, vault = tmp_path / "work", Vault(tmp_path / "vault")
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/image.fits").write_bytes(b"SIMPLE")
    (folder / "secret").symlink_to("/etc/passwd")
    (folder / "out").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    kept = keep_workspace(folder, vault)
    assert [entry.path for entry in kept.tree.entries] == ["sub/image.fits"]
    assert kept.left_out == ("'out'", "'pipe'", "'secret'")
    assert vault.read_tree(kept.tree.digest) == kept.tree


def test_created_and_changed_files_are_the_outputs(tmp_path: Path) -> None:
    folder, vault = tmp_path / "work", Vault(tmp_path / "vault")
    before = vault.read_tree(open_workspace(folder, vault))
    for name in ("same.txt", "changed.txt"):
        (folder / name).write_text("1")
    first = keep_workspace(folder, vault).tree
    (folder / "changed.txt").write_text("2")
    (folder / "new.txt").write_text("3")
    second = keep_workspace(folder, vault).tree
    nothing = NamedFiles()
    assert [output.path for output in list_outputs(before, first, nothing)] == ["changed.txt", "same.txt"]
    assert [output.path for output in list_outputs(first, second, nothing)] == ["changed.txt", "new.txt"]
    write_version(folder, second.digest, session=SESSION.id, now=NOW)
    assert read_version(folder) == open_workspace(folder, vault) == second.digest


def test_parameter_files_and_logs_are_listed_by_their_role_and_parameter_files_in_any_case(
    tmp_path: Path,
) -> None:
    folder, vault = tmp_path / "work", Vault(tmp_path / "vault")
    (folder / ".iraf/uparm").mkdir(parents=True)
    (folder / ".iraf/uparm/imlimstas.par").write_text("nclip,i,h,3")
    (folder / "display.log").write_text("z1=35.")
    before = keep_workspace(folder, vault).tree
    (folder / "mean.txt").write_text("108.3")
    after = keep_workspace(folder, vault).tree
    named = NamedFiles(parameter_files=(".iraf/uparm/*.par",), logs=("*.log", "*.par"))

    def listed(former: Tree) -> list[tuple[str, str]]:
        return [(output.name, output.path) for output in list_outputs(former, after, named)]

    of_parameters = ("parameter-file", ".iraf/uparm/imlimstas.par")
    assert listed(before) == [("workspace", "mean.txt"), of_parameters]
    assert listed(make_tree(())) == [("workspace", "mean.txt"), of_parameters, ("log", "display.log")]


def test_a_session_of_an_older_thaw_names_no_parameter_files(tmp_path: Path) -> None:
    files = SessionFiles(tmp_path)
    files.add(SESSION, BACKSTAGE)
    path = files.folder(SESSION.id) / "session.json"
    written = json.loads(path.read_text())
    del written["backstage"]["parameter_files"], written["backstage"]["logs"]
    path.write_text(json.dumps(written))
    assert files.read(SESSION.id) == (SESSION, BACKSTAGE)
