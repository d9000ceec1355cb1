"""What a service says of itself: VOSI, and a DataLink descriptor for archive pages; and who may ask."""

from __future__ import annotations

import base64
import io
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from astropy.io.votable import parse
from pyvo.io.vosi import parse_capabilities

from instantiator.web.portal import Portal
from provenance.store import this_process
from tests.unit.web.uws.conftest import ORIGIN, SERVICE, Client, schema

DATALINK = "/datalink/rosetta-eps/simulate"


def test_availability_says_whether_anybody_works(portal: Portal, client: Client) -> None:
    said = []
    for _ in range(2):
        text = client.get("/availability").text
        schema("VOSIAvailability.xsd").validate(text)
        said.append(ElementTree.fromstring(text)[0].text)
        now = portal.clock()
        portal.bench.store.queue.beat(this_process(), (), now, now + timedelta(seconds=10))
    assert said == ["false", "true"]


def test_capabilities_name_the_addresses(client: Client) -> None:
    found = {
        str(item.standardid): item
        for item in parse_capabilities(io.BytesIO(client.get("/capabilities").content))
    }
    jobs, sync = found["ivo://ivoa.net/std/DALI#async"], found["ivo://ivoa.net/std/DALI#sync"]
    assert str(jobs.interfaces[0].accessurls[0].content) == f"{ORIGIN}{SERVICE}"
    assert str(sync.interfaces[0].accessurls[0].content) == f"{ORIGIN}{SERVICE}/sync"
    assert {"ivo://ivoa.net/std/VOSI#availability", "ivo://ivoa.net/std/VOSI#capabilities"} < set(found)


def test_anybody_may_ask_whether_a_service_is_there(client: Client) -> None:
    del client.http.headers["Authorization"]
    assert client.get("/availability").status_code == client.get("/capabilities").status_code == 200
    assert client.get("/uws/none/none/availability").status_code == 404


def descriptor(client: Client, path: str = DATALINK, **given: str) -> Any:
    answer = client.get(path, params=given)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("application/x-votable+xml")
    (resource,) = parse(io.BytesIO(answer.content), verify="exception").resources
    return resource


def test_the_descriptor_names_the_service_and_types_its_parameters(client: Client) -> None:
    found = descriptor(client)
    assert (found.type, found.utype) == ("meta", "adhoc:service")
    assert {item.name: item.value for item in found.params}["accessURL"] == f"{ORIGIN}{SERVICE}"
    (group,) = found.groups
    params = {item.name: item for item in group.entries}
    assert group.name == "inputParams"
    assert list(params) == ["scenario", "time_step", "output_step", "start", "end", "PHASE"]
    step = params["time_step"]
    assert (step.datatype, step.unit, step.values.min, step.values.max) == ("long", "s", 1, 86400)
    assert (params["start"].xtype, params["PHASE"].value) == ("timestamp", "RUN")
    assert all(item.description for item in group.entries if item.name != "PHASE")


def test_a_default_is_filled_in(client: Client) -> None:
    (group,) = descriptor(client, "/datalink/eso-midas/image-statistics").groups
    assert {item.name: item.value for item in group.entries}["radius"] == 3


def test_what_the_address_gives_is_filled_in(client: Client) -> None:
    (group,) = descriptor(client, scenario="m31@1", time_step="60").groups
    values = {item.name: item.value for item in group.entries}
    assert (values["scenario"], values["time_step"]) == ("m31@1", 60)


@pytest.mark.parametrize("given", [{"time_step": "0"}, {"stride": "1"}])
def test_what_cannot_be_filled_in_is_refused(client: Client, given: dict[str, str]) -> None:
    assert client.get(DATALINK, params=given).status_code == 400
    assert client.get("/datalink/none/none").status_code == 404


def basic(portal: Portal, client: Client) -> str:
    token = client.http.headers.pop("Authorization").removeprefix("Bearer ")
    return "Basic " + base64.b64encode(f"caroline:{token}".encode()).decode()


def test_a_token_may_be_given_as_a_password(portal: Portal, client: Client) -> None:
    sent = {"Authorization": basic(portal, client)}
    assert client.get("", headers=sent).status_code == 200
    assert client.post("", {"scenario": "none"}, headers=sent).status_code == 403
    assert client.http.get("/api/v1/runs", headers=sent).status_code == 401


@pytest.mark.parametrize("sent", ["Basic !", "Basic bm9uZQ==", "Basic bm86bmU=", "Digest x", "Basic /w=="])
def test_a_wrong_password_is_refused_with_what_would_do(client: Client, sent: str) -> None:
    answer = client.get("", headers={"Authorization": sent})
    assert answer.status_code == 401
    assert answer.headers.get_list("WWW-Authenticate") == ['Bearer realm="thaw"', 'Basic realm="thaw"']


def test_a_password_a_browser_remembers_does_not_work_from_another_site(
    portal: Portal, client: Client
) -> None:
    sent = {
        "Authorization": basic(portal, client),
        "Origin": "http://elsewhere.test",
        "Sec-Fetch-Site": "cross-site",
    }
    answer = client.post("", {"scenario": "none"}, headers=sent)
    assert (answer.status_code, "the request comes from" in answer.text) == (403, True)
    assert client.get("/sync", headers=sent).status_code == 403
