"""Every route of the service, asked by everybody: what no rule allows is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from instantiator.dataset import add_dataset
from instantiator.session.model import OpenSession
from instantiator.users import Role, Scope, Thing, scopes_of
from instantiator.web.access import need, principal_of, writer_of
from instantiator.web.app import create_app
from instantiator.web.guard import require_user, require_writer
from instantiator.web.portal import Portal
from instantiator.web.rules import Door, rules_for
from provenance.store import NewRun, this_process
from tests.fakes_session import NOON
from tests.unit.web.conftest import portal

__all__ = ["portal"]
ORIGIN = "http://portal.test"
HOUR = timedelta(hours=1)
BY_RULE = {require_user, require_writer, principal_of, writer_of}
UNKNOWN = {
    "run": "20200101-000000-none",
    "session": "20200101-000000-none",
    "name": "none",
    "number": "0",
    "service": "none/none",
}


@dataclass(frozen=True)
class Route:
    """One method of one route, and the functions its dependencies call."""

    method: str
    path: str
    calls: frozenset[Any]

    def filled(self, **values: str) -> str:
        known = {**UNKNOWN, **values}
        return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: known.get(found[1], "none"), self.path)

    def needs(self) -> Scope | Door:
        (rule,) = rules_for(self.method, self.filled())
        return rule.needs

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def routes_of(app: FastAPI, prefix: str = "") -> Iterator[Route]:
    """All routes, those of mounted applications too; static files are no route of ours."""
    for found in iter_route_contexts(app.routes):
        below = getattr(found.original_route, "app", None)
        if isinstance(below, FastAPI):
            yield from routes_of(below, prefix + found.original_route.path)  # type: ignore[attr-defined]  # a Mount
        elif found.path != "/static":
            calls = _calls(found.dependant)
            for method in sorted(found.methods or ()):
                yield Route(method, f"{prefix}{found.path}", calls)


def _calls(dependant: Any) -> frozenset[Any]:
    below = frozenset(call for item in dependant.dependencies for call in _calls(item))
    return below | {dependant.call}


@pytest.fixture
def routes(portal: Portal) -> list[Route]:
    return list(routes_of(create_app(portal)))


def test_each_route_has_exactly_one_rule(routes: list[Route]) -> None:
    counted = {str(route): len(rules_for(route.method, route.filled())) for route in routes}
    assert len(counted) > 50
    assert {route: count for route, count in counted.items() if count != 1} == {}


def test_each_route_asks_for_the_scope_its_rule_names(routes: list[Route]) -> None:
    """A route has a dependency that decides, and it decides as the table says."""
    for route in routes:
        needs = route.needs()
        asked = {scope for scope in Scope if need(scope) in route.calls}
        by_rule = bool(route.calls & BY_RULE)
        if isinstance(needs, Door):
            assert not asked, str(route)
            assert not by_rule, str(route)
        else:
            assert by_rule or asked, f"{route} has no dependency that decides"
            assert asked <= {needs}, str(route)


def test_what_a_page_of_ours_changes_needs_the_guard(routes: list[Route]) -> None:
    for route in routes:
        if route.method not in ("GET", "HEAD") and isinstance(route.needs(), Scope):
            is_guarded = require_writer in route.calls or any(need(s) in route.calls for s in Scope)
            assert is_guarded, str(route)


ROLES = {"william": Role.SCIENTIST, "ada": Role.CURATOR, "vera": Role.OPERATOR}


@pytest.fixture
def tokens(portal: Portal) -> dict[str, str]:
    """A token of everybody, with all scopes."""
    people = portal.users.people
    people.add("ada", [Role.CURATOR], now=NOON)
    people.add("vera", [Role.OPERATOR], now=NOON)
    people.add("isaac", [], now=NOON)
    return {
        user: portal.users.tokens.new(user, Scope, label=user, expires=NOON + HOUR, now=NOON).text
        for user in (*ROLES, "isaac", "caroline")
    }


@pytest.fixture
def client(portal: Portal) -> Iterator[TestClient]:
    with TestClient(
        create_app(portal), base_url=ORIGIN, raise_server_exceptions=False, follow_redirects=False
    ) as made:
        yield made


def ask(client: TestClient, route: Route, token: str | None, **values: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.request(route.method, route.filled(**values), headers=headers)


def test_nobody_gets_in_without_or_with_an_expired_token(
    portal: Portal, client: TestClient, routes: list[Route]
) -> None:
    old = portal.users.tokens.new("caroline", Scope, label="", expires=NOON, now=NOON - HOUR).text
    for route in routes:
        if isinstance(route.needs(), Scope):
            for token in (None, old, "thaw_made-up"):
                assert ask(client, route, token).status_code == 401, (str(route), token)


def test_a_token_with_every_scope_but_the_right_one_is_refused(
    portal: Portal, client: TestClient, routes: list[Route]
) -> None:
    small = {
        needs: portal.users.tokens.new(
            "caroline", set(Scope) - {needs}, label="", expires=NOON + HOUR, now=NOON
        ).text
        for needs in Scope
    }
    for route in routes:
        needs = route.needs()
        if isinstance(needs, Scope):
            assert ask(client, route, small[needs]).status_code == 403, str(route)


def test_each_role_gets_what_it_may_and_nothing_else(
    client: TestClient, routes: list[Route], tokens: dict[str, str]
) -> None:
    """Refused means 403; allowed means that the request itself is looked at: here nothing asked for exists."""
    for route in routes:
        needs = route.needs()
        if not isinstance(needs, Scope) or route.path.endswith(("/vault/audit", "/doctor")):
            continue
        for user, role in {**ROLES, "isaac": None}.items():
            status = ask(client, route, tokens[user]).status_code
            is_allowed = needs in scopes_of([role] if role else [])
            by_token_never = route.method == "POST" and route.path.startswith("/tokens")
            if is_allowed and not by_token_never:
                assert status not in (401, 403) and status < 500, (str(route), user, status)
            else:
                assert status == 403, (str(route), user, status)


@pytest.fixture
def theirs(portal: Portal, tmp_path: Path) -> dict[str, str]:
    """A run, a session and a dataset of William's."""
    run = "20261120-120002-cccc"
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
            user="william",
        )
    )
    session = portal.sessions.open(OpenSession(user="william", recipe="saoimage-ds9/8.4.1"))
    (tmp_path / "m31.txt").write_text("a galaxy")
    bench = portal.bench
    add_dataset(tmp_path / "m31.txt", vault=bench.vault, store=bench.store, now=NOON, name="m31")
    portal.users.shares.own(Thing.DATASET, "m31", "william")
    return {"run": run, "session": session.id, "reference": "m31"}


