"""A script on another machine: submit with a token, follow, fetch; the worker and the engine are the real ones."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from instantiator.users import Scope, Users
from provenance.digest import digest_bytes
from provenance.record import record_from_bytes
from tests.end_to_end.conftest import RECIPE, Thaw
from tests.end_to_end.serving import Service, serving, wait_until

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def service(thaw: Thaw) -> Iterator[Service]:
    with serving(thaw) as found:
        yield found


@pytest.fixture
def api(service: Service) -> Iterator[httpx.Client]:
    """A client with a token; the gateway is between it and the portal."""
    users, now = Users(service.thaw.home / "users.sqlite"), datetime.now(UTC)
    token = users.tokens.new(
        getpass.getuser(), Scope, label="a script", expires=now + timedelta(hours=1), now=now
    )
    users.close()
    headers = {"Authorization": f"Bearer {token.text}"}
    with httpx.Client(base_url=service.base, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def submit(api: httpx.Client, **more: Any) -> Any:
    body = {
        "recipe": "rosetta-eps",
        "thread": "simulate",
        "datasets": {"scenario": "orbit"},
        **more,
    }
    answer = api.post("/api/v1/runs", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def follow(api: httpx.Client, run: str, last: str = "0") -> list[dict[str, str]]:
    """The events of a run after one, to the end."""
    headers = {"Last-Event-ID": last}
    with api.stream("GET", f"/api/v1/runs/{run}/events", headers=headers) as answer:
        blocks = answer.read().decode().strip().split("\n\n")
    return [
        dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        for block in blocks
    ]


def upload_scenario(api: httpx.Client) -> str:
    """The scenario of the recipe, file by file in pieces, as a dataset called `orbit`."""
    folder = next(path for path in sorted((RECIPE / "data").iterdir()) if path.is_dir())
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    asked = [{"path": path, "size": len(content)} for path, content in sorted(files.items())]
    upload = api.post("/api/v1/uploads", json={"name": "orbit", "files": asked}).json()
    for file in upload["files"]:
        content, offset = files[file["path"]], 0
        while True:
            piece = content[offset : offset + 20_000]
            sent = api.patch(
                file["href"],
                content=piece,
                headers={"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"},
            )
            offset = sent.json()["offset"]
            if offset == len(content):
                break
    return str(api.post(f"{upload['href']}/complete").json()["dataset"])


def test_a_script_uploads_submits_follows_and_fetches(api: httpx.Client) -> None:
    reference = upload_scenario(api)
    run = submit(api, fresh=True)
    assert run["datasets"] == {"scenario": reference}
    events = follow(api, run["run"])
    assert json.loads(events[-1]["data"])["state"] == "completed"
    assert [event["id"] for event in follow(api, run["run"], last="1")] == [
        event["id"] for event in events[1:]
    ]
    outputs = api.get(f"/api/v1/runs/{run['run']}/outputs").json()["outputs"]
    assert outputs
    for output in outputs:
        whole = api.get(output["href"])
        assert digest_bytes(whole.content) == output["digest"] == whole.headers["ETag"].strip('"')
    first = next(item for item in outputs if item["size"] > 10)
    part = api.get(first["href"], headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, api.get(first["href"]).content[2:6])
    record = record_from_bytes(api.get(f"/api/v1/runs/{run['run']}/record").content)
    assert (record.user, record.run) == (getpass.getuser(), run["run"])
    assert api.get(f"/api/v1/runs/{run['run']}/log?tail=10").status_code == 200
    again = submit(api)
    assert (again["state"], again["answered_from"]) == ("completed", run["run"])
    exported = api.get(f"/api/v1/runs/{run['run']}/export/prov-json")
    assert exported.status_code == 200
    assert "entity" in exported.json()


def test_a_verdict_is_asked_for_and_followed(api: httpx.Client) -> None:
    upload_scenario(api)
    run = submit(api)["run"]
    follow(api, run)
    work = api.post(f"/api/v1/runs/{run}/verdicts").json()
    wait_until(lambda: api.get(work["href"]).json()["state"] != "running", within_s=300)
    assert api.get(work["href"]).json()["state"] == "done", api.get(work["href"]).text
    (verdict,) = api.get(f"/api/v1/runs/{run}/verdicts").json()["verdicts"]
    assert verdict["grade"] in ("identical", "equivalent")
    assert api.get(verdict["href"]).json()["grade"] == verdict["grade"]
