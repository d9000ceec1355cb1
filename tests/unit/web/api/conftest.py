"""A client of the API with a token, beside one of somebody else; the queue is the real one, without a worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from instantiator.dataset import Dataset, add_dataset
from instantiator.thread.plan import RunFolders
from instantiator.thread.run import read_draft
from instantiator.users import Scope, Thing
from instantiator.web.app import create_app
from instantiator.web.portal import Portal
from provenance.record import Record, RecordedOutput, Rule, RunState
from provenance.store import this_process
from tests.fakes_session import NOON

RECIPE = "rosetta-eps/9.3.35"


@dataclass
class Client:
    """A script somewhere, with a token."""

    http: TestClient
    portal: Portal
    user: str

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        return self.http.get(f"/api/v1{path}", headers=headers)

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        return self.http.post(f"/api/v1{path}", json=body, headers=headers)

    def send(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return self.http.request(method, f"/api/v1{path}", **more)

    def submit(self, **more: Any) -> Any:
        body = {"recipe": RECIPE, "thread": "simulate", "datasets": {"scenario": "cruise"}, **more}
        answer = self.post("/runs", body)
        assert answer.status_code == 201, answer.text
        return answer.json()


def client_of(portal: Portal, user: str, scopes: frozenset[Scope] = frozenset(Scope)) -> Client:
    expires = portal.clock() + timedelta(days=1)
    token = portal.users.tokens.new(user, scopes, label="a script", expires=expires, now=portal.clock())
    http = TestClient(create_app(portal), base_url="http://portal.test", raise_server_exceptions=False)
    http.headers["Authorization"] = f"Bearer {token.text}"
    return Client(http=http, portal=portal, user=user)


def complete(portal: Portal, run: str, files: Mapping[str, bytes]) -> Record:
    """What a worker does at the end of a run that gave these files."""
    bench = portal.bench
    draft = read_draft(RunFolders(root=bench.settings.runs_dir / run))
    assert draft is not None
    outputs = tuple(
        RecordedOutput(
            name="tables",
            path=path,
            digest=bench.vault.put_bytes(content),
            size=len(content),
            media_type="text/plain",
            rule=Rule(),
        )
        for path, content in sorted(files.items())
    )
    record = replace(
        draft,
        state=RunState.COMPLETED,
        exit_status=0,
        started=draft.submitted,
        ended=draft.submitted + timedelta(seconds=1),
        log=bench.vault.put_bytes(b"EPS started\nEPS ended\n"),
        outputs=outputs,
    )
    bench.store.set_state(run, RunState.EXECUTING, started=draft.submitted, owner=this_process())
    bench.store.finish_run(record, bench.vault)
    return record


@pytest.fixture
def cruise(portal: Portal, tmp_path: Path) -> Dataset:
    """A registered dataset that fits the thread; it is caroline's."""
    folder = tmp_path / "cruise"
    for name in ("session.json", "config/eps.cfg", "input/timeline.itl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{name}\n")
    bench = portal.bench
    dataset = add_dataset(folder, vault=bench.vault, store=bench.store, now=NOON, name="cruise")
    portal.users.shares.own(Thing.DATASET, dataset.name, "caroline")
    return dataset


@pytest.fixture
def client(portal: Portal) -> Iterator[Client]:
    made = client_of(portal, "caroline")
    yield made
    made.http.close()


@pytest.fixture
def stranger(portal: Portal) -> Iterator[Client]:
    made = client_of(portal, "william")
    yield made
    made.http.close()
