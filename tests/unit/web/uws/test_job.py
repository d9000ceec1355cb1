"""One job: every resource UWS has for it, and who may touch it."""

from __future__ import annotations

import time
from threading import Timer

import pytest

from instantiator.thread.plan import RunFolders
from instantiator.thread.run import read_draft
from instantiator.web.portal import Portal
from provenance.digest import digest_bytes
from provenance.record import RunState
from provenance.store import this_process
from tests.unit.web.api.conftest import complete
from tests.unit.web.uws.conftest import HREF, NAMES, ORIGIN, SERVICE, Client, id_of, text_of

pytestmark = pytest.mark.usefixtures("cruise")
FILES = {"power.out": b"power\n", "modes.out": b"modes\x00\n"}


@pytest.fixture
def path(client: Client) -> str:
    """A pending job."""
    return client.create(time_step="60")


@pytest.fixture
def done(portal: Portal, client: Client) -> str:
    """A finished job with two results."""
    path = client.create(PHASE="RUN")
    complete(portal, id_of(path), FILES)
    return path


@pytest.fixture
def failed(portal: Portal, client: Client) -> str:
    """A job that went wrong, with a message no XML can hold."""
    from dataclasses import replace

    path = client.create(PHASE="RUN")
    bench, run = portal.bench, id_of(path)
    draft = read_draft(RunFolders(root=bench.settings.runs_dir / run))
    assert draft is not None
    now = draft.submitted
    record = replace(
        draft,
        state=RunState.FAILED,
        exit_status=2,
        message="EPS says: \x1b[31mno & never\x1b[0m",
        started=now,
        ended=now,
        log=bench.vault.put_bytes(b"reading\nFATAL: no <scenario>\n"),
    )
    bench.store.set_state(run, RunState.EXECUTING, started=now, owner=this_process())
    bench.store.finish_run(record, bench.vault)
    return path


def test_elements_about_which_nothing_is_known_are_there_and_nil(client: Client, path: str) -> None:
    job = client.xml(path)
    for name in ("quote", "startTime", "endTime", "destruction"):
        assert text_of(job, f"uws:{name}") is None, name
    assert text_of(job, "uws:ownerId") == "caroline"
    assert text_of(job, "uws:executionDuration") == "600"


def test_single_values_are_plain_text(client: Client, path: str) -> None:
    told = {
        name: client.get(f"{path}/{name}")
        for name in ("phase", "executionduration", "owner", "quote", "destruction")
    }
    assert {name: answer.text for name, answer in told.items()} == {
        "phase": "PENDING",
        "executionduration": "600",
        "owner": "caroline",
        "quote": "",
        "destruction": "",
    }
    assert {answer.headers["Content-Type"] for answer in told.values()} == {"text/plain; charset=utf-8"}


def test_run_and_abort_change_the_phase_and_lead_to_the_job(client: Client, path: str) -> None:
    for asked, phase in (("RUN", "QUEUED"), ("RUN", "QUEUED"), ("ABORT", "ABORTED"), ("ABORT", "ABORTED")):
        answer = client.post(f"{path}/phase", {"PHASE": asked})
        assert (answer.status_code, answer.headers["Location"]) == (303, path)
        assert client.get(f"{path}/phase").text == phase
    job = client.xml(path)
    assert text_of(job, "uws:errorSummary/uws:message") == "aborted by caroline"


def test_a_finished_job_cannot_be_run_again(client: Client, done: str) -> None:
    answer = client.post(f"{done}/phase", {"PHASE": "RUN"})
    assert (answer.status_code, client.get(f"{done}/phase").text) == (403, "COMPLETED")


@pytest.mark.parametrize(
    ("resource", "form"),
    [
        ("/phase", {"PHASE": "SUSPEND"}),
        ("/phase", {}),
        ("/executionduration", {"EXECUTIONDURATION": "long"}),
        ("/destruction", {"DESTRUCTION": "tomorrow"}),
        ("/destruction", {}),
        ("", {"ACTION": "ARCHIVE"}),
        ("", {}),
    ],
)
def test_a_change_that_is_none_is_refused(
    client: Client, path: str, resource: str, form: dict[str, str]
) -> None:
    assert client.post(f"{path}{resource}", form).status_code == 400


