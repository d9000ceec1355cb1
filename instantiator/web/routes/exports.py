"""A run for other people's tools, as a download; and how to cite it."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from instantiator.thread.crates import House, prepared_export, software_of
from instantiator.thread.verify import read_record
from instantiator.users import Principal
from instantiator.web.access import PrincipalOf, note_download, seen_run
from instantiator.web.capsules import pack_capsule
from instantiator.web.downloads import attachment
from instantiator.web.guard import LOGGED_IN, PortalOf
from instantiator.web.portal import NotFound, Portal
from provenance.export import CitationStyle, ExportFormat, cite_run, export_run

router = APIRouter(dependencies=[LOGGED_IN])
CAPSULE = "application/x-tar"
_CITATIONS = {
    CitationStyle.BIBTEX: ("application/x-bibtex", ".bib"),
    CitationStyle.CFF: ("application/yaml", ".CITATION.cff"),
    CitationStyle.TEXT: ("text/plain; charset=utf-8", ".citation.txt"),
}


@router.get("/runs/{run}/export/{how}")
def export_file(portal: PortalOf, principal: PrincipalOf, run: str, how: str) -> Response:
    """The run in one of the formats of exports."""
    if how not in [item.value for item in ExportFormat]:
        raise NotFound(f"there is no export format {how!r}", hint=f"there are: {', '.join(ExportFormat)}")
    record = read_record(seen_run(portal, principal, run), portal.bench.vault)
    house = _house(portal)
    house.scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=house.scratch, prefix="download-"))
    try:
        with prepared_export(record, house) as export:
            written = export_run(export, ExportFormat(how), folder / "export")
        note_download(portal, principal, record.run, f"{how} of run {record.run}")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        written.path,
        media_type=written.media_type,
        headers=attachment(written.file_name),
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


@router.get("/runs/{run}/capsule")
async def capsule_file(portal: PortalOf, principal: PrincipalOf, run: str) -> Response:
    """All that repeats the run where Thaw is not. One is packed at a time; the answer begins when it is whole."""
    return await to_thread.run_sync(_capsule_file, portal, principal, run, limiter=portal.packing)


def _capsule_file(portal: Portal, principal: Principal, run: str) -> Response:
    record = read_record(seen_run(portal, principal, run), portal.bench.vault)
    packed = pack_capsule(portal.bench, record)
    note_download(portal, principal, record.run, f"capsule of run {record.run}")
    return FileResponse(
        packed,
        media_type=CAPSULE,
        headers=attachment(packed.name),
        background=BackgroundTask(shutil.rmtree, packed.parent, ignore_errors=True),
    )


@router.get("/runs/{run}/cite/{style}")
def cite_file(portal: PortalOf, principal: PrincipalOf, run: str, style: str) -> Response:
    """How to cite software, environment and run."""
    if style not in [item.value for item in CitationStyle]:
        raise NotFound(f"there is no citation style {style!r}", hint=f"there are: {', '.join(CitationStyle)}")
    record = read_record(seen_run(portal, principal, run), portal.bench.vault)
    text = cite_run(record, software_of(record, _house(portal)), CitationStyle(style))
    note_download(portal, principal, record.run, f"{style} citation of run {record.run}")
    media_type, ending = _CITATIONS[CitationStyle(style)]
    return Response(text, media_type=media_type, headers=attachment(f"{record.run}{ending}"))


def _house(portal: Portal) -> House:
    bench = portal.bench
    return House(
        vault=bench.vault,
        store=bench.store,
        recipes_dir=bench.settings.recipes_dir,
        scratch=bench.settings.scratch_dir,
        engine=lambda: bench.engine,
    )
