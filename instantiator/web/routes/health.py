"""Whether the service lives, whether it can work, and how much it does: for whoever watches it."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from instantiator.operate.gate import RETRY_S
from instantiator.operate.health import Part, gate_part, probes_of
from instantiator.operate.metrics import CONTENT_TYPE, Watched
from instantiator.users import Scope
from instantiator.web.access import need
from instantiator.web.guard import PortalOf, identify
from instantiator.web.portal import Portal
from provenance.errors import ThawError

router = APIRouter()


@router.get("/healthz")
def tell_life() -> dict[str, str]:
    """The portal's process lives. Through the gateway this address is the gateway's own."""
    return {"status": "ok"}


@router.get("/readyz")
def tell_readiness(request: Request, portal: PortalOf) -> Response:
    """Every part by name; 503 where one does not work. Only operators are told numbers, paths and causes."""
    parts = (gate_part(is_closed=portal.gate.is_closed), *portal.readiness.ask(probes_of(portal.bench)))
    is_ready = all(part.works for part in parts)
    told = {
        "status": "ready" if is_ready else "not ready",
        "problems": [part.problem for part in parts if not part.works],
        "parts": _describe(parts, with_details=_is_operator(request, portal)),
    }
    headers = {} if is_ready else {"Retry-After": str(RETRY_S)}
    return JSONResponse(told, status_code=200 if is_ready else 503, headers=headers)


@router.get("/metrics", dependencies=[Depends(need(Scope.OPERATE))])
def tell_metrics(portal: PortalOf) -> Response:
    """The metrics, for an operator's token."""
    watched = Watched(bench=portal.bench, sessions=portal.sessions.list)
    return Response(portal.meters.render(watched), media_type=CONTENT_TYPE)


def _describe(parts: Sequence[Part], *, with_details: bool) -> list[dict[str, str]]:
    return [
        {
            "name": part.name,
            "state": "works" if part.works else "fails",
            **({"detail": part.detail} if with_details and part.detail else {}),
        }
        for part in parts
    ]


def _is_operator(request: Request, portal: Portal) -> bool:
    """Whether an operator asks. Who shows nothing is nobody, and is not noted in the audit log."""
    if "authorization" not in request.headers and portal.cookie_name not in request.cookies:
        return False
    try:
        return identify(request).may(Scope.OPERATE)
    except ThawError:
        return False
