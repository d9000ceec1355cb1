"""The portal as an application: routes, headers, and errors in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles

from instantiator.web.answers import add_answers
from instantiator.web.api.application import create_api
from instantiator.web.attended import Attended
from instantiator.web.pages import STATIC
from instantiator.web.portal import Portal
from instantiator.web.routes import (
    catalogue,
    exports,
    files,
    health,
    internal,
    login,
    oidc,
    runs,
    session_data,
    session_pages,
    threads,
    users,
)
from instantiator.web.uws.router import router as uws_router

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""No inline script or style, nothing from elsewhere. noVNC draws cursors as data: images."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers would send `Origin: null` with our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def create_app(portal: Portal) -> FastAPI:
    """The application of one portal."""
    app = FastAPI(title="Thaw", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.portal = portal
    app.middleware("http")(add_headers)
    app.add_middleware(Attended, portal=portal)
    add_answers(app)
    for module in (
        login,
        oidc,
        users,
        catalogue,
        threads,
        runs,
        exports,
        session_pages,
        session_data,
        files,
        internal,
        health,
    ):
        app.include_router(module.router)
    app.include_router(uws_router)
    app.mount("/api/v1", create_api(portal))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


async def add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Put the security headers on every answer; pages are never kept by a cache, static files may be."""
    response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    is_static = request.url.path.startswith("/static/") and "v=" in request.url.query
    kept = "public, max-age=31536000, immutable" if is_static else "no-store"
    response.headers.setdefault("Cache-Control", kept)
    return response
