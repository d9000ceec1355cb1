"""A portal with fake sessions and the real recipes, and a browser that is logged in to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from instantiator.commands.common import Bench
from instantiator.queue import Queue
from instantiator.session.model import OpenSession, SessionId
from instantiator.session.tickets import Right, RightKind, Tickets
from instantiator.users import Role, Users
from instantiator.web.app import create_app
from instantiator.web.portal import Portal
from tests.fakes_session import NOON, FakeSessions

ORIGIN = "http://portal.test"


@dataclass
class Browser:
    """A client with a user's cookie; `headers` are what the portal's own pages send."""

    client: TestClient
    portal: Portal
    sessions: FakeSessions
    user: str

    def log_in(self) -> None:
        right = Right(
            kind=RightKind.TOKEN,
            user=self.user,
            session="",
            view_only=False,
            expires=NOON + timedelta(hours=1),
        )
        token = self.portal.tickets.issue(right, now=NOON)
        assert self.client.get(f"/login?token={token}", follow_redirects=False).status_code == 303

    @property
    def headers(self) -> dict[str, str]:
        found = re.search(r'name="guard" content="(\w+)"', self.client.get("/").text)
        assert found is not None
        return {"Origin": ORIGIN, "X-Guard": found[1]}

    def open(self) -> SessionId:
        return self.sessions.open(OpenSession(user=self.user, recipe="saoimage-ds9/8.4.1")).id

    def workspace(self, session: str) -> Path:
        return self.sessions.workspace_dir(session)


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Portal:
    monkeypatch.setenv("THAW_RECIPES", str(Path(__file__).parents[3] / "recipes"))
    users = Users(tmp_path / "users.sqlite")
    users.people.add("william", [Role.SCIENTIST], now=NOON)
    bench = Bench()
    return Portal(
        bench=bench,
        sessions=FakeSessions(tmp_path / "workspaces"),
        tickets=Tickets(tmp_path / "tickets.sqlite"),
        users=users,
        queue=Queue(bench),
        user="caroline",
        clock=lambda: NOON,
        upload_limit=1000,
    )


def browser_of(portal: Portal, user: str) -> Browser:
    assert isinstance(portal.sessions, FakeSessions)
    client = TestClient(create_app(portal), base_url=ORIGIN)
    return Browser(client=client, portal=portal, sessions=portal.sessions, user=user)


@pytest.fixture
def browser(portal: Portal) -> Iterator[Browser]:
    made = browser_of(portal, "caroline")
    made.log_in()
    yield made
    made.client.close()


@pytest.fixture
def other(portal: Portal) -> Iterator[Browser]:
    made = browser_of(portal, "william")
    made.log_in()
    yield made
    made.client.close()
