"""Records and verdicts by the digest that names them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from instantiator.users import Principal
from instantiator.web.api.asking import PortalOf, Reader, run_of
from instantiator.web.api.contents import described_bytes, send_object
from instantiator.web.api.problems import problems
from instantiator.web.api.routes.outcome import send_record
from instantiator.web.api.wire import DigestText
from instantiator.web.portal import NotFound, Portal
from provenance.digest import Digest, parse_digest
from provenance.errors import ObjectMissing, RecordInvalid
from provenance.record import record_from_bytes
from provenance.store import RunUnknown
from provenance.verdict import VerdictInvalid, verdict_from_bytes

router = APIRouter(tags=["runs"])
Named = Annotated[DigestText, Path()]
MOST = 64 * 1024**2
"""No record or verdict is larger: what is larger is not read to find out."""

RECORD = {**described_bytes("application/json", "The record, byte for byte"), **problems(416)}
VERDICT = {**described_bytes("application/json", "The verdict, byte for byte"), **problems(416)}


@router.get("/records/{digest}", operation_id="get_record", response_class=Response, responses=RECORD)
def get_record(request: Request, portal: PortalOf, asker: Reader, digest: Named) -> Response:
    """A record, by the digest that names it, where its run is one I may look at."""
    try:
        record = record_from_bytes(_read(portal, parse_digest(digest)))
        run = run_of(portal, asker, record.run)
    except (ObjectMissing, RecordInvalid, RunUnknown) as error:
        raise _nothing(digest) from error
    if run.record != digest:
        raise _nothing(digest)
    return send_record(request, portal, asker, run)


@router.get("/verdicts/{digest}", operation_id="get_verdict", response_class=Response, responses=VERDICT)
def get_verdict(request: Request, portal: PortalOf, asker: Reader, digest: Named) -> Response:
    """A verdict: output by output, by which rule, and what the rule saw."""
    named = parse_digest(digest)
    try:
        content = _read(portal, named)
        run = _judged_run(portal, asker, content)
    except (ObjectMissing, VerdictInvalid, RunUnknown) as error:
        raise _nothing(digest) from error
    return send_object(
        request,
        portal,
        named,
        asker=asker,
        of=run,
        size=len(content),
        name=f"{run}.verdict.json",
        media_type="application/json",
        used_by=f"verdict on run {run}",
    )


def _judged_run(portal: Portal, asker: Principal, content: bytes) -> str:
    return run_of(portal, asker, verdict_from_bytes(content).run).id


def _read(portal: Portal, digest: Digest) -> bytes:
    """An object that may be a record: what else the vault holds is answered as if it were not there."""
    if not portal.bench.vault.has(digest) or portal.bench.vault.size(digest) > MOST:
        raise _nothing(digest)
    return portal.bench.vault.read_bytes(digest)


def _nothing(digest: str) -> NotFound:
    return NotFound(f"there is nothing of yours under {digest}", hint="a run names its record and verdicts")
