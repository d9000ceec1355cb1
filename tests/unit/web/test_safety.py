"""Who gets in, and what other sites' pages cannot do."""

from __future__ import annotations

import pytest

from instantiator.web.portal import Portal
from tests.unit.web.conftest import Browser, browser_of


def test_a_login_token_is_good_once_and_gives_a_strict_cookie(portal: Portal) -> None:
    browser = browser_of(portal, "caroline")
    assert browser.client.get("/").status_code == 401
    browser.log_in()
    assert browser.client.get("/").status_code == 200
    assert browser.client.get("/login?token=used").status_code == 401


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://evil.test"}, {"Sec-Fetch-Site": "cross-site"}])
def test_another_sites_page_cannot_end_a_session(browser: Browser, headers: dict[str, str]) -> None:
    session = browser.open()
    guard = {"X-Guard": browser.headers["X-Guard"]}
    answer = browser.client.post(f"/api/sessions/{session}/end", headers={**guard, **headers})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "request-refused")


def test_our_own_origin_without_the_guard_is_refused(browser: Browser) -> None:
    session = browser.open()
    answer = browser.client.post(
        f"/api/sessions/{session}/end", headers={"Origin": browser.headers["Origin"]}
    )
    assert answer.status_code == 403


def test_an_unknown_session_and_another_users_answer_the_same(browser: Browser, other: Browser) -> None:
    theirs = other.open()
    for path in ("", "/files", "/files/preview?path=x"):
        answers = [
            browser.client.get(f"/api/sessions/{name}{path}") for name in (theirs, "20200101-000000-none")
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].json() == answers[1].json()


def test_nothing_inline_may_run(browser: Browser) -> None:
    answer = browser.client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    assert " style=" not in answer.text


def test_the_gateway_redeems_a_ticket_once_and_foreign_ones_never(browser: Browser, other: Browser) -> None:
    session, headers = browser.open(), browser.headers
    got = browser.client.post(
        f"/api/sessions/{session}/ticket", json={"view_only": True}, headers=headers
    ).json()
    asked = {"ticket": got["ticket"], "session": session}
    first, second = (browser.client.post("/internal/redeem", json=asked) for _ in range(2))
    assert (first.status_code, first.json()["view_only"], second.status_code) == (200, True, 403)
    refused = other.client.post(f"/api/sessions/{session}/ticket", json={}, headers=other.headers)
    assert refused.status_code == 404


def test_a_shared_link_buys_view_only_tickets_and_ends_with_the_session(browser: Browser) -> None:
    session, headers = browser.open(), browser.headers
    path = browser.client.post(f"/api/sessions/{session}/share", headers=headers).json()["path"]
    share = {"share": path.partition("#")[2]}
    stranger = browser_of(browser.portal, "nobody").client
    watch = f"/api/watch/{session}/ticket"
    answer = stranger.post(watch, json=share, headers={"Origin": headers["Origin"]})
    redeemed = stranger.post("/internal/redeem", json={"ticket": answer.json()["ticket"], "session": session})
    assert redeemed.json()["view_only"] is True
    browser.client.post(f"/api/sessions/{session}/end", headers=headers)
    assert stranger.post(watch, json=share, headers={"Origin": headers["Origin"]}).status_code == 403
