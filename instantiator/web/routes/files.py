"""The files pane of a session: list, upload in pieces, download, preview."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from instantiator.session.model import SessionId
from instantiator.users import Event
from instantiator.web.access import PrincipalOf, note, note_download
from instantiator.web.archives import stream_tar, stream_zip
from instantiator.web.downloads import attachment, content_type
from instantiator.web.guard import PortalOf, User, Writer
from instantiator.web.pages import visible_name
from instantiator.web.portal import Portal
from instantiator.web.previews import preview_file
from instantiator.web.workspace import Upload, UploadTooLarge, Workspace

router = APIRouter(prefix="/api/sessions/{session}/files")
PIECE_LIMIT = 16 * 1024**2
Where = Annotated[str, Query(max_length=4096)]


@router.get("")
def list_files(portal: PortalOf, user: User, session: str, path: Where = "") -> dict[str, object]:
    """What lies in a folder of the workspace."""
    entries = _workspace(portal, user, session).list_folder(path)
    return {"path": path.strip("/"), "entries": [entry.to_json() for entry in entries]}


@router.get("/content")
def download(portal: PortalOf, user: User, principal: PrincipalOf, session: str, path: Where) -> Response:
    """One file."""
    stream, size = _workspace(portal, user, session).open_file(path)
    note_download(portal, principal, session, visible_name(path))
    name = path.rstrip("/").rpartition("/")[2]
    headers = {**attachment(name), "Content-Length": str(size)}
    return StreamingResponse(exactly(stream, size), media_type=content_type(name), headers=headers)


@router.get("/preview")
def preview(portal: PortalOf, user: User, session: str, path: Where) -> dict[str, object]:
    """What a file looks like."""
    stream, _ = _workspace(portal, user, session).open_file(path)
    with stream:
        return preview_file(stream, path)


@router.get("/archive.{kind}")
def archive(
    portal: PortalOf, user: User, principal: PrincipalOf, session: str, kind: str, path: Where = ""
) -> Response:
    """All files of a folder as one tar or zip."""
    workspace = _workspace(portal, user, session)
    workspace.list_folder(path)  # a folder that is not there is told before anything is sent
    note_download(portal, principal, session, f"all files of /{visible_name(path.strip('/'))}")
    pieces = stream_zip(workspace, path) if kind == "zip" else stream_tar(workspace, path)
    ending, media = ("zip", "application/zip") if kind == "zip" else ("tar", "application/x-tar")
    return StreamingResponse(pieces, media_type=media, headers=attachment(f"{session}.{ending}"))


@router.get("/upload")
def uploaded(
    portal: PortalOf, user: User, session: str, path: Where, size: int, token: str = ""
) -> dict[str, object]:
    """How much of an upload is there: where to go on."""
    _refuse_large(portal, user, size)
    there = _workspace(portal, user, session).uploaded(path, size, token)
    return {"offset": there, "piece": PIECE_LIMIT}


@router.put("/upload")
async def upload(
    request: Request,
    portal: PortalOf,
    user: Writer,
    session: str,
    path: Where,
    size: int,
    offset: int,
    token: str = "",
    replace: bool = False,
) -> dict[str, object]:
    """Add one piece; an empty file is one piece of nothing."""
    _refuse_large(portal, user, size)
    workspace = await run_in_threadpool(_workspace, portal, user, session)
    content = await _piece(request)
    asked = Upload(path=path, size=size, token=token, replace=replace)
    there = await run_in_threadpool(workspace.append, asked, offset, content)
    if there == size:
        await run_in_threadpool(portal.sessions.own, SessionId(session), workspace.root / path)
    return {"offset": there, "done": there == size}


@router.post("/folder")
def make_folder(portal: PortalOf, user: Writer, session: str, path: Where) -> dict[str, object]:
    """Make a folder."""
    workspace = _workspace(portal, user, session)
    workspace.make_folder(path)
    portal.sessions.own(SessionId(session), workspace.root / path)
    return {"path": path}


@router.delete("")
def remove(
    portal: PortalOf, user: Writer, principal: PrincipalOf, session: str, path: Where
) -> dict[str, object]:
    """Remove a file, or an empty folder."""
    _workspace(portal, user, session).remove(path)
    note(portal, principal, Event.DELETE, session, detail=visible_name(path))
    return {"path": path}


def _workspace(portal: Portal, user: str, session: str) -> Workspace:
    found = portal.session_of(user, session)
    return Workspace(portal.sessions.workspace_dir(found.id))


async def _piece(request: Request) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > PIECE_LIMIT:
            raise UploadTooLarge(
                f"one piece is at most {PIECE_LIMIT} bytes", hint="send the file in smaller pieces"
            )
    return bytes(content)


def _refuse_large(portal: Portal, user: str, size: int) -> None:
    most = min(portal.upload_limit, portal.users.people.limits_of(user).upload_bytes)
    if not 0 <= size <= most:
        raise UploadTooLarge(
            f"the file has {size} bytes: at most {most} are allowed",
            hint="register large data as a dataset: thaw dataset add PATH",
        )


def exactly(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """So many bytes as were announced; a file that shrank meanwhile ends the answer early, which the browser tells."""
    with stream:
        left = size
        while left > 0 and (piece := stream.read(min(1 << 20, left))):
            left -= len(piece)
            yield piece
