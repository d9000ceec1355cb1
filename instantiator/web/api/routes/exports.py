"""A run for other people's tools, and how to cite it: what the portal's buttons give."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from starlette.concurrency import run_in_threadpool

from instantiator.web.api.asking import PortalOf, Reader, RunId, run_of
from instantiator.web.api.problems import problems
from instantiator.web.api.routes.outcome import record_of
from instantiator.web.routes.exports import CAPSULE, capsule_file, cite_file, export_file
from provenance.export import CitationStyle, ExportFormat

router = APIRouter(prefix="/runs/{run}", tags=["runs"])
BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
EXPORTS = sorted({item.media_type.partition(";")[0] for item in ExportFormat})
CITATIONS = ("application/x-bibtex", "application/yaml", "text/plain")


def _described(what: str, media_types: tuple[str, ...]) -> dict[int | str, dict[str, Any]]:
    content: dict[str, Any] = {
        name: {"schema": {}} if name in ("application/json", "application/yaml") else BYTES
        for name in media_types
    }
    return {200: {"description": what, "content": content}, **problems(409)}


@router.get(
    "/export/{form}",
    operation_id="export_run",
    response_class=Response,
    responses=_described("The run as asked; a crate or bag as a zip", tuple(EXPORTS)),
)
def export_run(
    portal: PortalOf,
    asker: Reader,
    run: RunId,
    form: Annotated[ExportFormat, Path(examples=["ro-crate"])],
) -> Response:
    """The run as W3C PROV, IVOA provenance, Workflow Run RO-Crate or BagIt."""
    found = run_of(portal, asker, run)
    record_of(portal, found)
    return export_file(portal, asker, found.id, form.value)


@router.get(
    "/capsule",
    operation_id="get_capsule",
    response_class=Response,
    responses=_described("The capsule, a tar; docs/capsule.md says what is in it", (CAPSULE,)),
)
async def get_capsule(portal: PortalOf, asker: Reader, run: RunId) -> Response:
    """All that repeats the run where Thaw is not: image, inputs, runner, expected outputs. Packed when asked for."""
    found = await run_in_threadpool(run_of, portal, asker, run)
    await run_in_threadpool(record_of, portal, found)
    return await capsule_file(portal, asker, found.id)


@router.get(
    "/cite/{style}",
    operation_id="cite_run",
    response_class=Response,
    responses=_described("The citation", CITATIONS),
)
def cite_run(
    portal: PortalOf,
    asker: Reader,
    run: RunId,
    style: Annotated[CitationStyle, Path(examples=["bibtex"])],
) -> Response:
    """How to cite software, environment and run."""
    found = run_of(portal, asker, run)
    record_of(portal, found)
    return cite_file(portal, asker, found.id, style.value)
