"""Datasets over HTTP: uploaded piece by piece, registered by path where allowed, fetched from public hosts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instantiator.dataset import Dataset
from instantiator.dataset.archives import ARCHIVES, ArchiveFile
from instantiator.dataset.download import AddressRefused, Downloads, is_public
from instantiator.web.portal import Portal
from provenance.digest import digest_bytes
from tests.unit.web.api.conftest import Client, client_of

EVENTS = b"SIMPLE  =                    T" * 10


def announce(client: Client, *files: dict[str, Any], name: str = "m31-1991") -> Any:
    answer = client.post("/uploads", {"name": name, "files": list(files), "licence": "CC-BY-4.0"})
    assert answer.status_code == 201, answer.text
    return answer.json()


def send(client: Client, upload: Any, path: str, offset: int, content: bytes) -> Any:
    headers = {"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"}
    return client.send("PATCH", f"/uploads/{upload['upload']}/files/{path}", content=content, headers=headers)


def test_an_upload_goes_on_where_it_broke_off_and_becomes_a_dataset(client: Client) -> None:
    upload = announce(client, {"path": "obs/events.fits", "size": len(EVENTS)}, {"path": "empty", "size": 0})
    assert send(client, upload, "obs/events.fits", 0, EVENTS[:100]).json()["offset"] == 100
    there = client.get(f"/uploads/{upload['upload']}").json()["files"][0]["offset"]
    assert send(client, upload, "obs/events.fits", there, EVENTS[there:]).status_code == 200
    assert send(client, upload, "empty", 0, b"").status_code == 200
    made = client.post(f"/uploads/{upload['upload']}/complete")
    assert (made.status_code, made.json()["dataset"], made.json()["files"]) == (201, "m31-1991@1", 2)
    assert client.get("/datasets/m31-1991/files/obs/events.fits").content == EVENTS
    assert client.get(f"/uploads/{upload['upload']}").status_code == 404


def test_a_piece_at_the_wrong_place_says_where_to_go_on(client: Client) -> None:
    upload = announce(client, {"path": "events.fits", "size": len(EVENTS)})
    answer = send(client, upload, "events.fits", 7, b"xyz")
    assert (answer.status_code, answer.json()["code"]) == (409, "upload-offset")
    incomplete = client.post(f"/uploads/{upload['upload']}/complete")
    assert (incomplete.status_code, incomplete.json()["found"]) == (409, "0")


def test_a_file_that_is_not_the_one_announced_is_not_registered(client: Client) -> None:
    wrong = hashlib.sha256(b"another").hexdigest()
    upload = announce(client, {"path": "events.fits", "size": len(EVENTS), "sha256": wrong})
    send(client, upload, "events.fits", 0, EVENTS)
    answer = client.post(f"/uploads/{upload['upload']}/complete")
    assert (answer.status_code, answer.json()["code"]) == (422, "digest-mismatch")


@pytest.mark.parametrize("path", ["../x", "a/../b", "a//b", "a/./b", ".thaw-upload-1", 256 * "0"])
def test_a_file_cannot_leave_its_upload(client: Client, path: str) -> None:
    answer = client.post("/uploads", {"name": "m31", "files": [{"path": path, "size": 1}]})
    assert (answer.status_code, answer.json()["code"]) == (422, "path-refused")


def test_too_much_is_refused_with_limit_and_value(client: Client) -> None:
    answer = client.post("/uploads", {"name": "m31", "files": [{"path": "a", "size": 1001}]})
    assert (answer.status_code, answer.json()["expected"], answer.json()["found"]) == (
        413,
        "at most 1000",
        "1001",
    )


def test_another_ones_upload_and_dataset_answer_as_unknown(
    client: Client, stranger: Client, cruise: Dataset
) -> None:
    upload = announce(client, {"path": "events.fits", "size": 3})
    answers = [stranger.get(f"/uploads/{upload['upload']}"), stranger.get("/datasets/cruise")]
    answers.append(stranger.get("/datasets/cruise@1/files/session.json"))
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert stranger.get("/datasets").json()["datasets"] == []
    taken = stranger.post("/uploads", {"name": cruise.name, "files": [{"path": "a", "size": 1}]})
    assert (taken.status_code, taken.json()["code"]) == (409, "dataset-name-taken")


def test_datasets_and_files_come_in_pages(client: Client, cruise: Dataset) -> None:
    first = client.get("/datasets/cruise/files?limit=2").json()
    rest = client.get(f"/datasets/cruise/files?limit=2&cursor={first['next']}").json()
    paths = [item["path"] for item in (*first["files"], *rest["files"])]
    assert (paths, rest["next"]) == (["config/eps.cfg", "input/timeline.itl", "session.json"], None)
    assert [item["dataset"] for item in client.get("/datasets?limit=1").json()["datasets"]] == [
        cruise.reference
    ]


def test_a_path_is_registered_from_allowed_folders_alone(portal: Portal, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/m31.fits").write_bytes(EVENTS)
    (tmp_path / "archive/way-out").symlink_to(tmp_path)
    client = client_of(replace(portal, dataset_folders=(tmp_path / "archive",)), "caroline")
    made = client.post("/datasets", {"name": "m31", "path": f"{tmp_path}/archive/m31.fits"})
    assert (made.status_code, made.json()["size"]) == (201, len(EVENTS))
    for path in (
        "/etc/hostname",
        f"{tmp_path}/archive/../users.sqlite",
        f"{tmp_path}/archive/way-out/users.sqlite",
    ):
        assert client.post("/datasets", {"name": "out", "path": path}).json()["code"] == "path-not-allowed"


def test_a_scientist_registers_no_path(stranger: Client) -> None:
    answer = stranger.post("/datasets", {"name": "m31", "path": "/etc/hostname"})
    assert (answer.status_code, answer.json()["code"]) == (403, "scope-missing")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "2001:0:1::1",
        "localhost",
    ],
)
def test_an_address_of_this_network_is_not_public(address: str) -> None:
    assert not is_public(address)


def test_an_address_of_the_internet_is_public() -> None:
    assert is_public("8.8.8.8")
    assert is_public("2001:4860:4860::8888")


@pytest.mark.parametrize(
    "url",
    [
        "http://archive.example/x",
        "https://user@archive.example/x",
        "https://archive.example:22/x",
        "file:///etc/passwd",
        "https:///x",
        "https://archive.example:port/x",
        "https://archive.example/\r\nX: y",
        "https://inside.example/x",
    ],
)
def test_an_address_that_is_not_plainly_public_is_refused(tmp_path: Path, url: str) -> None:
    downloads = Downloads(
        look_up=lambda host, port: ["8.8.8.8", "10.0.0.1"] if "inside" in host else ["8.8.8.8"]
    )
    with pytest.raises(AddressRefused):
        downloads.fetch(url, digest_bytes(b""), tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_an_address_without_a_digest_is_not_fetched(client: Client) -> None:
    answer = client.post("/datasets/fetch", {"name": "m31", "url": "https://archive.example/m31.fits"})
    assert (answer.status_code, answer.json()["mistakes"][0]["at"]) == (422, "body.sha256")


def test_a_fetch_that_fails_is_told_by_its_work(client: Client, portal: Portal) -> None:
    body = {"name": "m31", "url": "https://archive.example:8443/m31.fits", "sha256": "0" * 64}
    answer = client.post("/datasets/fetch", body)
    assert answer.status_code == 202
    portal.works.stop()
    work = client.get(f"/work/{answer.json()['work']}").json()
    assert (work["state"], work["problem"]["code"]) == ("failed", "address-refused")


def test_an_address_that_cannot_be_read_is_told_by_its_work(client: Client, portal: Portal) -> None:
    body = {"name": "m31", "url": "https://[", "sha256": 64 * "0"}
    work = client.post("/datasets/fetch", body).json()["work"]
    portal.works.stop()
    done = client.get(f"/work/{work}").json()
    assert (done["state"], done["problem"]["code"]) == ("failed", "address-refused")


def test_an_archive_is_named_by_its_short_name(
    client: Client, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = client.post("/datasets/resolve", {"name": "m31", "identifier": "chandra:4364"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "archive-unknown")
    monkeypatch.setitem(ARCHIVES, "xmm", Shelf())
    assert client.post("/datasets/resolve", {"name": "m31", "identifier": "xmm:nothing"}).status_code == 404
    found = client.post("/datasets/resolve", {"name": "m31", "identifier": "xmm:0123700101"})
    portal.works.stop()
    work = client.get(f"/work/{found.json()['work']}").json()
    assert (work["title"], work["problem"]["code"]) == ("Fetch xmm:0123700101", "address-refused")


class Shelf:
    """An archive with one observation, on a host that nobody may ask."""

    title = "A shelf"

    def find(self, identifier: str) -> tuple[ArchiveFile, ...]:
        file = ArchiveFile(path="pn.fits", url="https://shelf.example:1/pn.fits", digest=digest_bytes(EVENTS))
        return (file,) if identifier == "0123700101" else ()
