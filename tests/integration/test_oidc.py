"""Log in by a real OpenID Connect provider, and every answer of it that must not log in."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient

from instantiator.oidc_settings import OidcSettings
from instantiator.secret import Secret
from instantiator.users import Event, Role
from instantiator.web.app import create_app
from instantiator.web.oidc import Provider
from instantiator.web.portal import Portal
from tests.unit.web.conftest import ORIGIN
from tests.unit.web.conftest import portal as bare_portal

__all__ = ["bare_portal"]
SCRIPTS = Path(__file__).parents[1] / "oidc"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The provider as a process of its own."""
    folder = tmp_path_factory.mktemp("oidc")
    for name in ("package.json", "package-lock.json", "provider.mjs"):
        shutil.copy(SCRIPTS / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            ["node", "provider.mjs", "caroline"],
            cwd=folder,
            env={**os.environ, "NODE_ENV": "test"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port.isdigit(), (folder / "log").read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def settings_of(issuer: str) -> OidcSettings:
    return OidcSettings(
        issuer=issuer,
        client_id="thaw",
        client_secret=Secret("the-secret-of-thaw"),
        roles=(("astro-curators", "curator"),),
    )


@pytest.fixture
def portal(bare_portal: Portal, issuer: str) -> Portal:
    return replace(bare_portal, provider=Provider(settings_of(issuer)), clock=lambda: datetime.now(UTC))


@pytest.fixture
def browser(portal: Portal) -> Iterator[TestClient]:
    with TestClient(create_app(portal), base_url=ORIGIN, follow_redirects=False) as made:
        yield made


def walk(browser: TestClient, person: str, **changed: str) -> str:
    """Begin a login and do what a browser does at the provider; the address it is led back to."""
    begun = browser.get("/login/oidc?next=/runs")
    assert begun.status_code == 303
    address = urlsplit(begun.headers["location"])
    asked = {key: values[0] for key, values in parse_qs(address.query).items()}
    assert asked["code_challenge_method"] == "S256"
    asked |= {"login_hint": person, **changed}
    url = address._replace(query=urlencode(asked)).geturl()
    with httpx.Client(trust_env=False) as away:
        for _ in range(10):
            url = str(httpx.URL(url).join(away.get(url).headers["location"]))
            if url.startswith(ORIGIN):
                return url.removeprefix(ORIGIN)
    raise AssertionError(f"the provider does not lead back: {url}")


def refused(browser: TestClient, path: str, words: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 401
    assert words in answer.text, answer.text
    assert "login-refused" in answer.text
    assert browser.get("/runs").status_code == 401


def test_who_logs_in_at_the_provider_has_the_role_of_the_group(portal: Portal, browser: TestClient) -> None:
    answer = browser.get(walk(browser, "ada"))
    assert (answer.status_code, "You are ada here" in answer.text) == (200, True)
    assert 'content="0; url=/runs"' in answer.text
    assert browser.get("/runs").status_code == 200
    ada = portal.users.people.get("ada")
    assert (ada.roles, ada.groups) == (frozenset({Role.CURATOR}), frozenset({"astro-curators", "vlt"}))
    assert portal.users.audit.page(1, event=Event.LOGIN)[0].user == "ada"
    browser.get(walk(browser, "ada"))
    assert len(portal.users.people.all()) == 2


def test_the_login_page_offers_it(browser: TestClient) -> None:
    assert "Log in at http://127.0.0.1" in browser.get("/login").text


def test_a_wrong_state_is_refused(browser: TestClient) -> None:
    refused(browser, walk(browser, "ada", state="another"), "not to the login this browser began (state)")


def test_a_wrong_nonce_is_refused(browser: TestClient) -> None:
    refused(browser, walk(browser, "ada", nonce="another"), "id_token is not good")


def test_a_wrong_pkce_challenge_is_refused(browser: TestClient) -> None:
    refused(browser, walk(browser, "ada", code_challenge="x" * 43), "did not take the code")


def test_an_answer_comes_back_once(browser: TestClient) -> None:
    path = walk(browser, "ada")
    assert browser.get(path).status_code == 200
    browser.cookies.clear()
    refused(browser, path, "began no such login")


def test_a_code_used_already_is_refused_in_another_login_too(browser: TestClient) -> None:
    used = walk(browser, "ada")
    assert browser.get(used).status_code == 200
    browser.cookies.clear()
    fresh = walk(browser, "ada")
    code = parse_qs(urlsplit(used).query)["code"][0]
    asked = {key: values[0] for key, values in parse_qs(urlsplit(fresh).query).items()}
    refused(browser, f"/login/oidc/done?{urlencode({**asked, 'code': code})}", "did not take the code")


def test_a_login_another_browser_began_is_refused(portal: Portal, browser: TestClient) -> None:
    path = walk(browser, "ada")
    with TestClient(create_app(portal), base_url=ORIGIN, follow_redirects=False) as victim:
        refused(victim, path, "began no such login")


def test_an_expired_id_token_is_refused(portal: Portal) -> None:
    late = replace(portal, clock=lambda: datetime.now(UTC) + timedelta(minutes=5))
    with TestClient(create_app(late), base_url=ORIGIN, follow_redirects=False) as browser:
        refused(browser, walk(browser, "ada"), "id_token is not good")


def test_an_answer_of_another_issuer_is_refused(browser: TestClient) -> None:
    asked = {key: values[0] for key, values in parse_qs(urlsplit(walk(browser, "ada")).query).items()}
    path = f"/login/oidc/done?{urlencode({**asked, 'iss': 'https://evil.test'})}"
    refused(browser, path, "another provider")


def test_a_provider_that_calls_itself_otherwise_is_refused(portal: Portal, issuer: str) -> None:
    other = Provider(settings_of(issuer.replace("127.0.0.1", "localhost")))
    with TestClient(create_app(replace(portal, provider=other)), base_url=ORIGIN) as browser:
        answer = browser.get("/login/oidc")
    assert (answer.status_code, "calls itself" in answer.text) == (401, True)


def test_a_provider_that_does_not_answer_is_told_in_words(portal: Portal) -> None:
    gone = Provider(settings_of("http://127.0.0.1:9"))
    with TestClient(create_app(replace(portal, provider=gone)), base_url=ORIGIN) as browser:
        answer = browser.get("/login/oidc")
    assert (answer.status_code, "cannot be asked" in answer.text) == (401, True)


def test_a_wrong_client_secret_is_refused(portal: Portal, issuer: str) -> None:
    wrong = Provider(replace(settings_of(issuer), client_secret=Secret("guessed")))
    app = create_app(replace(portal, provider=wrong))
    with TestClient(app, base_url=ORIGIN, follow_redirects=False) as browser:
        refused(browser, walk(browser, "ada"), "did not take the code")


def test_who_says_no_at_the_provider_is_told_so(browser: TestClient) -> None:
    refused(browser, walk(browser, "nobody"), "did not log you in: not you")


def test_a_group_without_a_role_lets_nobody_in(portal: Portal, browser: TestClient) -> None:
    refused(browser, walk(browser, "isaac"), "no group of yours has a role")
    assert portal.users.people.find("isaac") is None


def test_an_invited_user_comes_in_with_the_role_given_here(portal: Portal, browser: TestClient) -> None:
    portal.users.people.add("isaac", [Role.SCIENTIST], now=datetime.now(UTC), is_external=True)
    assert browser.get(walk(browser, "isaac")).status_code == 200
    assert portal.users.people.get("isaac").subject.endswith(" isaac")


@pytest.mark.parametrize("taken", ["local", "token", "removed", "bound"])
def test_the_provider_cannot_give_somebody_elses_name_away(
    portal: Portal, browser: TestClient, taken: str
) -> None:
    people, now = portal.users.people, datetime.now(UTC)
    person = "root" if taken == "local" else "ada"
    if taken != "local":
        people.add("ada", [Role.OPERATOR], now=now, is_external=taken == "bound")
    if taken == "bound":
        people.bind("ada", "https://other.test ada")
    if taken == "removed":
        people.remove("ada", now=now)
    refused(browser, walk(browser, person), "is somebody else")


def test_new_keys_of_the_provider_are_asked_for(portal: Portal, browser: TestClient, issuer: str) -> None:
    times = iter(range(0, 10_000, 10))
    provider = Provider(settings_of(issuer), monotonic=lambda: float(next(times)))
    with TestClient(
        create_app(replace(portal, provider=provider)), base_url=ORIGIN, follow_redirects=False
    ) as rotating:
        assert rotating.get(walk(rotating, "ada")).status_code == 200
        assert httpx.get(f"{issuer}/rotate", trust_env=False).text == "rotated"
        assert rotating.get(walk(rotating, "ada")).status_code == 200


def test_the_secret_is_shown_nowhere(issuer: str) -> None:
    assert "the-secret" not in repr(settings_of(issuer))
