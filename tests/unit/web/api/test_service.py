"""The rest of the service over HTTP: recipes and schemas, sessions and their files, the vault, the index."""

from __future__ import annotations

import jsonschema
import pytest

from instantiator.dataset import Dataset
from instantiator.web.portal import Portal
from tests.unit.web.api.conftest import RECIPE, Client


def test_a_recipe_is_found_and_its_thread_says_what_it_takes(client: Client) -> None:
    listed = client.get("/recipes?words=planning").json()["recipes"]
    assert "rosetta-eps" in {item["name"] for item in client.get("/recipes").json()["recipes"]}
    assert len(listed) < len(client.get("/recipes").json()["recipes"])
    recipe = client.get("/recipes/rosetta-eps").json()
    assert (recipe["recipe"], "simulate" in recipe["threads"]) == (RECIPE, True)
    assert client.get("/recipes/rosetta-eps/versions").json()["recipes"][0]["href"] == recipe["href"]
    thread = client.get("/recipes/rosetta-eps/versions/9.3.35/threads/simulate").json()
    schema = client.get("/recipes/rosetta-eps/versions/9.3.35/threads/simulate/schema")
    assert schema.headers["Content-Type"] == "application/schema+json"
    assert schema.json() == thread["parameters"]
    jsonschema.validate({"time_step": 60}, schema.json())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"time_step": 0}, schema.json())


@pytest.mark.parametrize("path", ["/recipes/nothing", "/recipes/rosetta-eps/versions/1"])
def test_an_unknown_recipe_is_told_in_words(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "recipe-unknown")


def test_a_session_is_opened_extended_and_ended(client: Client, stranger: Client, cruise: Dataset) -> None:
    body = {"recipe": "saoimage-ds9", "datasets": [cruise.reference], "workspace": "m31"}
    opened = client.post("/sessions", body)
    assert opened.status_code == 201, opened.text
    href = opened.headers["Location"].removeprefix("/api/v1")
    assert (opened.json()["workspace"], opened.json()["state"]) == ("m31", "ready")
    assert client.post(f"{href}/extend").json()["expires"] > opened.json()["expires"]
    assert stranger.post(f"{href}/end").status_code == 404
    assert client.post(f"{href}/end").json()["state"] == "ended"
    assert [item["session"] for item in client.get("/sessions").json()["sessions"]] == [
        opened.json()["session"]
    ]


def test_the_files_of_a_session_are_listed_and_downloaded(client: Client, portal: Portal) -> None:
    session = client.post("/sessions", {"recipe": "saoimage-ds9"}).json()["session"]
    (portal.sessions.workspace_dir(session) / "notes.txt").write_text("M31")
    (portal.sessions.workspace_dir(session) / "way-out").symlink_to("/etc")
    entries = client.get(f"/sessions/{session}/files").json()["entries"]
    assert {(item["path"], item["kind"]) for item in entries} == {("notes.txt", "file"), ("way-out", "link")}
    assert client.get(f"/sessions/{session}/files/content?path=notes.txt").content == b"M31"
    assert client.get(f"/sessions/{session}/files/content?path=way-out/hostname").status_code == 404


def test_the_vault_is_audited_for_an_operator(client: Client, stranger: Client, portal: Portal) -> None:
    portal.bench.vault.put_bytes(b"a byte is kept for ever")
    work = client.post("/vault/audit").json()
    portal.works.stop()
    done = client.get(f"/work/{work['work']}").json()
    assert (done["state"], done["leads_to"]) == ("done", "/api/v1/vault")
    found = client.get("/vault").json()
    assert (found["objects"], found["last_audit"]["objects"]) == (1, 1)
    assert stranger.post("/vault/audit").status_code == 403
    assert stranger.get(f"/work/{work['work']}").json()["code"] == "work-unknown"


def test_the_index_names_what_there_is(client: Client) -> None:
    links = client.get("/").json()["links"]
    assert links["runs"] == "/api/v1/runs"
    for name in ("recipes", "datasets", "runs", "sessions", "vault", "openapi"):
        assert client.http.get(links[name]).status_code == 200, name


def test_an_address_that_is_not_there_is_a_problem_too(client: Client) -> None:
    answer = client.get("/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    wrong = client.send("PUT", "/runs")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, POST")