def test_duration_and_destruction_are_changed_before_the_job_executes(client: Client, path: str) -> None:
    for name, value in (("EXECUTIONDURATION", "60"), ("DESTRUCTION", "2030-06-01T12:00:00.123456")):
        answer = client.post(f"{path}/{name.lower()}", {name: value})
        assert (answer.status_code, answer.headers["Location"]) == (303, path)
    job = client.xml(path)
    assert text_of(job, "uws:executionDuration") == "60"
    assert text_of(job, "uws:destruction") == "2030-06-01T12:00:00.123456Z"


@pytest.mark.parametrize("asked", ["0", "999999999"])
def test_a_job_may_take_no_longer_than_its_thread(client: Client, path: str, asked: str) -> None:
    client.post(f"{path}/executionduration", {"EXECUTIONDURATION": "60"})
    client.post(f"{path}/executionduration", {"EXECUTIONDURATION": asked})
    assert client.get(f"{path}/executionduration").text == "600"


def test_the_duration_of_a_finished_job_is_settled(client: Client, done: str) -> None:
    assert client.post(f"{done}/executionduration", {"EXECUTIONDURATION": "60"}).status_code == 403


def test_parameters_are_listed_and_given_one_by_one(client: Client, path: str) -> None:
    given = {item.get("id"): item.text for item in client.xml(f"{path}/parameters")}
    assert given == {"scenario": "cruise@1", "time_step": "60"}
    assert client.get(f"{path}/parameters/time_step").text == "60"
    assert client.get(f"{path}/parameters/start").status_code == 404


def test_results_are_named_described_and_served(client: Client, done: str) -> None:
    results = client.xml(f"{done}/results")
    assert [item.get("id") for item in results] == ["tables.1", "tables.2"]
    assert [item.get("size") for item in results] == ["7", "6"]
    assert {item.get("mime-type") for item in results} == {"text/plain"}
    href = str(results[0].get(HREF))
    assert href == f"{ORIGIN}{done}/results/tables.1"
    answer = client.get(href.removeprefix(ORIGIN))
    assert (answer.content, answer.headers["Content-Type"]) == (
        FILES["modes.out"],
        "text/plain; charset=utf-8",
    )
    assert answer.headers["ETag"] == f'"{digest_bytes(FILES["modes.out"])}"'
    assert client.get(f"{done}/results/tables.2", headers={"Range": "bytes=1-2"}).content == b"ow"
    assert client.get(f"{done}/results/none").status_code == 404


def test_a_job_that_is_not_finished_has_no_results(client: Client, path: str) -> None:
    assert list(client.xml(f"{path}/results")) == []
    assert client.get(f"{path}/results/tables").status_code == 404


def test_a_finished_job_tells_its_times_as_they_are_kept(portal: Portal, client: Client, done: str) -> None:
    run, job = portal.queue.get(id_of(done)), client.xml(done)
    assert run.ended is not None
    told = text_of(job, "uws:endTime")
    assert told == run.ended.isoformat(timespec="microseconds").replace("+00:00", "Z")


def test_job_info_leads_to_run_and_record(client: Client, done: str) -> None:
    info = client.xml(done).find("uws:jobInfo", NAMES)
    assert info is not None
    record = info.find("thaw:record", NAMES)
    assert record is not None
    found = client.http.get(str(record.get(HREF)))
    assert digest_bytes(found.content) == record.get("digest")
    assert found.json()["run"] == id_of(done)


def test_a_failed_job_is_no_http_error_and_says_what_went_wrong(client: Client, failed: str) -> None:
    job = client.xml(failed)
    summary = job.find("uws:errorSummary", NAMES)
    assert summary is not None
    assert (summary.get("type"), summary.get("hasDetail")) == ("fatal", "true")
    assert text_of(job, "uws:errorSummary/uws:message") == "EPS says: ?[31mno & never?[0m"
    assert text_of(job, "uws:phase") == "ERROR"


