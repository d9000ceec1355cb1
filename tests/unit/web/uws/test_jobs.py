"""The list of jobs: creation, refusal, filters."""

from __future__ import annotations

import pytest

from instantiator.users import Scope
from instantiator.web.portal import Portal
from tests.unit.web.test_access import begin_run
from tests.unit.web.uws.conftest import HREF, ORIGIN, SERVICE, Client, client_of, id_of, text_of

pytestmark = pytest.mark.usefixtures("cruise")


def test_a_form_makes_a_pending_job_and_leads_to_it(client: Client) -> None:
    path = client.create(time_step="60")
    assert path.startswith(f"{SERVICE}/2")
    job = client.xml(path)
    assert (text_of(job, "uws:phase"), text_of(job, "uws:jobId")) == ("PENDING", id_of(path))


def test_a_job_created_with_phase_run_is_queued(client: Client) -> None:
    assert client.get(f"{client.create(PHASE='RUN')}/phase").text == "QUEUED"


def test_names_are_read_whatever_their_case(client: Client) -> None:
    job = client.xml(client.create(TIME_STEP="60", phase="RUN", RunId="night 42"))
    assert (text_of(job, "uws:phase"), text_of(job, "uws:runId")) == ("QUEUED", "night 42")
    assert text_of(job, "uws:parameters/uws:parameter[@id='time_step']") == "60"


def test_limit_and_destruction_may_come_with_the_form(client: Client) -> None:
    job = client.xml(client.create(EXECUTIONDURATION="40", DESTRUCTION="2030-01-01T00:00:00Z"))
    assert text_of(job, "uws:executionDuration") == "40"
    assert text_of(job, "uws:destruction") == "2030-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"time_step": "0"}, "from 1 to 86400"),
        ({"stride": "1"}, "no parameter 'stride'"),
        ({"scenario": "nowhere"}, "nowhere"),
        ({"scenario": "/etc"}, "is not a name"),
        ({"PHASE": "GO"}, "PHASE has to be RUN"),
        ({"DESTRUCTION": "soon"}, "a time in UTC"),
        ({"EXECUTIONDURATION": "-1"}, "a whole number from 0 on"),
        ({"UPLOAD": "kernel,param:x"}, "scenario"),
        ({"scenario": ""}, ""),
    ],
)
def test_a_job_that_cannot_be_is_refused_and_not_kept(
    client: Client, form: dict[str, str], told: str
) -> None:
    answer = client.post("", {"scenario": "cruise", **form})
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "text/plain; charset=utf-8")
    assert told in answer.text
    assert client.jobs() == []


def test_what_cannot_be_because_a_limit_is_reached_says_when_to_come_again(
    portal: Portal, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from instantiator.queue.model import QueueLimits

    monkeypatch.setattr(portal.queue, "limits", QueueLimits(queued_together=1))
    client.create(PHASE="RUN")
    answer = client.post("", {"scenario": "cruise", "PHASE": "RUN", "time_step": "9"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (403, "5")
    assert "1 runs wait, and no more than 1 may" in answer.text


def test_the_list_shows_phase_owner_and_creation_of_each_job(client: Client) -> None:
    path = client.create(RUNID="night 42")
    (shown,) = client.xml()
    assert (shown.get("id"), shown.get(HREF)) == (id_of(path), ORIGIN + path)
    told = [text_of(shown, f"uws:{name}") for name in ("phase", "runId", "ownerId", "creationTime")]
    assert told == ["PENDING", "night 42", "caroline", text_of(client.xml(path), "uws:creationTime")]
    assert client.xml().get("version") == client.xml(path).get("version") == "1.1"


def test_phase_may_be_given_several_times(client: Client) -> None:
    pending, queued = client.create(), client.create(PHASE="RUN")
    assert client.jobs("?PHASE=PENDING") == [id_of(pending)]
    assert client.jobs("?PHASE=PENDING&phase=QUEUED") == [id_of(queued), id_of(pending)]
    for none in ("ARCHIVED", "HELD", "SUSPENDED", "UNKNOWN", "COMPLETED"):
        assert client.jobs(f"?PHASE={none}") == []


def test_after_is_strictly_after_and_takes_times_as_they_are_published(client: Client) -> None:
    older, newer = client.create(), client.create()
    when = text_of(client.xml(older), "uws:creationTime")
    assert client.jobs(f"?AFTER={when}") == [id_of(newer)]
    assert client.jobs("?AFTER=2020-01-01") == [id_of(newer), id_of(older)]
    assert client.jobs("?AFTER=2100-01-01T00:00:00") == []


def test_last_gives_the_newest_first_and_all_filters_hold_together(client: Client) -> None:
    jobs = [id_of(client.create()) for _ in range(3)]
    client.create(PHASE="RUN")
    assert client.jobs("?LAST=2&PHASE=PENDING") == [jobs[2], jobs[1]]
    first = text_of(client.xml(f"{SERVICE}/{jobs[0]}"), "uws:creationTime")
    assert client.jobs(f"?LAST=5&PHASE=PENDING&AFTER={first}") == [jobs[2], jobs[1]]


@pytest.mark.parametrize("query", ["?PHASE=DONE", "?AFTER=noon", "?LAST=0", "?LAST=all", "?LAST=1&LAST=2"])
def test_a_filter_that_is_none_is_refused(client: Client, query: str) -> None:
    assert client.get(query).status_code == 400


def test_a_list_longer_than_a_page_of_the_queue_is_whole(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instantiator.web.uws.jobs._PAGE", 2)
    jobs = [id_of(client.create()) for _ in range(5)]
    assert client.jobs() == jobs[::-1]


def test_a_version_has_an_address_of_its_own_with_its_own_jobs(client: Client) -> None:
    job = id_of(client.create())
    exact = "/uws/rosetta-eps/9.3.35/simulate"
    assert client.jobs(exact) == [job]
    assert text_of(client.xml(f"{exact}/{job}"), "uws:jobId") == job
    answer = client.post(exact, {"scenario": "cruise"})
    assert answer.headers["Location"].startswith(f"{exact}/2")
    assert client.get(f"/uws/eso-midas/image-statistics/{job}").status_code == 404
    assert client.jobs("/uws/eso-midas/image-statistics") == []


@pytest.mark.parametrize(
    "path",
    [
        "/uws/none/simulate",
        "/uws/rosetta-eps/none",
        "/uws/rosetta-eps/1/simulate",
        "/uws/rosetta-eps",
        "/uws/a/b/c/d",
    ],
)
def test_a_service_that_is_not_there_is_not_found(client: Client, path: str) -> None:
    for answer in (client.get(path), client.post(path, {"scenario": "cruise"})):
        assert answer.status_code == 404
        assert "/recipe" not in answer.text


def test_somebody_elses_jobs_are_not_listed(client: Client, stranger: Client) -> None:
    client.create()
    assert stranger.jobs() == []


def test_a_token_that_only_reads_creates_nothing(portal: Portal) -> None:
    reader = client_of(portal, "caroline", frozenset({Scope.READ}))
    assert reader.post("", {"scenario": "cruise"}).status_code == 403
    assert reader.jobs() == []


def test_a_method_that_is_none_is_refused(client: Client) -> None:
    assert client.http.put(SERVICE).status_code == 405


def test_a_job_of_nobody_is_the_local_users(portal: Portal, client: Client, stranger: Client) -> None:
    run = begin_run(portal, "20200101-000000-aaaa", None)
    assert client.jobs() == [run]
    assert stranger.jobs() == []
