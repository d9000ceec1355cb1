"""What a run gives over HTTP: events that can be taken up again, logs by offset, ranges, ETags, canonical bytes."""

from __future__ import annotations

from pathlib import Path
from threading import Timer
from typing import BinaryIO

import pytest

from instantiator.web.api.contents import Part, RangeUnsatisfiable, is_known, parse_range
from instantiator.web.capsules import capsule_name
from instantiator.web.portal import Bench, Portal
from instantiator.web.routes import exports
from provenance.digest import Digest, digest_bytes
from provenance.record import Record, record_from_bytes
from provenance.vault import Vault
from tests.unit.web.api.conftest import Client, complete

TABLE = bytes(range(256)) * 4
pytestmark = pytest.mark.usefixtures("cruise")


@pytest.fixture
def record(client: Client, portal: Portal) -> Record:
    return complete(portal, client.submit()["run"], {"power.csv": TABLE, "data/empty.csv": b""})


def test_a_run_has_no_outputs_before_it_is_finished(client: Client) -> None:
    answer = client.get(f"/runs/{client.submit()['run']}/outputs")
    assert (answer.status_code, answer.json()["code"]) == (409, "no-record-yet")


def test_an_output_is_downloaded_with_its_digest_as_etag(client: Client, record: Record) -> None:
    found = client.get(f"/runs/{record.run}/outputs").json()["outputs"]
    output = next(item for item in found if item["path"] == "power.csv")
    answer = client.get(output["href"].removeprefix("/api/v1"))
    assert (answer.status_code, answer.content) == (200, TABLE)
    assert answer.headers["ETag"] == f'"{digest_bytes(TABLE)}"'
    known = client.get(output["href"].removeprefix("/api/v1"), {"If-None-Match": answer.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")
    head = client.send("HEAD", f"/runs/{record.run}/outputs/{output['number']}")
    assert (head.headers["Content-Length"], head.content) == ("1024", b"")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=10-19", 10, 19), ("bytes=1000-", 1000, 1023), ("bytes=-4", 1020, 1023)],
)
def test_a_range_of_an_output_is_given(
    client: Client, record: Record, asked: str, first: int, last: int
) -> None:
    answer = client.get(f"/runs/{record.run}/outputs/1", {"Range": asked})
    assert (answer.status_code, answer.content) == (206, TABLE[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/1024"


def test_a_range_of_other_bytes_than_the_client_has_gives_all_of_it(client: Client, record: Record) -> None:
    etag = f'"{digest_bytes(TABLE)}"'
    path = f"/runs/{record.run}/outputs/1"
    assert client.get(path, {"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
    assert client.get(path, {"Range": "bytes=0-1", "If-Range": '"sha256:00"'}).content == TABLE
    outside = client.get(path, {"Range": "bytes=2000-"})
    assert (outside.status_code, outside.headers["Content-Range"]) == (416, "bytes */1024")


@pytest.mark.parametrize(
    "header", ["", "bytes=", "bytes=-", "bytes=5-2", "lines=1-2", "bytes=0-1,4-5", "bytes=a-b"]
)
def test_a_range_that_is_not_offered_is_no_range(header: str) -> None:
    assert parse_range(header, 100) is None


def test_ranges_and_conditions_are_read_as_http_says() -> None:
    assert parse_range("bytes=90-200", 100) == Part(first=90, last=99)
    with pytest.raises(RangeUnsatisfiable):
        parse_range("bytes=-0", 100)
    assert is_known('W/"a", "b"', '"a"')
    assert not is_known(None, '"a"')


def test_a_record_is_given_byte_for_byte_and_named_by_its_digest(client: Client, record: Record) -> None:
    answer = client.get(f"/runs/{record.run}/record")
    assert record_from_bytes(answer.content) == record
    assert answer.headers["ETag"] == f'"{record.digest}"'
    assert client.get(f"/records/{record.digest}").content == answer.content


def test_nothing_else_of_the_vault_is_given_as_a_record(
    client: Client, stranger: Client, record: Record
) -> None:
    output = digest_bytes(TABLE)
    answers = [client.get(f"/records/{output}"), client.get(f"/verdicts/{output}")]
    answers.append(stranger.get(f"/records/{record.digest}"))
    assert [answer.status_code for answer in answers] == [404, 404, 404]


def test_a_log_is_read_from_an_offset_and_from_its_end(client: Client, record: Record) -> None:
    answer = client.get(f"/runs/{record.run}/log?offset=12")
    assert (answer.text, answer.headers["Thaw-Log-End"]) == ("EPS ended\n", "22")
    tail = client.get(f"/runs/{record.run}/log?tail=6")
    assert (tail.text, tail.headers["Thaw-Log-Offset"]) == ("ended\n", "16")


def test_events_are_followed_to_the_end_and_taken_up_again(client: Client) -> None:
    run = client.submit()["run"]
    open_one = client.get(f"/runs/{run}/events?wait_s=0").text
    assert open_one.startswith("id: 1\nevent: state\n")
    assert "event: end" not in open_one
    client.post(f"/runs/{run}/cancel")
    resumed = client.get(f"/runs/{run}/events", {"Last-Event-ID": "1"})
    assert resumed.headers["Content-Type"].startswith("text/event-stream")
    names = [line for line in resumed.text.splitlines() if line.startswith(("id", "event"))]
    assert names == ["id: 2", "event: state", "event: end", "id: 2"]
    assert '"state": "cancelled"' in resumed.text


def test_who_follows_a_run_is_let_go_in_order_when_the_service_ends(client: Client, portal: Portal) -> None:
    run = client.submit()["run"]
    ending = Timer(0.4, portal.gate.end)
    ending.start()
    told = client.get(f"/runs/{run}/events?wait_s=60").text
    ending.join()
    assert "event: state" in told
    assert "event: end" not in told


def test_the_second_range_of_a_file_is_not_hashed_again(
    client: Client, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, hashed, hash_it = digest_bytes(TABLE), [], Vault.open

    def count(vault: Vault, opened: Digest, *, used_by: str = "") -> BinaryIO:
        hashed.append(opened)
        return hash_it(vault, opened, used_by=used_by)

    monkeypatch.setattr(Vault, "open", count)
    parts = [
        client.get(f"/runs/{record.run}/outputs/1", {"Range": f"bytes={first}-{first + 255}"}).content
        for first in range(0, 1024, 256)
    ]
    assert b"".join(parts) == TABLE
    assert hashed.count(digest) == 1


def test_a_capsule_is_sent_whole_and_nothing_of_it_stays(
    client: Client, stranger: Client, portal: Portal, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = portal.bench.settings.scratch_dir

    def pack(_bench: Bench, packed: Record) -> Path:
        (scratch / "download-x").mkdir(parents=True)
        file = scratch / "download-x" / capsule_name(packed)
        file.write_bytes(b"a tar")
        return file

    monkeypatch.setattr(exports, "pack_capsule", pack)
    assert stranger.get(f"/runs/{record.run}/capsule").json()["code"] == "run-unknown"
    for path in (f"/api/v1/runs/{record.run}/capsule", f"/runs/{record.run}/capsule"):
        answer = client.http.get(path)
        assert (answer.content, answer.headers["Content-Type"]) == (b"a tar", "application/x-tar")
        assert f'filename="thaw-{record.run}.capsule.tar"' in answer.headers["Content-Disposition"]
        assert list(scratch.glob("download-*")) == []
    noted = portal.users.audit.page(1)[0]
    assert noted.detail.startswith(f"capsule of run {record.run}")


def test_a_run_that_gave_nothing_makes_no_capsule(client: Client) -> None:
    run = client.submit()["run"]
    assert client.get(f"/runs/{run}/capsule").json()["code"] == "no-record-yet"
    client.post(f"/runs/{run}/cancel")
    refused = client.get(f"/runs/{run}/capsule")
    assert (refused.status_code, refused.json()["code"]) == (409, "capsule-refused")
    assert client.http.get(f"/runs/{run}/capsule").status_code == 409
