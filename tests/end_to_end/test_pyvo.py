"""A client Thaw did not write: pyvo creates, starts, waits for and fetches jobs of the running service."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from pyvo.dal import AsyncTAPJob, DALQueryError, DALServiceError
from pyvo.io.uws import parse_job_list

from instantiator.curate.smoke import look_at_output
from instantiator.recipe.load import load_recipe
from instantiator.recipe.model import SmokeTest
from instantiator.users import Scope, Users
from tests.end_to_end.conftest import REPOSITORY, Thaw
from tests.end_to_end.serving import Service, serving

pytestmark = pytest.mark.docker
EPS = REPOSITORY / "recipes/rosetta-eps/9.3.35"
MIDAS = REPOSITORY / "recipes/eso-midas/22.02pl1.0"
IMAGE = MIDAS / "data/xmm-psr-j0030"


@pytest.fixture(scope="module")
def service(thaw: Thaw) -> Iterator[Service]:
    thaw.ok("recipe", "build", "eso-midas")
    with serving(thaw) as found:
        yield found


@pytest.fixture
def session(service: Service) -> Iterator[requests.Session]:
    """What pyvo asks with: any name, and a token as the password, as clients of archives are set up."""
    users, now = Users(service.thaw.home / "users.sqlite"), datetime.now(UTC)
    expires = now + timedelta(hours=1)
    token = users.tokens.new(getpass.getuser(), Scope, label="pyvo", expires=expires, now=now).text
    users.close()
    with requests.Session() as made:
        made.trust_env = False
        made.auth = ("anybody", token)
        yield made


def create(session: requests.Session, url: str, form: dict[str, str], **more: object) -> AsyncTAPJob:
    answer = session.post(url, data=form, **more)  # type: ignore[arg-type]  # files
    assert answer.status_code == 200, answer.text
    return AsyncTAPJob(answer.url, session=session, delete=False)


def fetch(session: requests.Session, job: AsyncTAPJob, folder: Path) -> dict[str, Path]:
    """All results, as files."""
    found = {}
    for result in job.results:
        found[result.id_] = folder / result.id_
        found[result.id_].write_bytes(session.get(result.href).content)
    return found


def smoke_of(recipe: Path, name: str) -> SmokeTest:
    return next(test for test in load_recipe(recipe).smoke if test.name == name)


@pytest.mark.parametrize(("recipe", "name"), [(EPS, "bepicolombo-sft2"), (MIDAS, "xmm-psr-j0030")])
def test_pyvo_runs_a_thread_and_gets_the_known_numbers(
    service: Service, session: requests.Session, tmp_path: Path, recipe: Path, name: str
) -> None:
    smoke = smoke_of(recipe, name)
    url = f"{service.base}/uws/{recipe.parent.name}/{smoke.thread}"
    given = {key: str(value) for key, value in {**smoke.inputs, **smoke.parameters}.items()}
    job = create(session, url, {**given, "RUNID": name, "FRESH": "true"})
    assert (job.phase, job.owner, job.uws_version) == ("PENDING", getpass.getuser(), "1.1")
    job.run().wait(timeout=300)
    job.raise_if_error()
    assert job.phase == "COMPLETED"
    results = fetch(session, job, tmp_path)
    for expectation in smoke.expect:
        findings = list(look_at_output(expectation, recipe, results[expectation.output]))
        assert findings
        assert all(is_right for is_right, _ in findings), findings
    listed = parse_job_list(session.get(url, stream=True).raw.read)
    assert job.job_id in [item.jobid for item in listed]
    assert job.job.starttime < job.job.endtime


def test_pyvo_limits_aborts_and_deletes(service: Service, session: requests.Session) -> None:
    url = f"{service.base}/uws/rosetta-eps/simulate"
    job = create(session, url, {"scenario": "eps-juice"})
    job.execution_duration = 60
    job.destruction = "2027-01-01T00:00:00Z"
    assert (job.execution_duration.sec, job.destruction.datetime.year) == (60, 2027)
    job.abort()
    assert job.phase == "ABORTED"
    with pytest.raises(DALQueryError, match="aborted by"):
        job.raise_if_error()
    address = job.url
    job.delete()
    with pytest.raises(DALServiceError, match="there is no run"):
        AsyncTAPJob(address, session=session)


def test_an_uploaded_image_is_processed_and_a_wrong_one_is_an_error_in_words(
    service: Service, session: requests.Session, tmp_path: Path
) -> None:
    url = f"{service.base}/uws/eso-midas/image-statistics"
    (image,) = [path for path in IMAGE.rglob("*") if path.is_file()] if IMAGE.is_dir() else [IMAGE]
    form = {"UPLOAD": "image,param:mine", "radius": "3", "PHASE": "RUN"}
    job = create(session, url, form, files={"mine": ("mine.fits", image.read_bytes())})
    job.wait(timeout=300).raise_if_error()
    results = fetch(session, job, tmp_path)
    smoke = smoke_of(MIDAS, "xmm-psr-j0030")
    findings = list(look_at_output(smoke.expect[0], MIDAS, results["statistics"]))
    assert all(is_right for is_right, _ in findings), findings
    broken = image.read_bytes()[:2880]
    answer = session.post(url, data=form, files={"mine": ("mine.fits", broken)})
    if answer.status_code == 200:
        job = AsyncTAPJob(answer.url, session=session, delete=False).wait(timeout=300)
        with pytest.raises(DALQueryError, match="MIDAS"):
            job.raise_if_error()
        assert "QUERY_STATUS" in session.get(f"{job.url}/error").text
    else:
        assert answer.status_code == 403


def test_a_short_run_is_answered_in_one_request(service: Service, session: requests.Session) -> None:
    url = f"{service.base}/uws/eso-midas/image-statistics/sync"
    form = {"image": "xmm-psr-j0030", "radius": "4", "EXECUTIONDURATION": "45"}
    answer = session.get(url, params=form, timeout=100)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "56181" in answer.text
