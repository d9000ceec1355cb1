"""Schemathesis asks the API everything its description allows, and much that it does not: all checks, stateful too."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn

from instantiator.commands.common import Bench
from instantiator.dataset import add_dataset
from instantiator.queue import Queue, Submission
from instantiator.session.tickets import Tickets
from instantiator.users import Scope, Thing, Users
from instantiator.web.app import create_app
from instantiator.web.portal import Portal
from tests.fakes_session import FakeSessions

ROOT = Path(__file__).parents[2]
SECONDS = 60
SETTINGS = """
[parameters]
name = "rosetta-eps"
version = "9.3.35"
thread = "simulate"
"query.wait_s" = 0

# What a schema cannot say: a thread's own parameters, a cursor a page gave, names that are each there once.
[[operations]]
include-name = ["POST /runs", "POST /uploads", "GET /sessions/{session}/files", "GET /sessions/{session}/files/content"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 401, 403, 404, 409, 413, 422, 429]

[[operations]]
include-name = "GET /runs"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400]
"""


@dataclass(frozen=True, slots=True)
class Serving:
    """The API on loopback, and a token for it."""

    url: str
    token: str


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """The real application with the real queue; no worker, for no run has to be executed here."""
    monkeypatch.setenv("THAW_RECIPES", str(ROOT / "recipes"))
    portal = portal_in(tmp_path)
    expires = datetime.now(UTC) + timedelta(hours=1)
    token = portal.users.tokens.new(
        "caroline", Scope, label="schemathesis", expires=expires, now=datetime.now(UTC)
    )
    with served(portal) as url:
        yield Serving(url, token.text)
    portal.works.stop()


def portal_in(folder: Path) -> Portal:
    """A portal with a dataset, and with a run that is over."""
    bench, users = Bench(), Users(folder / "users.sqlite")
    data = folder / "cruise"
    for name in ("session.json", "config/eps.cfg", "input/timeline.itl"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(f"{name}\n")
    now = datetime.now(UTC)
    add_dataset(data, vault=bench.vault, store=bench.store, now=now, name="cruise")
    users.shares.own(Thing.DATASET, "cruise", "caroline")
    queue = Queue(bench)
    asked = Submission(
        user="caroline", recipe="rosetta-eps", thread="simulate", datasets={"scenario": "cruise"}
    )
    queue.cancel(queue.submit(asked).id)
    return Portal(
        bench=bench,
        sessions=FakeSessions(folder / "workspaces"),
        tickets=Tickets(folder / "tickets.sqlite"),
        users=users,
        queue=queue,
        user="caroline",
        dataset_folders=(folder / "allowed",),
    )


@contextmanager
def served(portal: Portal) -> Iterator[str]:
    """The portal on a free port of this host."""
    server = uvicorn.Server(uvicorn.Config(create_app(portal), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/api/v1"
    finally:
        server.should_exit = True
        thread.join()


def test_the_api_keeps_to_its_description(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", "schemathesis.toml"]
    command += ["run", f"{serving.url}/openapi.json", "--url", serving.url, "--checks", "all"]
    command += ["--header", f"Authorization: Bearer {serving.token}", "--max-examples", "6"]
    command += ["--max-time", str(SECONDS), "--seed", "1", "--continue-on-failure", "--no-color"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, "\n".join(line[:300] for line in done.stdout.splitlines()) + done.stderr
    assert "stateful" in done.stdout.casefold()
