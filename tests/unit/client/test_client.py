"""The client: what it sends again, what it takes up again, what it refuses; the same for both drivers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from instantiator.client import OutputWrong, RemoteError, Run, RunStatus, ServiceUnreachable
from instantiator.client.drivers import Driver
from instantiator.client.errors import AnswerInvalid, OutputPathRefused
from instantiator.client.models import OutputFile, read_status
from instantiator.client.notebook import Shown, render_run
from instantiator.client.saving import target_of
from instantiator.client.synchronous import Output
from provenance.digest import digest_bytes
from tests.unit.client.answering import RUN, SERVICE, Answering, body, broken, data, lost

CONTENT = b"0123456789"
FILE = OutputFile(
    number=0,
    name="table",
    path="power/table.csv",
    digest=digest_bytes(CONTENT),
    size=10,
    media_type="text/csv",
    rule="text",
)
PROBLEM = {
    "code": "token-expired",
    "detail": "the token night expired",
    "hint": "make a new one",
    "status": 401,
}


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


def status() -> RunStatus:
    return read_status(RUN)


def output_of(service: Answering, file: OutputFile = FILE) -> Output:
    return Output(Driver(SERVICE, transport=httpx.MockTransport(service)), "r", file)


def test_a_submission_whose_answer_was_lost_is_sent_again_with_the_same_key() -> None:
    service = Answering([lost, data({}, 503), data(RUN, 201)])
    with service.thaw() as thaw:
        run = thaw.run("rosetta-eps", "simulate", wait=False)
    keys = {request.headers["Idempotency-Key"] for request in service.asked}
    assert (run.id, len(service.asked), len(keys)) == (RUN["run"], 3, 1)


def test_a_verification_whose_answer_was_lost_is_not_asked_for_twice() -> None:
    service = Answering([data(RUN), data({"verdicts": []}), lost])
    with service.thaw() as thaw, pytest.raises(ServiceUnreachable):
        thaw.get("r").verify()
    assert [request.method for request in service.asked] == ["GET", "GET", "POST"]


def test_an_expired_token_is_told_in_the_services_words_with_the_next_step() -> None:
    with Answering([data(PROBLEM, 401)]).thaw() as thaw, pytest.raises(RemoteError) as caught:
        thaw.recipes()
    assert (caught.value.code, caught.value.status) == ("token-expired", 401)
    assert "thaw login" in caught.value.hint


def test_events_go_on_after_the_last_one_seen_where_the_stream_broke() -> None:
    first = b'id: 1\nevent: state\ndata: {"state": "queued"}\n\nid: 2\nevent: log\nda'
    rest = b'id: 2\nevent: log\ndata: {"size": 3}\n\n: still here\n\nid: 2\nevent: end\ndata: {}\n\n'
    service = Answering([broken(first), body(rest)])
    with service.thaw() as thaw:
        run = Run(thaw._driver, status())
        assert [(event.number, event.name) for event in run.events()] == [(1, "state"), (2, "log")]
    assert [request.headers["Last-Event-ID"] for request in service.asked] == ["0", "1"]


def test_both_drivers_take_a_stream_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instantiator.client.flows.following.PAUSES", (0.0, 0.0))
    end = b"id: 1\nevent: end\ndata: {}\n\n"
    service = Answering([data(RUN, 201), broken(b""), body(end), data(RUN)])

    async def do() -> str:
        async with service.awaited() as thaw:
            return (await thaw.run("rosetta-eps", "simulate")).state.value

    assert asyncio.run(do()) == "completed"


def test_an_output_goes_on_where_it_broke_and_is_checked() -> None:
    service = Answering([broken(CONTENT[:4]), body(CONTENT[4:], 206)])
    assert output_of(service).read() == CONTENT
    assert service.asked[1].headers["Range"] == "bytes=4-"


@pytest.mark.parametrize("content", [b"9876543210", b"0123456789x"])
def test_bytes_with_another_digest_are_refused_and_leave_nothing_behind(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(OutputWrong):
        output_of(Answering([body(content)])).save(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("path", ["../away", "/etc/away", "a/../../away", ""])
def test_an_output_cannot_lead_out_of_the_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(OutputPathRefused):
        target_of(tmp_path, path)


def test_an_upload_asks_where_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "m31.txt").write_bytes(CONTENT)
    file = {"path": "m31.txt", "size": 10, "offset": 0}
    upload = {"upload": "0a", "piece": 4, "files": [file]}
    made = {
        "dataset": "m31@1",
        "name": "m31",
        "version": 1,
        "digest": "sha256:" + 64 * "b",
        "files": 1,
        "size": 10,
        "kept": True,
        "added": "",
        "title": "",
        "origin": "",
        "licence": "",
    }
    answers = [
        data({"datasets": [], "next": None}),
        data(upload, 201),
        lost,  # the piece arrived, its answer did not
        data({**upload, "files": [{**file, "offset": 4}]}),
        data({**file, "offset": 8}),
        data({**file, "offset": 10}),
        data(made, 201),
    ]
    service = Answering([*answers])
    with service.thaw() as thaw:
        assert thaw.upload(tmp_path / "m31.txt", "m31").dataset == "m31@1"
    sent = [(r.headers["Upload-Offset"], r.content) for r in service.asked if r.method == "PATCH"]
    assert sent == [("0", CONTENT[:4]), ("4", CONTENT[4:8]), ("8", CONTENT[8:])]


def test_runs_are_iterated_over_pages() -> None:
    service = Answering([data({"runs": [RUN], "next": "c"}), data({"runs": [RUN], "next": None})])
    with service.thaw() as thaw:
        assert len(list(thaw.runs(state="completed"))) == 2
    assert service.asked[1].url.params["cursor"] == "c"


def test_a_notebook_shows_a_run_with_everything_escaped() -> None:
    previews = {0: {"kind": "text", "text": "<script>alert(1)</script>", "caption": "<b>"}}
    shown = render_run(status(), Shown(outputs=(FILE,), previews=previews))
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown + render_run(
        read_status({**RUN, "message": "<script>"}), Shown(outputs=(), previews={})
    )
    assert "time_step" in shown


def test_a_picture_that_is_none_is_not_shown() -> None:
    previews = {0: {"kind": "image", "png": '"><script>', "caption": ""}}
    assert "<img" not in render_run(status(), Shown(outputs=(FILE,), previews=previews))
    previews = {0: {"kind": "image", "png": "aGk=", "caption": ""}}
    assert 'src="data:image/png;base64,aGk="' in render_run(
        status(), Shown(outputs=(FILE,), previews=previews)
    )


def test_the_client_brings_nothing_along_that_executes_runs() -> None:
    heavy = "{'docker', 'fastapi', 'astropy', 'pydantic', 'yaml', 'sqlite3'}"
    code = f"import sys, instantiator.client; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_entry_of_the_catalogue_says_how_it_stands_at_the_service() -> None:
    told = {
        **dict.fromkeys(("recipe", "name", "version", "title"), "fv"),
        **{key: [] for key in ("mission", "threads", "guis")},
        "status": "verified",
        "verified": "2026-11-20T12:00:00.000000Z",
        "details": [],
        "image": "sha256:" + 64 * "a",
    }
    older = {key: told[key] for key in told if key not in ("verified", "details", "image")}
    service = Answering([data({"recipes": [told, older]}), data({"recipes": [{**told, "verified": 7}]})])
    with service.thaw() as thaw:
        new, old = thaw.recipes(every=True, retired=True)
        with pytest.raises(AnswerInvalid):
            thaw.recipes()
    assert new.verified == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert (old.verified, old.image) == (None, None)
    assert [str(request.url.query, "ascii") for request in service.asked] == ["every=true&retired=true", ""]
