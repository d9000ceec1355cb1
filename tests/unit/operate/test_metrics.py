"""Metrics: right numbers, from the store, with labels nobody outside can multiply."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from instantiator.operate.metrics import Meters, Watched
from instantiator.queue import Queue
from instantiator.session.model import OpenSession
from instantiator.web.app import create_app
from instantiator.web.portal import Portal
from provenance.digest import digest_bytes
from provenance.record import RunState
from provenance.store import NewRun, this_process
from tests.fakes_session import NOON
from tests.queue_fixtures import CounterBench, count
from tests.unit.web.conftest import ORIGIN, portal

__all__ = ["portal"]
Found = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: bytes) -> Found:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def measure(portal: Portal) -> Found:
    return read(portal.meters.render(Watched(bench=portal.bench, sessions=portal.sessions.list)))


@pytest.fixture
def bench(tmp_path: Path) -> CounterBench:
    made = CounterBench(home=tmp_path / "home")
    (made.settings.home / "recipes").mkdir(parents=True)
    return made


def of_bench(bench: CounterBench) -> Found:
    return read(Meters().render(Watched(bench=bench, sessions=tuple)))


def test_the_queue_is_measured(bench: CounterBench) -> None:
    queue: Queue = bench.queue()
    for number in range(3):
        queue.submit(count(parameters={"number": number}))
    found = of_bench(bench)
    assert found["thaw_queue_length", ()] == 3
    assert 0 <= found["thaw_queue_age_seconds", ()] < 60
    assert found["thaw_queue_executing", ()] == 0


def test_what_a_worker_was_given_is_measured(bench: CounterBench) -> None:
    queue = bench.queue()
    run = queue.submit(count()).id
    now = datetime.now(UTC)
    bench.store.queue.beat(this_process(), (), now, now)
    bench.store.set_state(run, RunState.EXECUTING, started=now, owner=this_process())
    found = of_bench(bench)
    assert queue.get(run).state == "executing"
    assert (found["thaw_queue_executing", ()], found["thaw_queue_granted_cpus", ()]) == (1, 0.5)
    assert found["thaw_queue_granted_memory_bytes", ()] == 64 * 1024 * 1024
    assert found["thaw_workers", ()] == 1
    assert found["thaw_worker_heartbeat_age_seconds", ()] < 60


def test_verdicts_are_counted_by_grade(bench: CounterBench) -> None:
    bench.store.add_verdict(
        "20261120-120000-aaaa",
        repeated_by="20261120-120000-bbbb",
        grade="identical",
        verdict=digest_bytes(b"verdict"),
        judged=NOON,
    )
    found = of_bench(bench)
    assert found["thaw_verdicts_total", (("grade", "identical"),)] == 1
    assert found["thaw_verdicts_total", (("grade", "different"),)] == 0


def begin_run(portal: Portal, number: int, recipe: str) -> None:
    portal.bench.store.begin_run(
        NewRun(
            id=f"20261120-120000-{number:04d}",
            kind="thread",
            recipe=recipe,
            thread="simulate",
            parameters={},
            inputs={},
            submitted=NOON,
            owner=this_process(),
            user="caroline",
        )
    )


def test_recipes_no_catalogue_knows_are_counted_together(portal: Portal) -> None:
    for number in range(50):
        begin_run(portal, number, f"made-up-{number}/1")
    begin_run(portal, 50, "rosetta-eps/9.3.35")
    found = measure(portal)
    assert found["thaw_runs", (("recipe", "other"), ("state", "pending"))] == 50
    assert found["thaw_runs", (("recipe", "rosetta-eps/9.3.35"), ("state", "pending"))] == 1
    assert len({key for key in found if key[0] == "thaw_runs"}) == 2 * 9


@pytest.fixture
def client(portal: Portal) -> Iterator[TestClient]:
    with TestClient(create_app(portal), base_url=ORIGIN, follow_redirects=False) as made:
        yield made


def test_no_request_makes_a_label_of_its_own(portal: Portal, client: TestClient) -> None:
    for number in range(30):
        client.get(f"/no-such-page-{number}")
        client.get(f"/runs/2026-{number}")
        client.get(f"/api/v1/runs/20261120-120000-{number:04d}")
        client.request(f"MADEUP{number}", "/healthz")
    found = {dict(labels)["route"] for name, labels in measure(portal) if name == "thaw_http_requests_total"}
    assert found <= {"other", "/runs/{run}", "/api/v1/runs/{run}", "/healthz"}
    assert {"other", "/api/v1/runs/{run}"} <= found
    methods = {dict(labels).get("method") for _, labels in measure(portal)}
    assert methods <= {None, "GET", "other"}


def test_requests_are_counted_by_route_and_status(portal: Portal, client: TestClient) -> None:
    client.get("/healthz")
    client.get("/healthz")
    labels = (("method", "GET"), ("route", "/healthz"), ("status", "200"))
    assert measure(portal)["thaw_http_requests_total", labels] == 2


def test_sessions_and_their_launches_are_measured_once(portal: Portal) -> None:
    session = portal.sessions.open(OpenSession(user="caroline", recipe="saoimage-ds9/8.4.1"))
    known = portal.sessions.get(session.id)
    now = datetime.now(UTC) + timedelta(seconds=1)
    ready = replace(known, created=now - timedelta(seconds=4), ready=now)
    watched = Watched(bench=portal.bench, sessions=lambda: (ready,))
    portal.meters.render(watched)
    found = read(portal.meters.render(watched))
    assert found["thaw_session_launch_seconds_count", ()] == 1
    assert found["thaw_session_launch_seconds_sum", ()] == pytest.approx(4)
    assert found["thaw_sessions", (("state", ready.state.value),)] == 1


def test_vault_and_disk_are_measured(portal: Portal) -> None:
    portal.bench.vault.put_bytes(b"a galaxy")
    found = measure(portal)
    assert (found["thaw_vault_objects", ()], found["thaw_vault_bytes", ()]) == (1, 8)
    assert found["thaw_disk_free_bytes", ()] > 0
    assert any(name == "thaw_build_info" for name, _ in found)


def test_each_request_is_one_line_with_its_id_and_no_secret(
    portal: Portal, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    from instantiator.operate.log import JsonLines

    with caplog.at_level(logging.INFO, "thaw.access"):
        answer = client.get("/login?token=" + "s" * 43)
        client.get("/watch/" + "w" * 43)
    lines = [
        json.loads(JsonLines().format(record)) for record in caplog.records if record.name == "thaw.access"
    ]
    assert [line["path"] for line in lines] == ["/login", "/watch/***"]
    assert lines[0]["status"] == answer.status_code
    assert len(answer.headers["x-request-id"]) == 16
    assert not [line for line in lines if "s" * 43 in str(line) or "w" * 43 in str(line)]
