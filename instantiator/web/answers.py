"""Errors as answers: a page in words for people, a problem as data for scripts."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from instantiator.web.api.problems import answer as answer_problem
from instantiator.web.api.problems import problem_of
from instantiator.web.pages import page
from instantiator.web.uws import errors as uws
from provenance.errors import ThawError

_STATUS: Mapping[str, int] = {
    "not-logged-in": 401,
    "token-refused": 401,
    "token-expired": 401,
    "login-refused": 401,
    "scope-missing": 403,
    "user-unknown": 404,
    "user-refused": 422,
    "request-refused": 403,
    "ticket-refused": 403,
    "not-found": 404,
    "session-unknown": 404,
    "recipe-unknown": 404,
    "thread-unknown": 404,
    "run-unknown": 404,
    "dataset-unknown": 404,
    "file-missing": 404,
    "cannot-repeat": 409,
    "capsule-refused": 409,
    "file-taken": 409,
    "upload-offset": 409,
    "upload-too-large": 413,
    "preview-impossible": 415,
    "engine-unreachable": 503,
    "service-ending": 503,
    "session-limit": 429,
    "session-state": 409,
    "session-refused": 422,
}


def add_answers(app: FastAPI) -> None:
    """Let the application answer errors in words."""

    async def thaw_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ThawError)
        return answer_error(request, error)

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return answer_error(request, _of_http(error), status=error.status_code)

    async def wrong_request(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first.get("loc", ()))
        told = ThawError(f"the request is not as expected: {first.get('msg', '')}", where=where)
        told.code = "request-invalid"
        return answer_error(request, told, status=422)

    app.add_exception_handler(ThawError, thaw_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, wrong_request)


def answer_error(request: Request, error: ThawError, *, status: int | None = None) -> Response:
    """An error as this request wants it."""
    if request.url.path.startswith(uws.PREFIXES):
        return uws.answer(request, error, status=status)
    status = status or _STATUS.get(error.code, 400)
    if request.url.path.startswith("/api/v1/"):
        return answer_problem(problem_of(error, request.url.path, status=status))
    if request.url.path.startswith(("/api/", "/internal/")):
        return JSONResponse({"error": error.to_json()}, status_code=status)
    template = "login.html" if error.code in ("not-logged-in", "login-refused") else "error.html"
    return page(request, template, status=status, error=error, status_code=status)


def _of_http(error: HTTPException) -> ThawError:
    if error.status_code == 404:
        told = ThawError("there is no such page", hint="the catalogue is at /")
        told.code = "not-found"
        return told
    told = ThawError(str(error.detail))
    told.code = f"http-{error.status_code}"
    return told
