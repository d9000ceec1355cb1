"""The API as an application of its own below the portal, with its own description and its own errors."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from instantiator import __version__
from instantiator.web.api.body import BoundedBody
from instantiator.web.api.examples import add_examples
from instantiator.web.api.problems import Problem, add_problems
from instantiator.web.api.routes import (
    datasets,
    exports,
    operations,
    outcome,
    proofs,
    recipes,
    runs,
    sessions,
    uploads,
)
from instantiator.web.api.views import ROOT
from instantiator.web.pages import page
from instantiator.web.portal import Portal

ABOUT = """Run a processing thread of frozen scientific software on a dataset, and prove what was done.

Every request carries `Authorization: Bearer thaw_...` (make a token: `thaw token new`, or the page /tokens).
Errors are problem details (RFC 9457): `code` is stable, `hint` says what to do next."""


def create_api(portal: Portal) -> FastAPI:
    """The API of one portal, to be mounted at `/api/v1`."""
    app = FastAPI(
        title="Thaw",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.portal = portal
    app.add_middleware(BoundedBody)
    add_problems(app, lambda path: methods_at(app, path))
    for module in (recipes, datasets, uploads, runs, outcome, exports, proofs, sessions, operations):
        app.include_router(module.router)

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> dict[str, Any]:
        """The description of the API."""
        return describe(app)

    @app.get("/docs", include_in_schema=False)
    def docs(request: Request) -> Response:
        """The same for people."""
        return page(request, "api.html", paths=describe(app)["paths"])

    return app


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the API, with an example of every request and answer."""
    if app.openapi_schema is None:
        document = get_openapi(
            title="Thaw",
            version="1",
            summary="Legacy scientific software, frozen and thawed on demand",
            description=ABOUT,
            routes=app.routes,
            servers=[{"url": ROOT}],
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        )
        _name_security(document)
        _add_problem(document)
        app.openapi_schema = add_examples(document)
    return app.openapi_schema


def methods_at(app: FastAPI, path: str) -> set[str]:
    """The methods there are at an address: starlette knows only those of the first route that fits it."""
    asked, paths = path.removeprefix(ROOT), describe(app)["paths"]
    if asked in paths:
        return {method.upper() for method in paths[asked]}
    fitting = (paths[template] for template in paths if re.fullmatch(_pattern(template), asked, re.DOTALL))
    return {method.upper() for methods in fitting for method in methods}


def _pattern(template: str) -> str:
    parts = re.split(r"(\{[^}]+\})", template)
    return "".join(
        ".+" if part == "{path}" else "[^/]+" if part.startswith("{") else re.escape(part) for part in parts
    )


def _name_security(document: dict[str, Any]) -> None:
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["token"] = {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of this service: thaw_...",
    }
    document["security"] = [{"token": []}]


def _add_problem(document: dict[str, Any]) -> None:
    """Put the problem's own schema beside the others, and drop FastAPI's, which is never answered."""
    schema = Problem.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    schemas = document["components"].setdefault("schemas", {})
    schemas.update(schema.pop("$defs", {}))
    schemas["Problem"] = schema
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
