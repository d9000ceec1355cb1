"""A service that ends takes nothing new, and keeps looking after what lives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from instantiator.operate.gate import Gate, ServiceEnding, begins_something
from instantiator.web.app import create_app
from instantiator.web.portal import Portal
from tests.unit.web.conftest import ORIGIN, portal

__all__ = ["portal"]
RUN, SESSION = "20261120-120000-k3f9", "20261120-120000-s001"

REFUSED = (
    ("POST", "/api/v1/runs"),
    ("POST", f"/api/v1/runs/{RUN}/start"),
    ("POST", "/api/v1/datasets"),
    ("POST", "/api/v1/uploads"),
    ("POST", "/api/v1/sessions"),
    ("POST", "/api/v1/vault/audit"),
    ("POST", "/api/sessions"),
    ("POST", "/open/fv/5.5.2"),
    ("POST", "/recipes/fv/5.5.2/simulate"),
    ("POST", f"/runs/{RUN}/verify"),
    ("POST", f"/runs/{RUN}/again"),
    ("POST", "/uws/rosetta-eps/simulate"),
    ("GET", "/uws/rosetta-eps/simulate/sync"),
)
GOES_ON = (
    ("GET", f"/api/v1/runs/{RUN}"),
    ("POST", f"/api/v1/runs/{RUN}/cancel"),
    ("DELETE", f"/api/v1/runs/{RUN}"),
    ("POST", f"/api/sessions/{SESSION}/ticket"),
    ("POST", f"/api/sessions/{SESSION}/end"),
    ("POST", "/internal/redeem"),
    ("POST", "/internal/activity"),
    ("POST", "/logout"),
    ("GET", "/readyz"),
)


@pytest.mark.parametrize(("method", "path"), REFUSED)
def test_what_begins_something_is_refused(method: str, path: str) -> None:
    gate = Gate()
    gate.check(method, path)
    gate.close()
    with pytest.raises(ServiceEnding):
        gate.check(method, path)


@pytest.mark.parametrize(("method", "path"), GOES_ON)
def test_what_looks_after_something_goes_on(method: str, path: str) -> None:
    assert not begins_something(method, path)


@pytest.fixture
def client(portal: Portal) -> Iterator[TestClient]:
    with TestClient(create_app(portal), base_url=ORIGIN) as made:
        yield made


def test_a_script_is_told_when_to_try_again(portal: Portal, client: TestClient) -> None:
    portal.gate.close()
    answer = client.post("/api/v1/runs", json={})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert answer.json()["code"] == "service-ending"
    assert "stopped" in answer.json()["detail"]


def test_a_person_is_told_on_a_page(portal: Portal, client: TestClient) -> None:
    portal.gate.close()
    answer = client.post("/open/fv/5.5.2")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "it takes nothing new" in answer.text
