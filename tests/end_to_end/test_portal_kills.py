"""Two users side by side, and what a session's page says and does when a part of the service is killed under it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.end_to_end.browser import (
    Browser,
    Service,
    chromium,
    containers,
    install_scripts,
    serving,
    wait_until,
)
from tests.end_to_end.conftest import Thaw

pytestmark = [pytest.mark.docker, pytest.mark.network]
RECIPE = "skycat/3.1.2"
VIEW = {"body": {"view_only": False}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    thaw = Thaw(home=tmp_path_factory.mktemp("k") / "home")
    thaw.ok("recipe", "build", "skycat")
    thaw.ok("display", "build")
    with serving(thaw) as running:
        yield running


@pytest.fixture(scope="module")
def browser(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(install_scripts(tmp_path_factory.mktemp("browser"))) as made:
        made("goto", url=service.login)
        yield made


def opened(service: Service, browser: Browser, tab: str, *, as_user: str = "user") -> str:
    browser("goto", tab=tab, as_user=as_user, url=f"{service.base}/open/{RECIPE}")
    browser("fill", tab=tab, on="#workspace", text=tab)
    browser("click", tab=tab, on="button.main.big")
    session = str(browser("arrive", tab=tab, at="/sessions/")).rpartition("/")[2]
    is_connected(browser, tab)
    return session


def is_connected(browser: Browser, tab: str) -> None:
    browser("until", tab=tab, on="#connection", text="connected", timeout=90_000)
    browser("vanish", tab=tab, on="#lost")


def ended(service: Service, browser: Browser, session: str, tab: str) -> None:
    """The session is ended from its page, and no container of it is left."""
    own = {service.container(session, part) for part in ("application", "display")}
    browser("click", tab=tab, on="#end")
    browser("until", tab=tab, on="#connection", text="ended")
    browser("close", tab=tab)
    assert own.isdisjoint(containers(service.thaw.home))


def log_in(service: Service, user: str) -> str:
    """A login address of another user, who is made known first."""
    service.thaw.ok("user", "add", user)
    told = service.thaw.ok("user", "login", user, "--url", service.base)
    return str(told["url"])


def test_two_users_work_side_by_side_and_neither_reaches_the_other(
    service: Service, browser: Browser
) -> None:
    browser("goto", tab="ada", as_user="ada", url=log_in(service, "ada"))
    browser("goto", tab="grace", as_user="grace", url=log_in(service, "grace"))
    adas = opened(service, browser, "ada", as_user="ada")
    graces = opened(service, browser, "grace", as_user="grace")
    unknown = "20200101-000000-xxxx"
    for path, method in (
        ("", "GET"),
        ("/ticket", "POST"),
        ("/extend", "POST"),
        ("/end", "POST"),
        ("/restart", "POST"),
        ("/share", "POST"),
        ("/files", "GET"),
        ("/files/content?path=.Xauthority", "GET"),
    ):
        answers = [
            browser(
                "ask",
                tab="grace",
                path=f"/api/sessions/{one}{path}",
                method=method,
                **(VIEW if path == "/ticket" else {}),
            )
            for one in (adas, unknown)
        ]
        assert answers[0] == answers[1], path
        assert answers[0]["status"] == 404, path
    ticket = browser("ask", tab="ada", path=f"/api/sessions/{adas}/ticket", method="POST", **VIEW)["data"][
        "ticket"
    ]
    assert browser("knock", tab="grace", session=graces, ticket=ticket)["code"] == 4403
    own = browser("ask", tab="grace", path=f"/api/sessions/{graces}/ticket", method="POST", **VIEW)["data"][
        "ticket"
    ]
    assert browser("knock", tab="grace", session=adas, ticket=own)["code"] == 4403
    listed = browser("ask", tab="grace", path="/api/sessions")["data"]
    assert graces in str(listed) and adas not in str(listed)
    ended(service, browser, adas, "ada")
    ended(service, browser, graces, "grace")


def test_a_killed_gateway_is_started_again_and_the_page_connects_by_itself(
    service: Service, browser: Browser
) -> None:
    session = opened(service, browser, "gateway")
    gateway = service.gateway()
    os.kill(gateway, signal.SIGKILL)
    wait_until(lambda: service.has_gateway_besides(gateway))
    browser("until", tab="gateway", on="#connection", text="connect")
    is_connected(browser, "gateway")
    ended(service, browser, session, "gateway")


def test_a_killed_service_is_told_and_its_sessions_go_on(service: Service, browser: Browser) -> None:
    session = opened(service, browser, "service")
    program = service.container(session, "application")
    service.process.kill()
    service.process.wait()
    browser("until", tab="service", on="body", text="does not answer")
    service.start_again()
    is_connected(browser, "service")
    assert service.container(session, "application") == program
    ended(service, browser, session, "service")


def test_a_killed_program_is_told_and_starts_again(service: Service, browser: Browser) -> None:
    session = opened(service, browser, "program")
    kill_container(service.container(session, "application"))
    browser("appear", tab="program", on="#ended-app")
    assert "exit status 137" in browser("text", tab="program", on="#ended-app")
    browser("click", tab="program", on="#restart")
    browser("vanish", tab="program", on="#ended-app")
    wait_until(lambda: service.show(session)["state"] == "ready")
    is_connected(browser, "program")
    ended(service, browser, session, "program")


def test_a_killed_display_is_told_and_the_record_and_the_next_step_offered(
    service: Service, browser: Browser
) -> None:
    session = opened(service, browser, "display")
    own = {service.container(session, part) for part in ("application", "display")}
    kill_container(service.container(session, "display"))
    browser("until", tab="display", on="#over-title", text="This session failed")
    browser("until", tab="display", on="#over-what", text="display ended")
    assert browser("visible", tab="display", on="#over-links a:has-text('Open again')")
    browser("appear", tab="display", on="#record-link")
    assert service.thaw.ok("show", session)["state"] == "failed"
    browser("close", tab="display")
    assert own.isdisjoint(containers(service.thaw.home))


def kill_container(container: str) -> None:
    subprocess.run(["docker", "kill", "-s", "KILL", container], check=True, capture_output=True)
