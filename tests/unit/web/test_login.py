"""A deep link leads back after the login, and never anywhere else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from instantiator.session.tickets import Right, RightKind
from instantiator.web.app import create_app
from instantiator.web.pages import own_page
from instantiator.web.portal import Portal
from tests.fakes_session import NOON
from tests.unit.web.conftest import ORIGIN

DEEP = "/open/eso-midas/22.02pl1.0?gui=main"


def token_of(portal: Portal) -> str:
    until = NOON + timedelta(hours=1)
    right = Right(kind=RightKind.TOKEN, user="caroline", session="", view_only=False, expires=until)
    return portal.tickets.issue(right, now=NOON)


@pytest.fixture
def stranger(portal: Portal) -> TestClient:
    return TestClient(create_app(portal), base_url=ORIGIN, follow_redirects=False)


def test_a_page_that_needs_a_login_asks_for_it_and_remembers_where_to_go(stranger: TestClient) -> None:
    answer = stranger.get(DEEP)
    assert answer.status_code == 401
    assert f'name="next" value="{DEEP}"' in answer.text


def test_a_login_leads_on_to_the_page_that_was_asked_for(stranger: TestClient, portal: Portal) -> None:
    address = f"{ORIGIN}/login?token={token_of(portal)}&next=/"
    form = {"token": address, "next": DEEP}
    answer = stranger.post("/login", data=form, headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.headers["Location"]) == (303, DEEP)
    assert stranger.get(DEEP).status_code == 200


def test_an_address_with_a_token_may_name_the_page_to_go_to(stranger: TestClient, portal: Portal) -> None:
    answer = stranger.get("/login", params={"token": token_of(portal), "next": DEEP})
    assert answer.headers["Location"] == DEEP


def test_a_wrong_token_is_told_and_the_page_is_not_forgotten(stranger: TestClient) -> None:
    answer = stranger.post("/login", data={"token": "old", "next": DEEP}, headers={"Origin": ORIGIN})
    assert answer.status_code == 401
    assert "used already" in answer.text
    assert f'value="{DEEP}"' in answer.text


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/sessions\r\nSet-Cookie: a=b",
        "/café",
        "/login?token=x",
        "/logout",
        "/api/sessions",
        "",
    ],
)
def test_no_login_leads_out_of_the_portal(stranger: TestClient, portal: Portal, elsewhere: str) -> None:
    form = {"token": token_of(portal), "next": elsewhere}
    answer = stranger.post("/login", data=form, headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    got = stranger.get("/login", params={"token": token_of(portal), "next": elsewhere})
    assert got.headers["Location"] == "/"


@pytest.mark.parametrize("path", ["/", DEEP, "/runs?state=failed&recipe=iraf%2F2.17", "/?q=a//b"])
def test_the_portals_own_pages_are_led_to(path: str) -> None:
    assert own_page(path) == path
