"""Tokens, scopes, and what is somebody else's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from instantiator.users import Role, Scope, Thing, UserLimits
from instantiator.users.sharing import share_with
from instantiator.web.app import create_app
from instantiator.web.portal import Portal
from provenance.store import NewRun, this_process
from tests.fakes_session import NOON
from tests.unit.web.conftest import ORIGIN, Browser


def token_of(portal: Portal, user: str, *scopes: Scope, until: datetime = NOON + timedelta(hours=1)) -> str:
    made = portal.users.tokens.new(
        user, scopes, label="nightly", expires=until, now=min(NOON, until - timedelta(1))
    )
    return made.text


def script_of(portal: Portal, token: str) -> TestClient:
    return TestClient(create_app(portal), base_url=ORIGIN, headers={"Authorization": f"Bearer {token}"})


def begin_run(portal: Portal, run: str, user: str | None) -> str:
    portal.bench.store.begin_run(
        NewRun(
            id=run,
            kind="thread",
            recipe="rosetta-eps/9.3.35",
            thread="simulate",
            parameters={},
            inputs={},
            submitted=NOON,
            owner=this_process(),
            user=user,
        )
    )
    return run


def code_of(answer: Any) -> str:
    data = answer.json()
    return str(data["error"]["code"] if "error" in data else data["code"])


def test_a_script_with_a_token_needs_no_page_and_no_guard(portal: Portal) -> None:
    script = script_of(portal, token_of(portal, "william", Scope.SESSION))
    opened = script.post("/api/sessions", json={"recipe": "saoimage-ds9/8.4.1"})
    assert opened.status_code == 201
    assert portal.sessions.list("william")[0].id == opened.json()["id"]


def test_a_token_without_the_scope_is_told_which_one_is_missing(portal: Portal) -> None:
    script = script_of(portal, token_of(portal, "william", Scope.READ))
    answer = script.post("/api/sessions", json={"recipe": "saoimage-ds9/8.4.1"})
    assert (answer.status_code, code_of(answer)) == (403, "scope-missing")
    assert "needs the scope 'session'; yours are read" in answer.json()["error"]["message"]


def test_a_scope_the_users_role_lost_is_lost_to_the_token_too(portal: Portal) -> None:
    script = script_of(portal, token_of(portal, "william", Scope.READ, Scope.OPERATE))
    assert script.get("/audit").status_code == 403
    portal.users.people.set_roles("william", [])
    assert script.get("/api/runs/x").status_code == 403


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Bearer thaw_unknown", "token-refused"),
        ("Bearer ", "token-refused"),
        ("Basic d2lsbGlhbTp4", "token-refused"),
        ("", "token-refused"),
    ],
)
def test_a_bad_authorization_is_refused_though_a_good_cookie_is_there(
    browser: Browser, header: str, code: str
) -> None:
    answer = browser.client.get("/api/sessions", headers={"Authorization": header})
    assert (answer.status_code, code_of(answer)) == (401, code)


def test_an_expired_token_is_told_so_and_what_it_began_goes_on(portal: Portal) -> None:
    begin_run(portal, "20261120-120000-zzzz", "william")
    script = script_of(portal, token_of(portal, "william", Scope.READ, until=NOON))
    answer = script.get("/api/runs/20261120-120000-zzzz")
    assert (answer.status_code, code_of(answer)) == (401, "token-expired")
    assert "goes on" in answer.json()["error"]["hint"]
    assert not portal.bench.store.run("20261120-120000-zzzz").state.is_final()


def test_somebody_elses_run_answers_as_an_unknown_one_by_every_way_to_name_it(
    browser: Browser, other: Browser
) -> None:
    mine, theirs, unknown = "20261120-120001-bbbb", "20261120-120002-cccc", "20261120-120003-dddd"
    begin_run(browser.portal, mine, "caroline")
    begin_run(browser.portal, theirs, "william")
    assert browser.client.get(f"/api/runs/{mine}").status_code == 200
    for ending in ("", "/outputs/0/preview"):
        asked = [browser.client.get(f"/api/runs/{run}{ending}") for run in (theirs, unknown)]
        assert [answer.status_code for answer in asked] == [404, 404]
        assert asked[0].text.replace(theirs, unknown) == asked[1].text
        theirs_told, unknown_told = ({**answer.headers, "x-request-id": ""} for answer in asked)
        assert theirs_told == unknown_told
    for part in ("20261120-120002", "cccc"):
        assert code_of(browser.client.get(f"/api/runs/{part}")) == "run-unknown"
    # Two runs begin like this, and one is somebody else's: that there are two is not told.
    assert code_of(browser.client.get("/api/runs/20261120-12000")) == "run-unknown"
    assert mine not in other.client.get("/runs").text
    assert theirs in other.client.get("/runs").text


def test_a_run_of_nobody_is_the_local_users(browser: Browser, other: Browser) -> None:
    run = begin_run(browser.portal, "20261120-120004-ffff", None)
    assert run in browser.client.get("/runs").text
    assert browser.client.get(f"/api/runs/{run}").status_code == 200
    assert other.client.get(f"/api/runs/{run}").status_code == 404


def test_a_shared_run_is_seen_and_not_changed(browser: Browser, other: Browser) -> None:
    run = begin_run(browser.portal, "20261120-120005-gggg", "caroline")
    answer = browser.client.post(f"/share/run/{run}", data={"whom": "william"}, headers=browser.headers)
    assert "user william" in answer.text
    assert other.client.get(f"/api/runs/{run}").status_code == 200
    assert run in other.client.get("/runs").text
    assert other.client.post(f"/runs/{run}/verify", headers=other.headers).status_code == 404
    assert other.client.get(f"/share/run/{run}").status_code == 404


def test_a_shared_session_is_watched_only(browser: Browser, other: Browser) -> None:
    session = browser.open()
    assert other.client.get(f"/api/sessions/{session}").status_code == 404
    assert other.client.get(f"/sessions/{session}").status_code == 404
    share_with(browser.portal.users, Thing.SESSION, session, "everyone")
    assert other.client.get(f"/api/sessions/{session}").status_code == 200
    page = other.client.get(f"/sessions/{session}")
    assert (page.status_code, 'data-own-right="yes"' in page.text) == (200, True)
    assert "You look on; you cannot type." in page.text
    assert 'id="end"' not in page.text
    assert 'id="end"' in browser.client.get(f"/sessions/{session}").text
    got = other.client.post(
        f"/api/sessions/{session}/ticket", json={"view_only": False}, headers=other.headers
    )
    redeemed = other.client.post(
        "/internal/redeem", json={"ticket": got.json()["ticket"], "session": session}
    )
    assert redeemed.json()["view_only"] is True
    assert other.client.post(f"/api/sessions/{session}/end", headers=other.headers).status_code == 404
    assert other.client.get(f"/api/sessions/{session}/files").status_code == 404


def test_a_token_is_made_in_the_portal_shown_once_and_makes_no_token_itself(browser: Browser) -> None:
    form = {"label": "nightly", "scope": ["read", "run"], "days": "7"}
    page = browser.client.post("/tokens", data=form, headers=browser.headers).text
    text = page.partition('id="new-token">')[2].partition("<")[0]
    assert text.startswith("thaw_")
    assert text not in browser.client.get("/tokens").text
    script = script_of(browser.portal, text)
    assert script.get("/runs").status_code == 200
    assert script.post("/tokens", data=form).status_code == 403
    token = browser.portal.users.tokens.of("caroline")[0].id
    browser.client.post(f"/tokens/{token}/revoke", headers=browser.headers)
    assert script.get("/runs").status_code == 401


def test_a_token_never_gets_a_scope_its_maker_has_not(other: Browser) -> None:
    form = {"label": "more", "scope": ["read", "operate"], "days": "7"}
    other.client.post("/tokens", data=form, headers=other.headers)
    assert other.portal.users.tokens.of("william")[0].scopes == {Scope.READ}


def test_the_operator_adds_changes_and_removes_users_and_all_of_it_is_written_down(browser: Browser) -> None:
    headers, people = browser.headers, browser.portal.users.people
    browser.client.post("/users", data={"name": "isaac", "role": "scientist"}, headers=headers)
    changed = {"role": ["curator"], "groups": "vlt, euclid"}
    limits = {"queued": "5", "executing": "1", "sessions": "2", "upload_gb": "1.5"}
    browser.client.post("/users/isaac", data={**changed, **limits}, headers=headers)
    isaac = people.get("isaac")
    assert (isaac.roles, isaac.groups) == (frozenset({Role.CURATOR}), frozenset({"vlt", "euclid"}))
    assert (isaac.limits.queued, isaac.limits.upload_bytes) == (5, 1_500_000_000)
    assert "isaac" in browser.client.get("/users").text
    browser.client.post("/users/isaac/remove", headers=headers)
    assert people.find("isaac") is None
    told = browser.client.get("/audit?event=user").text
    assert "added: scientist" in told
    assert "removed" in told
    assert browser.portal.users.audit.check().is_sound


def test_a_removed_users_cookie_lets_nobody_in(browser: Browser, other: Browser) -> None:
    assert other.client.get("/").status_code == 200
    browser.portal.users.people.remove("william", now=NOON)
    assert other.client.get("/").status_code == 401


def test_what_was_refused_is_in_the_audit_log(other: Browser) -> None:
    assert other.client.get("/users").status_code == 403
    entry = other.portal.users.audit.page(1)[0]
    assert (entry.event, entry.user, entry.subject) == ("refused", "william", "GET /users")


def test_a_users_limits_name_limit_and_value(other: Browser) -> None:
    other.portal.users.people.set_limits("william", UserLimits(sessions=1, upload_bytes=10))
    session, headers = other.open(), other.headers
    answer = other.client.post("/api/sessions", json={"recipe": "saoimage-ds9/8.4.1"}, headers=headers)
    assert (answer.status_code, code_of(answer)) == (429, "session-limit")
    assert "1 sessions open: at most 1" in answer.json()["error"]["message"]
    upload = f"/api/sessions/{session}/files/upload?path=x&size=11&offset=0"
    assert other.client.put(upload, content=b"x" * 11, headers=headers).status_code == 413


def test_a_dataset_of_somebody_else_cannot_be_taken_into_a_session(other: Browser) -> None:
    asked = {"recipe": "saoimage-ds9/8.4.1", "datasets": ["m31"]}
    answer = other.client.post("/api/sessions", json=asked, headers=other.headers)
    assert (answer.status_code, code_of(answer)) == (404, "dataset-unknown")
