"""Runs over HTTP: submitted once, listed in pages that stand still, changed by their owner alone."""

from __future__ import annotations

import pytest

from instantiator.dataset import Dataset
from instantiator.users import Scope
from instantiator.web.portal import Portal
from tests.unit.web.api.conftest import RECIPE, Client, client_of
from tests.unit.web.test_access import begin_run

pytestmark = pytest.mark.usefixtures("cruise")


def test_a_submission_is_checked_planned_and_queued(client: Client) -> None:
    run = client.submit(parameters={"time_step": 60}, label="night 42")
    assert (run["state"], run["phase"], run["position"]) == ("queued", "QUEUED", 1)
    assert (run["user"], run["label"], run["parameters"]["time_step"]) == ("caroline", "night 42", 60)
    assert run["datasets"] == {"scenario": "cruise@1"}
    assert client.get(f"/runs/{run['run']}").json() == run


def test_a_submission_sent_twice_with_its_key_is_one_run(client: Client) -> None:
    body = {"recipe": RECIPE, "thread": "simulate", "datasets": {"scenario": "cruise"}}
    first, second = (client.post("/runs", body, {"Idempotency-Key": "night-42"}) for _ in range(2))
    assert first.json()["run"] == second.json()["run"]
    assert first.headers["Location"] == f"/api/v1/runs/{first.json()['run']}"
    other = client.post("/runs", {**body, "parameters": {"time_step": 5}}, {"Idempotency-Key": "night-42"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency-conflict")


def test_every_wrong_parameter_is_named_and_nothing_is_queued(client: Client) -> None:
    body = {
        "recipe": RECIPE,
        "thread": "simulate",
        "datasets": {"scenario": "cruise"},
        "parameters": {"time_step": 0, "stride": 1},
    }
    answer = client.post("/runs", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "parameter-invalid")
    assert {item["at"] for item in answer.json()["mistakes"]} == {"parameters.time_step", "parameters.stride"}
    assert client.get("/runs").json()["runs"] == []


def test_pages_stand_still_while_runs_are_submitted(client: Client) -> None:
    runs = [client.submit(label=str(number))["run"] for number in range(5)]
    page = client.get("/runs?limit=2").json()
    seen = [run["run"] for run in page["runs"]]
    client.submit(label="meanwhile")
    while page["next"]:
        page = client.get(f"/runs?limit=2&cursor={page['next']}").json()
        seen += [run["run"] for run in page["runs"]]
    assert sorted(seen) == sorted(runs)


def test_runs_are_filtered_by_state_recipe_and_time(client: Client) -> None:
    queued, pending = client.submit(), client.submit(start=False)
    assert [run["run"] for run in client.get("/runs?state=pending").json()["runs"]] == [pending["run"]]
    assert len(client.get("/runs?state=pending&state=queued").json()["runs"]) == 2
    assert client.get("/runs?recipe=eso-midas/22SEP").json()["runs"] == []
    assert client.get("/runs?after=2100-01-01T00:00:00Z").json()["runs"] == []
    assert queued["state"] == "queued"


def test_a_pending_run_is_started_and_a_queued_one_cancelled_with_a_record(client: Client) -> None:
    run = client.submit(start=False)["run"]
    assert client.post(f"/runs/{run}/start").json()["state"] == "queued"
    cancelled = client.post(f"/runs/{run}/cancel").json()
    assert (cancelled["phase"], cancelled["message"]) == ("ABORTED", "cancelled by caroline")
    assert cancelled["record"] is not None
    assert client.post(f"/runs/{run}/cancel").json()["state"] == "cancelled"


def test_limit_and_destruction_are_changed_before_a_run_executes(client: Client) -> None:
    run = client.submit(start=False)["run"]
    body = {"time_limit_s": 60, "destruction": "2030-01-01T00:00:00Z"}
    changed = client.send("PATCH", f"/runs/{run}", json=body).json()
    assert (changed["time_limit_s"], changed["destruction"]) == (60, "2030-01-01T00:00:00.000000Z")


def test_a_destroyed_run_is_gone(client: Client) -> None:
    run = client.submit()["run"]
    assert client.send("DELETE", f"/runs/{run}").status_code == 204
    assert client.get(f"/runs/{run}").json()["code"] == "run-unknown"


@pytest.mark.parametrize("path", ["", "/events", "/log", "/outputs", "/outputs/0", "/record", "/verdicts"])
def test_another_ones_run_answers_as_one_that_is_not_there(
    client: Client, stranger: Client, path: str
) -> None:
    run = client.submit()["run"]
    theirs, nobodys = stranger.get(f"/runs/{run}{path}"), stranger.get(f"/runs/20200101-000000-0000{path}")
    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    assert theirs.json()["detail"].replace(run, "") == nobodys.json()["detail"].replace(
        "20200101-000000-0000", ""
    )
    assert stranger.get("/runs?everybody=true").json()["runs"] == []


def test_another_ones_dataset_cannot_be_run_on(stranger: Client, cruise: Dataset) -> None:
    body = {"recipe": RECIPE, "thread": "simulate", "datasets": {"scenario": cruise.reference}}
    answer = stranger.post("/runs", body)
    assert (answer.status_code, answer.json()["code"]) == (404, "dataset-unknown")


def test_a_token_that_only_reads_submits_nothing(portal: Portal) -> None:
    reader = client_of(portal, "caroline", frozenset({Scope.READ}))
    answer = reader.post("/runs", {"recipe": RECIPE, "thread": "simulate"})
    assert (answer.status_code, answer.json()["code"]) == (403, "scope-missing")


@pytest.mark.parametrize("path", ["/runs", "/runs?recipe=rosetta-eps/9.3.35&state=pending"])
def test_a_run_of_nobody_is_the_local_users_here_too(
    client: Client, stranger: Client, portal: Portal, path: str
) -> None:
    nobodys = begin_run(portal, "20200101-000000-aaaa", None)
    begin_run(portal, "20200101-000000-bbbb", "ada")
    own = begin_run(portal, "20200101-000000-cccc", "caroline")
    assert [run["run"] for run in client.get(path).json()["runs"]] == [own, nobodys]
    first = client.get("/runs?limit=1").json()
    rest = client.get(f"/runs?limit=1&cursor={first['next']}").json()
    assert [run["run"] for page in (first, rest) for run in page["runs"]] == [own, nobodys]
    assert stranger.get(path).json()["runs"] == []


def test_only_an_operator_lets_a_run_go_first(portal: Portal, client: Client, cruise: Dataset) -> None:
    assert client.submit(priority=3)["priority"] == 3
    scientist = client_of(portal, "caroline", frozenset({Scope.READ, Scope.RUN}))
    body = {"recipe": RECIPE, "thread": "simulate", "datasets": {"scenario": cruise.reference}, "priority": 1}
    refused = scientist.post("/runs", body)
    assert (refused.status_code, refused.json()["code"]) == (403, "priority-refused")
    assert (refused.json()["expected"], refused.json()["found"]) == ("at most 0", "1")
    assert scientist.submit(priority=-2)["priority"] == -2
