"""The rest of the service over HTTP: recipes and schemas, sessions and their files, the vault, the index."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import jsonschema
import pytest

from instantiator.catalog import CatalogEntry
from instantiator.dataset import Dataset
from instantiator.evidence import Evidence, note_evidence
from instantiator.users import UserLimits
from instantiator.web import shelf
from instantiator.web.portal import Portal
from provenance.record import format_time
from tests.fakes_session import NOON
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


def test_the_catalogue_says_how_each_recipe_stands_here(client: Client, portal: Portal) -> None:
    home, path = portal.bench.settings.home, "/recipes?words=rosetta-eps"
    (before,) = client.get(path).json()["recipes"]
    assert (before["status"], before["verified"]) == ("built", None)
    tested = Evidence(
        kind="test", recipe=RECIPE, image=before["image"], when=NOON, grade="passed", seconds=61.0
    )
    note_evidence(home, tested)
    (after,) = client.get(path).json()["recipes"]
    assert (after["status"], after["verified"]) == ("verified", format_time(NOON))
    (version,) = client.get("/recipes/rosetta-eps/versions").json()["recipes"]
    assert version == after
    note_evidence(home, replace(tested, when=NOON + timedelta(days=1), grade="failed"))
    (failed,) = client.get(path).json()["recipes"]
    assert (failed["status"], failed["verified"]) == ("built", None)
    assert failed["details"] == ["its smoke tests failed on 2026-11-21"]


def test_the_whole_catalogue_is_given_where_it_is_asked_for(
    client: Client, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = CatalogEntry(name="fv", version="5.4", title="fv", awaits=("fv.tar.gz",))
    gone = CatalogEntry(name="fv", version="5.3", title="fv", retired="too old", superseded_by="fv/5.4")
    entries = (gone, old, replace(old, version="5.5.2", awaits=()))
    monkeypatch.setattr(shelf, "read_catalog", lambda _folder: entries)

    def versions(query: str) -> list[str]:
        return [item["version"] for item in client.get(f"/recipes{query}").json()["recipes"]]

    assert versions("") == ["5.5.2"]
    assert versions("?every=true") == ["5.4", "5.5.2"]
    first, second, _ = client.get("/recipes?every=true&retired=true").json()["recipes"]
    assert (first["retired"], first["superseded_by"]) == ("too old", "fv/5.4")
    assert (second["status"], second["awaits"]) == ("awaiting deposit", ["fv.tar.gz"])


def test_no_more_sessions_are_opened_than_a_user_may_have(stranger: Client, portal: Portal) -> None:
    portal.users.people.set_limits("william", UserLimits(sessions=1))
    assert stranger.post("/sessions", {"recipe": "saoimage-ds9"}).status_code == 201
    refused = stranger.post("/sessions", {"recipe": "saoimage-ds9"})
    assert (refused.status_code, refused.json()["code"]) == (429, "session-limit")
