"""Uploads: announce, send in pieces, go on where it broke off, complete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Header, Path, Response
from starlette.concurrency import run_in_threadpool

from instantiator.users import Event, Thing
from instantiator.web.api import models, views
from instantiator.web.api.arrivals import Arrival, Arrivals
from instantiator.web.api.asking import DatasetUser, PortalOf, note
from instantiator.web.api.body import PIECE_LIMIT
from instantiator.web.api.problems import problems
from instantiator.web.api.routes.datasets import refuse_taken_name
from instantiator.web.portal import Portal

router = APIRouter(prefix="/uploads", tags=["datasets"])
UploadId = Annotated[str, Path(pattern=r"^[0-9a-f]{24}$", examples=["0123456789abcdef01234567"])]
FilePath = Annotated[str, Path(max_length=1024, examples=["events.fits"])]
LINKS = {
    name: {"operationId": operation, "parameters": {"upload": "$response.body#/upload"}}
    for name, operation in {
        "look": "get_upload",
        "complete": "complete_upload",
        "drop": "drop_upload",
    }.items()
}


@router.post(
    "", operation_id="begin_upload", status_code=201, responses={201: {"links": LINKS}, **problems(409)}
)
def begin_upload(portal: PortalOf, asker: DatasetUser, asked: models.NewUpload) -> models.UploadView:
    """Announce a dataset: its name, and path and size of every file."""
    refuse_taken_name(portal, asker, asked.name)
    return _view(_arrivals(portal, asker.user).begin(asker.user, asked))


@router.get("/{upload}", operation_id="get_upload", responses=problems())
def get_upload(portal: PortalOf, asker: DatasetUser, upload: UploadId) -> models.UploadView:
    """How much is there: where to go on."""
    return _view(_arrivals(portal, asker.user).get(asker.user, upload))


@router.patch("/{upload}/files/{path:path}", operation_id="send_piece", responses=problems(409))
async def send_piece(
    portal: PortalOf,
    asker: DatasetUser,
    upload: UploadId,
    path: FilePath,
    offset: Annotated[int, Header(alias="Upload-Offset", ge=0, le=2**53, examples=[0])],
    content: Annotated[bytes, Body(media_type="application/octet-stream")] = b"",
) -> models.UploadedFile:
    """Send the piece of a file that begins at Upload-Offset; an empty file is one piece of nothing."""
    arrivals = _arrivals(portal, asker.user)
    arrival = await run_in_threadpool(arrivals.get, asker.user, upload)
    there = await run_in_threadpool(arrivals.append, arrival, path, offset, content)
    size = next(file.size for file in arrival.asked.files if file.path == path)
    return models.UploadedFile(path=path, size=size, offset=there, href=_href(arrival, path))


@router.post("/{upload}/complete", operation_id="complete_upload", status_code=201, responses=problems(409))
def complete_upload(
    portal: PortalOf, asker: DatasetUser, upload: UploadId, response: Response
) -> models.DatasetView:
    """Register the dataset, once all of it is there."""
    arrivals = _arrivals(portal, asker.user)
    arrival = arrivals.get(asker.user, upload)
    refuse_taken_name(portal, asker, arrival.asked.name)
    dataset = arrivals.complete(arrival, portal.clock())
    portal.users.shares.own(Thing.DATASET, dataset.name, asker.user)
    note(portal, asker, Event.UPLOAD, dataset.reference)
    view = views.dataset_view(dataset)
    response.headers["Location"] = view.href
    return view


@router.delete("/{upload}", operation_id="drop_upload", status_code=204, responses=problems())
def drop_upload(portal: PortalOf, asker: DatasetUser, upload: UploadId) -> Response:
    """Give an upload up."""
    arrivals = _arrivals(portal, asker.user)
    arrivals.drop(arrivals.get(asker.user, upload))
    note(portal, asker, Event.DELETE, f"upload {upload}")
    return Response(status_code=204)


def _arrivals(portal: Portal, user: str) -> Arrivals:
    limit = min(portal.upload_limit, portal.users.people.limits_of(user).upload_bytes)
    return Arrivals(portal.bench, limit)


def _view(arrival: Arrival) -> models.UploadView:
    files = tuple(
        models.UploadedFile(
            path=file.path,
            size=file.size,
            offset=arrival.offset(file.path, file.size),
            href=_href(arrival, file.path),
        )
        for file in arrival.asked.files
    )
    return models.UploadView(
        upload=arrival.id,
        name=arrival.asked.name,
        piece=PIECE_LIMIT,
        is_complete=all(file.offset == file.size for file in files),
        files=files,
        href=f"{views.ROOT}/uploads/{arrival.id}",
    )


def _href(arrival: Arrival, path: str) -> str:
    from urllib.parse import quote

    return f"{views.ROOT}/uploads/{arrival.id}/files/{quote(path)}"
