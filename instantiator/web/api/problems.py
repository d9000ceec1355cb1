"""Errors as problem details (RFC 9457): our codes, what was found, what was expected, and the next step."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import ConfigDict, Field
from starlette.exceptions import HTTPException

from instantiator.recipe.errors import ParameterInvalid
from instantiator.web.api.wire import Wire
from provenance.errors import ThawError

MEDIA_TYPE = "application/problem+json"
_SHOWN = 300
_FOUND = re.compile(r"\bfound (.+?)(?=[;,] (?:expected|in )|$)", re.DOTALL)
_EXPECTED = re.compile(r"\bexpected (.+?)(?=[;,] found|$)", re.DOTALL)

STATUS: Mapping[str, int] = {
    "not-logged-in": 401,
    "token-refused": 401,
    "token-expired": 401,
    "request-refused": 403,
    "scope-missing": 403,
    "ticket-refused": 403,
    "path-not-allowed": 403,
    "priority-refused": 403,
    "not-allowed": 403,
    "not-found": 404,
    "archive-unknown": 404,
    "file-missing": 404,
    "dataset-unknown": 404,
    "recipe-unknown": 404,
    "run-ambiguous": 404,
    "run-unknown": 404,
    "session-unknown": 404,
    "thread-unknown": 404,
    "upload-unknown": 404,
    "work-unknown": 404,
    "dataset-name-taken": 409,
    "cannot-repeat": 409,
    "capsule-refused": 409,
    "export-refused": 409,
    "file-taken": 409,
    "idempotency-conflict": 409,
    "lock-missing": 409,
    "lock-stale": 409,
    "no-record-yet": 409,
    "not-kept": 409,
    "session-state": 409,
    "state-illegal": 409,
    "upload-incomplete": 409,
    "upload-offset": 409,
    "upload-too-large": 413,
    "preview-impossible": 415,
    "range-unsatisfiable": 416,
    "dataset-name-invalid": 422,
    "dataset-unreadable": 422,
    "address-refused": 422,
    "digest-mismatch": 422,
    "input-wrong": 422,
    "parameter-invalid": 422,
    "path-refused": 422,
    "request-invalid": 422,
    "session-refused": 422,
    "queue-full": 429,
    "quota-reached": 429,
    "session-limit": 429,
    "object-missing": 500,
    "object-rotten": 500,
    "record-invalid": 500,
    "store-damaged": 500,
    "store-unusable": 500,
    "archive-unreachable": 502,
    "download-failed": 502,
    "engine-unreachable": 503,
    "service-ending": 503,
    "store-busy": 503,
    "disk-full": 507,
}
"""The status of each code that is not plainly the request's fault; any other is a 400."""


class Mistake(Wire):
    """One thing wrong with a request: which part of it, and why."""

    at: str
    detail: str


class Problem(Wire):
    """What went wrong, as RFC 9457 says it, with Thaw's own keys from `code` on."""

    type: str = Field(examples=["urn:thaw:problem:run-unknown"])
    title: str = Field(examples=["No run has this id."])
    status: int = Field(ge=400, le=599, examples=[404])
    detail: str = Field(examples=["there is no run of yours with this id"])
    instance: str = Field(examples=["/api/v1/runs/20261120-120000-f000"])
    code: str = Field(examples=["run-unknown"])
    found: str | None = None
    expected: str | None = None
    hint: str | None = Field(default=None, examples=["your runs are listed: GET /api/v1/runs"])
    mistakes: tuple[Mistake, ...] = ()

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)