SERVICE = "rosetta-eps/simulate"
UNKNOWN_THINGS = {"run": "20200101-000000-none", "session": "20200101-000000-f999", "reference": "m32"}


def test_somebody_elses_thing_answers_as_an_unknown_one_on_every_route(
    client: TestClient, routes: list[Route], tokens: dict[str, str], theirs: dict[str, str]
) -> None:
    asked = 0
    for route in routes:
        if not isinstance(route.needs(), Scope):
            continue
        for what, name in theirs.items():
            if f"{{{what}}}" not in route.path:
                continue
            unknown = UNKNOWN_THINGS[what]
            found = [
                ask(client, route, tokens["ada"], service=SERVICE, **{what: item}) for item in (name, unknown)
            ]
            assert found[0].status_code == found[1].status_code, (str(route), found[0].text)
            assert found[0].status_code in (404, 422), (str(route), found[0].text)
            assert found[0].text.replace(name, unknown) == found[1].text, str(route)
            assert set(found[0].headers) == set(found[1].headers), str(route)
            asked += found[0].status_code == 404
    assert asked > 25


def test_the_owner_does_see_them(client: TestClient, tokens: dict[str, str], theirs: dict[str, str]) -> None:
    """Else the test above would show nothing."""
    for path in (f"/api/runs/{theirs['run']}", f"/api/sessions/{theirs['session']}"):
        assert ask(client, Route("GET", path, frozenset()), tokens["william"]).status_code == 200
