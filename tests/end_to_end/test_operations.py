"""A real service that is watched, told to end, backed up and restored."""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from instantiator.users import Scope, Users
from tests.end_to_end.conftest import THAW, Thaw
from tests.end_to_end.serving import serving, wait_until

pytestmark = pytest.mark.docker

SIMULATE = ("run", "rosetta-eps", "simulate", "-d", "eps-bepicolombo-2015", "-p", "output_step=120")


def token_of(thaw: Thaw) -> str:
    users, now = Users(thaw.home / "users.sqlite"), datetime.now(UTC)
    made = users.tokens.new(
        getpass.getuser(), Scope, label="watch", expires=now + timedelta(hours=1), now=now
    )
    users.close()
    return made.text


def client_of(base: str, token: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=base, headers=headers, timeout=30, trust_env=False)


def submit(api: httpx.Client, seconds: int) -> httpx.Response:
    body = {"recipe": "rosetta-eps", "thread": "sleep", "parameters": {"seconds": seconds}, "fresh": True}
    return api.post("/api/v1/runs", json=body)


def state_of(api: httpx.Client, run: str) -> str:
    return str(api.get(f"/api/v1/runs/{run}").json()["state"])


@pytest.fixture
def logged(probing: Thaw, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    """`thaw serve` with its log in a file: the process, its address, the file."""
    log, port = tmp_path / "log", 18_765 + os.getpid() % 1000
    command = [str(THAW), "serve", "--port", str(port), "--grace", "60"]
    environment = {**probing.environment(), "THAW_LOG": "json"}
    with log.open("w") as stream:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stream, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip(), log.read_text()
    yield process, f"http://127.0.0.1:{port}", log
    process.stdout.close()
    if process.poll() is None:
        process.kill()
        process.wait()


def test_a_service_told_to_end_finishes_its_run_takes_no_other_and_tells_no_secret(
    probing: Thaw, logged: tuple[subprocess.Popen[str], str, Path]
) -> None:
    process, base, log = logged
    token = token_of(probing)
    with client_of(base, token) as api:
        wait_until(lambda: api.get("/readyz").status_code == 200, within_s=60)
        details: Any = api.get("/readyz").json()["parts"]
        assert {part["state"] for part in details} == {"works"}
        anonymous = httpx.get(f"{base}/readyz", trust_env=False)
        assert (anonymous.status_code, "detail" in anonymous.text) == (200, False)
        assert httpx.get(f"{base}/metrics", trust_env=False).status_code == 401
        run = submit(api, 6).json()["run"]
        wait_until(lambda: state_of(api, run) == "executing", within_s=60)
        assert "thaw_queue_executing 1.0" in api.get("/metrics").text
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: api.get("/readyz").status_code == 503)
        refused = submit(api, 1)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
        assert refused.json()["code"] == "service-ending"
        assert state_of(api, run) == "executing"
    assert process.wait(60) == 0
    assert probing.ok("show", run)["state"] == "completed"
    text = log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert all({"time", "level", "event"} <= set(line) for line in lines)
    assert [line["run"] for line in lines if line["event"] == "a run begins"] == [run]
    assert token not in text
    assert not re.search(r"thaw_[A-Za-z0-9_-]{20,}|token=[^*\s\"]", text)


def test_who_waits_for_a_run_is_answered_in_order_when_the_service_ends(
    probing: Thaw, logged: tuple[subprocess.Popen[str], str, Path]
) -> None:
    process, base, log = logged
    token = token_of(probing)
    with client_of(base, token) as api, ThreadPoolExecutor(2) as clients:
        body = {"recipe": "rosetta-eps", "thread": "sleep", "start": False, "fresh": True}
        run = api.post("/api/v1/runs", json=body).json()["run"]
        asked = [
            clients.submit(api.get, path)
            for path in (f"/uws/rosetta-eps/sleep/{run}?WAIT=25", f"/api/v1/runs/{run}/events")
        ]
        time.sleep(1.5)
        assert not any(one.done() for one in asked)
        process.send_signal(signal.SIGTERM)
        job, events = (one.result(20) for one in asked)
    assert (job.status_code, "PENDING" in job.text) == (200, True)
    assert (events.status_code, "event: state" in events.text) == (200, True)
    assert process.wait(30) == 0
    statuses = [json.loads(line).get("status") for line in log.read_text().splitlines()]
    assert not [status for status in statuses if status is not None and status >= 499]


def test_a_run_from_a_backup_of_a_living_service_verifies_identical(thaw: Thaw, tmp_path: Path) -> None:
    run = thaw.ok(*SIMULATE)["run"]
    with serving(thaw):
        made = thaw.ok("backup", "create", str(tmp_path / "backup"))
    assert thaw.ok("backup", "check", str(tmp_path / "backup"))["sound"]
    other = replace(thaw, home=tmp_path / "other")
    restored = other.ok("backup", "restore", str(tmp_path / "backup"))
    assert (restored["objects"], made["problems"]) == (made["objects"], [])
    assert other.ok("verify", run)["verdict"] == "identical"