def add_problems(app: FastAPI, allowed: Callable[[str], Iterable[str]] = lambda _path: ()) -> None:
    """Let the API answer every error as a problem; `allowed` gives the methods there are at a path."""

    async def thaw_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ThawError)
        return answer(problem_of(error, request.url.path), headers=_headers_of(error))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(sorted(allowed(request.url.path)))
        return answer(_of_http(error, request.url.path), headers=headers)

    async def wrong_request(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(_of_validation(error, request.url.path))

    async def defect(request: Request, error: Exception) -> Response:
        told = ThawError(
            f"this is a defect of Thaw: {type(error).__name__}", hint="report it; finished runs are safe"
        )
        told.code = "defect"
        return answer(problem_of(told, request.url.path, status=500))

    app.add_exception_handler(ThawError, thaw_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, wrong_request)
    app.add_exception_handler(Exception, defect)


def answer(problem: Problem, *, headers: Mapping[str, str] | None = None) -> Response:
    """A problem as an answer."""
    content = json.dumps(problem.model_dump(exclude_none=True), ensure_ascii=True)
    return Response(content, status_code=problem.status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def problem_of(error: ThawError, instance: str, *, status: int | None = None) -> Problem:
    """An error as a problem; a place that is a path of this host is not told."""
    mistakes = (
        tuple(Mistake(at=f"parameters.{item.parameter}", detail=item.message) for item in error.mistakes)
        if isinstance(error, ParameterInvalid)
        else ()
    )
    return Problem(
        type=f"urn:thaw:problem:{error.code}",
        title=_title_of(error),
        status=status or STATUS.get(error.code, 400),
        detail=error.message,
        instance=instance,
        code=error.code,
        found=_part(error, "found", _FOUND),
        expected=_part(error, "expected", _EXPECTED),
        hint=error.hint or None,
        mistakes=mistakes,
    )


def _title_of(error: ThawError) -> str:
    return (type(error).__doc__ or error.code).strip().splitlines()[0]


def _part(error: ThawError, name: str, pattern: re.Pattern[str]) -> str | None:
    """What an error says of `name`: as a value of its own, else in its sentence, as house style writes it."""
    value = getattr(error, name, None)
    if value is not None:
        return str(value)
    said = pattern.search(error.message)
    return said[1][:_SHOWN] if said else None


def _headers_of(error: ThawError) -> Mapping[str, str]:
    status = STATUS.get(error.code, 400)
    if status == 416:
        return {"Content-Range": f"bytes */{getattr(error, 'size', '*')}"}
    if status == 401:
        return {"WWW-Authenticate": 'Bearer realm="thaw"'}
    if status in (429, 503):
        return {"Retry-After": "5"}
    return {}


def _of_http(error: HTTPException, instance: str) -> Problem:
    return told(error.status_code, str(error.detail), instance)


def told(status: int, detail: str, instance: str) -> Problem:
    """What HTTP itself refuses, as a problem."""
    code = {404: "not-found", 405: "method-unknown", 413: "request-too-large"}.get(status, f"http-{status}")
    return Problem(
        type=f"urn:thaw:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=instance,
        code=code,
        hint="the addresses there are: GET /api/v1/",
    )


def _of_validation(error: RequestValidationError, instance: str) -> Problem:
    mistakes = [
        Mistake(at=".".join(str(part) for part in item.get("loc", ())), detail=str(item.get("msg", "")))
        for item in error.errors()
    ]
    first = error.errors()[0]
    return Problem(
        type="urn:thaw:problem:request-invalid",
        title="The request is not as the API describes it.",
        status=422,
        detail=f"{mistakes[0].at}: {mistakes[0].detail}",
        instance=instance,
        code="request-invalid",
        found=_show(first.get("input")),
        expected=mistakes[0].detail,
        hint="what is expected is described: GET /api/v1/openapi.json",
        mistakes=tuple(mistakes[:50]),
    )


def _show(value: Any) -> str:
    """What was sent, in signs that can always be sent back."""
    return ascii(value)[:_SHOWN]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How an operation's problems are described; every one of them may also meet 401, 403, 422 and the rest."""
    common = (400, 401, 403, 404, 413, 422, 429, 500, 503)
    described: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*common, *statuses}):
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        described[status] = {"description": HTTPStatus(status).phrase, "content": content}
    return described
