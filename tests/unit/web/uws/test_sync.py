"""The synchronous form: answered at once, refused where it may take long, told when it does."""

from __future__ import annotations

import io
from threading import Thread, Timer
from time import monotonic, sleep

import pytest
from astropy.io.votable import parse

from instantiator.users import Scope
from instantiator.web.portal import Portal
from provenance.record import RunState
from tests.unit.web.api.conftest import complete
from tests.unit.web.conftest import Browser
from tests.unit.web.uws.conftest import SERVICE, Client, client_of

pytestmark = pytest.mark.usefixtures("cruise")
SHORT = {"scenario": "cruise", "EXECUTIONDURATION": "40"}


def error_of(answer_content: bytes) -> str:
    (info,) = parse(io.BytesIO(answer_content), verify="exception").resources[0].infos
    assert (info.name, info.value) == ("QUERY_STATUS", "ERROR")
    return str(info.content)


def worker(portal: Portal) -> Thread:
    """Ends the first run that is queued, as a worker does."""

    def work() -> None:
        end = monotonic() + 20
        while monotonic() < end:
            for run in portal.queue.page(states=(RunState.QUEUED,)).runs:
                complete(portal, run.id, {"power.out": b"power\n"})
                return
            sleep(0.05)

    made = Thread(target=work)
    made.start()
    return made


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_it_leads_to_the_main_result(portal: Portal, client: Client, method: str) -> None:
    working = worker(portal)
    answer = client.get("/sync", params=SHORT) if method == "GET" else client.post("/sync", SHORT)
    working.join()
    assert answer.status_code == 303, answer.text
    assert client.get(answer.headers["Location"]).content == b"power\n"


def test_a_thread_that_may_take_long_is_refused_with_the_limit(client: Client) -> None:
    answer = client.post("/sync", {"scenario": "cruise"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/x-votable+xml")
    told = error_of(answer.content)
    assert "may take 600 s: expected at most 50 s" in told
    assert client.jobs() == []


def test_a_wrong_parameter_is_a_votable_that_says_so(client: Client) -> None:
    answer = client.post("/sync", {**SHORT, "time_step": "0"})
    assert answer.status_code == 400
    assert "from 1 to 86400" in error_of(answer.content)


def test_a_run_that_is_not_done_in_time_goes_on_as_a_job(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instantiator.web.uws.sync.LIMIT_S", 0.3)
    monkeypatch.setattr("instantiator.web.uws.sync.refuse_long", lambda *_: None)
    answer = client.post("/sync", SHORT)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    (job,) = client.jobs()
    assert job in error_of(answer.content)


def test_a_run_without_a_result_is_a_votable_that_says_why(portal: Portal, client: Client) -> None:
    def stop() -> None:
        while not (runs := portal.queue.page(states=(RunState.QUEUED,)).runs):
            sleep(0.05)
        portal.queue.cancel(runs[0].id, "no room")

    stopping = Thread(target=stop)
    stopping.start()
    answer = client.post("/sync", SHORT)
    stopping.join()
    assert (answer.status_code, "no room" in error_of(answer.content)) == (500, True)


def test_reading_is_not_enough_even_for_a_get(portal: Portal) -> None:
    reader = client_of(portal, "caroline", frozenset({Scope.READ}))
    assert reader.get("/sync", params=SHORT).status_code == 403


def test_a_get_by_cookie_that_another_site_made_is_refused(browser: Browser) -> None:
    headers = {"Origin": "http://elsewhere.test", "Sec-Fetch-Site": "cross-site"}
    for sent in (headers, {}):
        answer = browser.client.get(f"{SERVICE}/sync", params=SHORT, headers=sent)
        assert answer.status_code == 403
    assert browser.portal.queue.page().runs == ()


def test_a_run_that_outlasts_the_service_is_told_in_order(portal: Portal, client: Client) -> None:
    ending = Timer(0.6, portal.gate.end)
    ending.start()
    answer = client.get("/sync", params=SHORT)
    ending.join()
    assert "QUEUED as the service is being stopped" in error_of(answer.content)
    assert answer.status_code == 503
