"""Readiness: every part by name, what fails in words, and little to those who are nobody."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from instantiator.operate import health
from instantiator.operate.health import PartFails, Readiness
from instantiator.users import Scope
from instantiator.web.app import create_app
from instantiator.web.portal import Portal
from provenance.store import this_process
from tests.fakes_session import NOON
from tests.unit.web.conftest import ORIGIN, Browser, browser, portal

__all__ = ["browser", "portal"]


@pytest.fixture
def client(portal: Portal) -> Iterator[TestClient]:
    with TestClient(create_app(portal), base_url=ORIGIN) as made:
        yield made


def operators_token(portal: Portal) -> dict[str, str]:
    token = portal.users.tokens.new(
        "caroline", {Scope.OPERATE}, label="watch", expires=NOON + timedelta(hours=1), now=NOON
    )
    return {"Authorization": f"Bearer {token.text}"}


def test_it_lives(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_parts_that_fail_are_named_in_words(portal: Portal, client: TestClient) -> None:
    answer = client.get("/readyz")
    told = answer.json()
    states = {part["name"]: part["state"] for part in told["parts"]}
    assert answer.status_code == 503
    assert list(states) == ["gate", "engine", "store", "vault", "worker", "gateway"]
    assert (states["store"], states["vault"], states["worker"]) == ("works", "works", "fails")
    assert "no worker says that it lives: submitted runs wait" in told["problems"]


def test_nobody_learns_no_path_and_no_number(portal: Portal, client: TestClient) -> None:
    portal.bench.store.check_writable()
    text = client.get("/readyz").text
    assert str(portal.bench.settings.home) not in text
    assert "detail" not in text
    refused = client.get("/readyz", headers={"Authorization": "Bearer thaw_made-up"})
    assert "detail" not in refused.text


def test_an_operator_is_told_the_cause(portal: Portal, client: TestClient) -> None:
    parts = client.get("/readyz", headers=operators_token(portal)).json()["parts"]
    details = {part["name"]: part.get("detail", "") for part in parts}
    assert details["store"] == str(portal.bench.settings.store_file)
    assert "bytes free" in details["vault"]
    assert details["worker"] == "no worker works with this state folder"


def test_a_heartbeat_makes_the_worker_work_and_an_old_one_does_not(portal: Portal) -> None:
    store, now = portal.bench.store, datetime.now(UTC)
    store.queue.beat(this_process(), (), now, now)
    probe = health.probes_of(portal.bench)["worker"]
    assert probe().startswith("heartbeat ")
    store.queue.beat(this_process(), (), now - timedelta(minutes=2), now)
    with pytest.raises(PartFails, match=r"the last heartbeat is 12[0-9] s old"):
        probe()


def test_a_vault_without_room_is_not_ready(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LEAST_FREE", 1 << 80)
    with pytest.raises(PartFails, match="bytes are free, at least"):
        health.probes_of(portal.bench)["vault"]()


def test_a_gateway_that_is_not_there_is_said(portal: Portal) -> None:
    file = portal.bench.settings.home / "serve/address.json"
    with pytest.raises(PartFails, match="no gateway was started"):
        health.probes_of(portal.bench)["gateway"]()
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"nothing": 1})[:-1])
    with pytest.raises(PartFails, match="no gateway was started"):
        health.probes_of(portal.bench)["gateway"]()


def test_a_part_that_hangs_fails_and_is_not_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE_S", 0.05)
    monkeypatch.setattr(health, "KEPT_S", 0.0)
    end, asked = threading.Event(), []

    def hang() -> str:
        asked.append(1)
        end.wait(10)
        return "at last"

    readiness = Readiness()
    found = [readiness.ask({"engine": hang})[0] for _ in range(3)]
    assert [part.works for part in found] == [False] * 3
    assert found[0].detail == "no answer within 0 s"
    assert len(asked) == 1
    monkeypatch.setattr(health, "PATIENCE_S", 5)
    end.set()
    assert readiness.ask({"engine": hang})[0].works


def test_an_answer_is_given_again_for_a_moment() -> None:
    asked: list[int] = []

    def look() -> str:
        asked.append(1)
        return ""

    probes = {"store": look}
    readiness = Readiness()
    readiness.ask(probes)
    readiness.ask(probes)
    assert len(asked) == 1


def test_a_service_that_ends_is_not_ready(portal: Portal, client: TestClient) -> None:
    portal.gate.close()
    answer = client.get("/readyz")
    assert answer.json()["parts"][0] == {"name": "gate", "state": "fails"}
    assert answer.headers["Retry-After"] == "30"


def test_metrics_are_for_operators(portal: Portal, client: TestClient, browser: Browser) -> None:
    assert client.get("/metrics").status_code == 401
    reader = portal.users.tokens.new(
        "caroline", {Scope.READ}, label="", expires=NOON + timedelta(hours=1), now=NOON
    )
    assert client.get("/metrics", headers={"Authorization": f"Bearer {reader.text}"}).status_code == 403
    answer = client.get("/metrics", headers=operators_token(portal))
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "thaw_queue_length 0.0" in answer.text
