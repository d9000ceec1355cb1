"""The API's description is valid, has an example of everything, and its errors all have one shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from openapi_spec_validator import validate

from instantiator.dataset import Dataset
from instantiator.recipe.errors import ParameterInvalid, ParameterMistake
from instantiator.web.api.contents import RangeUnsatisfiable
from instantiator.web.api.examples import operations_of
from instantiator.web.api.problems import STATUS, Problem, add_problems
from provenance.errors import ThawError
from tests.unit.web.api.conftest import Client


@pytest.fixture
def document(client: Client) -> Any:
    return client.get("/openapi.json").json()


def test_the_description_is_a_valid_openapi_document(document: Any) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")


def test_every_operation_is_named_described_and_has_examples(document: Any) -> None:
    operations = list(operations_of(document))
    assert len({item["operationId"] for item in operations}) == len(operations) > 40
    for operation in operations:
        assert operation.get("description"), operation["operationId"]
        assert _lacking(operation) == [], operation["operationId"]


def test_every_example_is_of_its_schema(document: Any) -> None:
    for operation in operations_of(document):
        for content in _contents(operation):
            if content["schema"].get("format") != "binary":
                schema = {**content["schema"], "components": document["components"]}
                jsonschema.validate(content["example"], schema)


def _contents(operation: Any) -> Iterator[Any]:
    yield from operation.get("requestBody", {}).get("content", {}).values()
    for answer in operation["responses"].values():
        yield from answer.get("content", {}).values()


def _lacking(operation: Any) -> list[str]:
    lacking = ["example" for content in _contents(operation) if "example" not in content]
    return lacking + [
        item["name"] for item in operation.get("parameters", []) if item["required"] and not _shown(item)
    ]


def _shown(parameter: Any) -> bool:
    return bool(parameter.get("example") or parameter.get("examples") or parameter["schema"].get("examples"))


def all_errors() -> list[type[ThawError]]:
    found, waiting = [], [ThawError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return sorted(found, key=lambda kind: (kind.code, kind.__name__))


def made(kind: type[ThawError]) -> ThawError:
    if kind is RangeUnsatisfiable:
        return RangeUnsatisfiable(12)
    if kind is ParameterInvalid:
        mistake = ParameterMistake(parameter="time_step", message="has to be a whole number")
        return ParameterInvalid([mistake], where="thread 'simulate'", hint="time_step is a whole number")
    error = kind.__new__(kind)
    ThawError.__init__(error, "it is not so: expected one thing, found another", hint="do this")
    return error


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.code)
def test_every_error_is_answered_as_a_problem(kind: type[ThawError]) -> None:
    app = FastAPI()
    add_problems(app)

    @app.get("/here")
    def raise_it() -> None:
        raise made(kind)

    answer = TestClient(app, raise_server_exceptions=False).get("/here")
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.content)
    assert (problem.code, problem.status, problem.instance) == (kind.code, answer.status_code, "/here")
    assert answer.status_code == STATUS.get(kind.code, 400)
    assert problem.title
    assert problem.detail


def test_what_was_found_and_expected_is_told_apart(client: Client) -> None:
    answer = client.post("/datasets", {"name": "m31", "path": "/etc", "keep": "yes"})
    problem = answer.json()
    assert (problem["status"], problem["code"], problem["found"]) == (422, "request-invalid", "'yes'")
    assert problem["mistakes"][0]["at"] == "body.keep"


def test_no_path_of_the_host_is_told(client: Client, cruise: Dataset, tmp_path: Path) -> None:
    told = json.dumps(
        [client.get(path).json() for path in ("/recipes/nothing", "/datasets", "/datasets/cruise")]
    )
    assert cruise.name in told
    assert str(tmp_path) not in told


def test_a_request_without_a_token_is_told_how_to_get_one(client: Client) -> None:
    client.http.headers.pop("Authorization")
    answer = client.get("/runs")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="thaw"')


def test_a_request_that_is_too_large_is_not_read(client: Client) -> None:
    answer = client.send("POST", "/runs", content=b" " * (5 * 1024**2))
    assert (answer.status_code, answer.json()["code"]) == (413, "request-too-large")


def test_a_text_that_is_no_unicode_is_refused_and_told(client: Client) -> None:
    answer = client.send("POST", "/runs", content=b'{"recipe": "\\ud800", "thread": "simulate"}')
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")


def test_people_read_the_description_as_a_page(client: Client, document: Any) -> None:
    answer = client.get("/docs")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert all(path in answer.text for path in document["paths"])