def test_the_error_is_a_votable_or_text(client: Client, failed: str) -> None:
    import io

    from astropy.io.votable import parse

    answer = client.get(f"{failed}/error")
    table = parse(io.BytesIO(answer.content), verify="exception")
    status, log = table.resources[0].infos
    assert (status.name, status.value, status.content) == (
        "QUERY_STATUS",
        "ERROR",
        "EPS says: ?[31mno & never?[0m",
    )
    assert log.content.splitlines()[-1] == "FATAL: no <scenario>"
    text = client.get(f"{failed}/error", headers={"Accept": "text/plain"})
    assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "FATAL: no <scenario>" in text.text


def test_a_job_with_which_nothing_is_wrong_has_no_error(client: Client, path: str, done: str) -> None:
    assert [client.get(f"{item}/error").status_code for item in (path, done)] == [404, 404]


def test_a_deleted_job_is_gone_and_the_list_comes_next(portal: Portal, client: Client, done: str) -> None:
    record = portal.queue.get(id_of(done)).record
    answer = client.http.delete(done)
    assert (answer.status_code, answer.headers["Location"]) == (303, SERVICE)
    assert (client.get(done).status_code, client.jobs()) == (404, [])
    assert record is not None
    assert portal.bench.vault.has(record)


def test_action_delete_does_the_same(client: Client, path: str) -> None:
    answer = client.post(path, {"ACTION": "DELETE"})
    assert (answer.status_code, answer.headers["Location"]) == (303, SERVICE)
    assert client.get(path).status_code == 404


RESOURCES = (
    "",
    "/phase",
    "/executionduration",
    "/destruction",
    "/quote",
    "/owner",
    "/parameters",
    "/results",
    "/error",
)


def test_another_ones_job_answers_as_one_that_is_not_there(stranger: Client, done: str) -> None:
    nobody = f"{SERVICE}/20200101-000000-0000"
    for resource in RESOURCES:
        theirs, none = stranger.get(done + resource), stranger.get(nobody + resource)
        assert (theirs.status_code, none.status_code) == (404, 404), resource
        assert theirs.text.replace(id_of(done), id_of(nobody)) == none.text
    for resource, form in (("/phase", {"PHASE": "ABORT"}), ("", {"ACTION": "DELETE"})):
        assert stranger.post(done + resource, form).status_code == 404
    assert stranger.http.delete(done).status_code == 404


def took(client: Client, path: str) -> float:
    began = time.monotonic()
    client.xml(path)
    return time.monotonic() - began


def test_wait_ends_with_its_time_where_the_phase_stays(client: Client, path: str) -> None:
    assert 0.5 <= took(client, f"{path}?WAIT=0.5") < 5


def test_wait_ends_with_a_change_of_phase(portal: Portal, client: Client, path: str) -> None:
    change = Timer(0.4, portal.queue.start, [id_of(path)])
    change.start()
    began = time.monotonic()
    job = client.xml(f"{path}?WAIT=-1")
    change.join()
    assert text_of(job, "uws:phase") == "QUEUED"
    assert 0.3 < time.monotonic() - began < 10


@pytest.mark.parametrize("query", ["?WAIT=20&PHASE=QUEUED", "?WAIT=0", "?wait=0&phase=pending"])
def test_wait_for_another_phase_than_the_present_one_does_not_block(
    client: Client, path: str, query: str
) -> None:
    assert took(client, path + query) < 5


def test_wait_does_not_block_once_a_job_is_finished(client: Client, done: str) -> None:
    assert took(client, f"{done}?WAIT=-1") < 5
    assert took(client, f"{done}?WAIT=20&PHASE=COMPLETED") < 5


@pytest.mark.parametrize("query", ["?WAIT=long", "?WAIT=1&WAIT=2", "?WAIT=1&PHASE=DONE", "?WAIT=nan"])
def test_a_wait_that_is_none_is_refused(client: Client, path: str, query: str) -> None:
    assert client.get(path + query).status_code == 400


def test_wait_says_how_things_stand_once_the_service_is_told_to_end(
    portal: Portal, client: Client, path: str
) -> None:
    closing = Timer(0.4, portal.gate.close)
    closing.start()
    assert 0.3 < took(client, f"{path}?WAIT=30") < 10
    closing.join()
    assert took(client, f"{path}?WAIT=30") < 5
