"""What is taken away or deleted is in the audit log: one line for each thing, in however many requests it goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from instantiator.dataset import Dataset
from instantiator.image.lock import lock_to_json
from instantiator.users import Event
from instantiator.web.portal import Portal
from instantiator.web.taken import ONE_DOWNLOAD, Taken
from provenance.digest import canonical_json
from provenance.record import Record
from tests.examples import eps_lock
from tests.fakes_session import NOON
from tests.unit.provenance.export.conftest import kept_record
from tests.unit.web.api.conftest import Client, client, complete, cruise
from tests.unit.web.conftest import Browser

__all__ = ["client", "cruise"]


def lines(portal: Portal, event: Event) -> list[tuple[str, str, str]]:
    return [(e.user, e.subject, e.detail) for e in reversed(portal.users.audit.page(100, event=event.value))]


@pytest.fixture
def record(portal: Portal) -> Record:
    """A finished run in the portal's store."""
    vault = portal.bench.vault
    lock = vault.put_bytes(canonical_json(lock_to_json(eps_lock())))
    record = replace(kept_record(vault), lock=lock, log=vault.put_bytes(b"EPS ended\n"))
    portal.bench.store.finish_run(record, vault)
    return record


def test_whatever_leaves_a_runs_page_is_written_down(browser: Browser, record: Record) -> None:
    for path in ("outputs/0", "record.json", "log.txt", "export/prov-json", "cite/bibtex"):
        assert browser.client.get(f"/runs/{record.run}/{path}").status_code == 200, path
    of = f"of run {record.run}"
    told = (f"output {record.outputs[0].path}", "record", "log", "prov-json", "bibtex citation")
    assert lines(browser.portal, Event.DOWNLOAD) == [
        ("caroline", record.run, f"{what} {of}") for what in told
    ]


def test_the_files_of_a_session_are_written_down_as_they_leave_and_as_they_go(browser: Browser) -> None:
    session = browser.open()
    (browser.workspace(session) / "notes.txt").write_text("M31")
    files = f"/api/sessions/{session}/files"
    assert browser.client.get(f"{files}/content?path=notes.txt").content == b"M31"
    assert browser.client.get(f"{files}/archive.tar").status_code == 200
    assert browser.client.delete(f"{files}?path=notes.txt", headers=browser.headers).status_code == 200
    user = "caroline"
    assert lines(browser.portal, Event.DOWNLOAD) == [
        (user, session, "notes.txt"),
        (user, session, "all files of /"),
    ]
    assert lines(browser.portal, Event.DELETE) == [(user, session, "notes.txt")]


def test_what_a_script_takes_is_one_line_however_many_parts_it_takes(
    client: Client, portal: Portal, cruise: Dataset
) -> None:
    run = client.submit()["run"]
    complete(portal, run, {"power.csv": b"0123456789"})
    for part in ("bytes=0-3", "bytes=4-7", "bytes=8-"):
        assert client.get(f"/runs/{run}/outputs/0", {"Range": part}).status_code == 206
    assert client.send("HEAD", f"/runs/{run}/outputs/0").status_code == 200
    for path in (f"/runs/{run}/record", f"/runs/{run}/log", f"/runs/{run}/log?offset=4"):
        assert client.get(path).status_code == 200
    assert client.get(f"/datasets/{cruise.reference}/files/session.json").status_code == 200
    told = [(subject, detail.partition(";")[0]) for _, subject, detail in lines(portal, Event.DOWNLOAD)]
    assert told == [
        (run, f"output power.csv of run {run}"),
        (run, f"record of run {run}"),
        (run, f"log of run {run}"),
        (cruise.reference, f"dataset {cruise.reference}, file session.json"),
    ]


@pytest.mark.usefixtures("cruise")
def test_cancelled_and_dropped_things_are_written_down(client: Client, portal: Portal) -> None:
    run = client.submit()["run"]
    assert client.post(f"/runs/{run}/cancel").status_code == 200
    files = [{"path": "a.txt", "size": 3}]
    upload = client.post("/uploads", {"name": "m31", "files": files}).json()["upload"]
    assert client.send("DELETE", f"/uploads/{upload}").status_code == 204
    assert [subject for _, subject, _ in lines(portal, Event.CANCEL)] == [run]
    assert [subject for _, subject, _ in lines(portal, Event.DELETE)] == [f"upload {upload}"]


def test_the_same_thing_taken_again_later_is_another_download() -> None:
    taken, download = Taken(), ("caroline", None, "20261120-120000-f000", "record")
    assert taken.is_new(download, NOON)
    assert not taken.is_new(download, NOON + ONE_DOWNLOAD / 2)
    assert taken.is_new(download, NOON + ONE_DOWNLOAD + timedelta(seconds=1))
    assert taken.is_new(("william", *download[1:]), NOON)
