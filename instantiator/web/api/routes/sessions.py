"""Sessions: list, open, look at, extend, end, and the files of their workspace."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse

from instantiator.session.model import OpenSession, Session
from instantiator.users import Event
from instantiator.web.access import note_download, own_session, refuse_more_sessions, seen_session
from instantiator.web.api import models_service, views
from instantiator.web.api.asking import PortalOf, SessionUser, check_datasets, note
from instantiator.web.api.problems import problems
from instantiator.web.downloads import attachment
from instantiator.web.portal import Portal
from instantiator.web.routes.files import exactly
from instantiator.web.workspace import Workspace

router = APIRouter(prefix="/sessions", tags=["sessions"])
SessionId = Annotated[
    str, Path(pattern=r"^[a-z0-9-]{1,64}$", max_length=64, examples=["20261120-120000-f000"])
]
FilePath = Annotated[str, Query(max_length=4096, pattern=r"^[^\x00]*$", examples=["notes.txt"])]
LINKS = {
    name: {"operationId": operation, "parameters": {"session": "$response.body#/session"}}
    for name, operation in {"look": "get_session", "extend": "extend_session", "end": "end_session"}.items()
}


@router.get("", operation_id="list_sessions", responses=problems())
def list_sessions(portal: PortalOf, asker: SessionUser) -> models_service.SessionList:
    """My sessions, newest first."""
    found = sorted(portal.sessions.list(asker.user), key=lambda item: item.created, reverse=True)
    return models_service.SessionList(sessions=tuple(views.session_view(item) for item in found))


@router.post(
    "",
    operation_id="open_session",
    status_code=201,
    responses={
        201: {"links": LINKS, "headers": {"Location": {"schema": {"type": "string"}}}},
        **problems(409),
    },
)
def open_session(
    portal: PortalOf, asker: SessionUser, response: Response, asked: models_service.NewSession
) -> models_service.SessionView:
    """Open a window; it launches while its steps are looked at, and is worked in at its `page`."""
    check_datasets(portal, asker, asked.datasets)
    refuse_more_sessions(portal, asker.user)
    session = portal.sessions.open(
        OpenSession(
            user=asker.user,
            recipe=portal.bench.recipe(asked.recipe).id,
            gui=asked.gui,
            datasets=asked.datasets,
            workspace=asked.workspace,
            geometry=(asked.width, asked.height),
        )
    )
    note(portal, asker, Event.SESSION_OPEN, session.id)
    view = views.session_view(session)
    response.headers["Location"] = view.href
    return view


@router.get("/{session}", operation_id="get_session", responses=problems())
def get_session(portal: PortalOf, asker: SessionUser, session: SessionId) -> models_service.SessionView:
    """One session."""
    return views.session_view(seen_session(portal, asker, session))


@router.post("/{session}/extend", operation_id="extend_session", responses=problems(409))
def extend_session(portal: PortalOf, asker: SessionUser, session: SessionId) -> models_service.SessionView:
    """Put the end off."""
    found = own_session(portal, asker, session)
    portal.sessions.extend(found.id)
    return views.session_view(portal.sessions.get(found.id))


@router.post("/{session}/end", operation_id="end_session", responses=problems(409))
def end_session(portal: PortalOf, asker: SessionUser, session: SessionId) -> models_service.SessionView:
    """End the session; its files are kept and its record is written."""
    found = own_session(portal, asker, session)
    portal.tickets.withdraw(found.id)
    ended = portal.sessions.end(found.id, "ended by its user")
    note(portal, asker, Event.SESSION_END, found.id)
    return views.session_view(ended)


@router.get("/{session}/files", operation_id="list_session_files", responses=problems())
def list_session_files(
    portal: PortalOf, asker: SessionUser, session: SessionId, path: FilePath = ""
) -> models_service.SessionFiles:
    """What lies in a folder of the workspace."""
    entries = _workspace(portal, own_session(portal, asker, session)).list_folder(path)
    files = tuple(
        models_service.SessionFile(
            path=_plain(item.path), kind=item.kind, size=item.size, modified=item.modified.isoformat()
        )
        for item in entries
    )
    return models_service.SessionFiles(path=path.strip("/"), entries=files)


@router.get(
    "/{session}/files/content",
    operation_id="get_session_file",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file's bytes",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems(),
    },
)
def get_session_file(
    portal: PortalOf, asker: SessionUser, session: SessionId, path: FilePath
) -> StreamingResponse:
    """One file of the workspace, as it is now."""
    stream, size = _workspace(portal, own_session(portal, asker, session)).open_file(path)
    note_download(portal, asker, session, _plain(path))
    headers = {**attachment(path.rstrip("/").rpartition("/")[2]), "Content-Length": str(size)}
    return StreamingResponse(exactly(stream, size), media_type="application/octet-stream", headers=headers)


def _workspace(portal: Portal, session: Session) -> Workspace:
    return Workspace(portal.sessions.workspace_dir(session.id))


def _plain(path: str) -> str:
    """A path as text: bytes that are no UTF-8 are shown, and such a file is fetched in the portal."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
