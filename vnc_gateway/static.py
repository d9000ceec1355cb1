"""`/novnc/...`: the files of noVNC, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from aiohttp import web

from vnc_gateway.errors import NotFound

_FOLDERS = frozenset(("core", "vendor"))
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_TYPES = {".js": "text/javascript; charset=utf-8", ".json": "application/json"}
_CACHING = "public, max-age=3600"


def find_novnc_file(folder: Path, segments: tuple[str, ...]) -> Path:
    """The file a path names; raises `NotFound` for whatever is not a module of noVNC's."""
    is_plain = all(_NAME.fullmatch(segment) for segment in segments)
    if (
        len(segments) < 2
        or not is_plain
        or segments[0] not in _FOLDERS
        or Path(segments[-1]).suffix not in _TYPES
    ):
        raise NotFound("noVNC has no such file")
    path = folder.joinpath(*segments)
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        raise NotFound("noVNC has no such file")
    return path


async def serve_novnc(request: web.Request, folder: Path, segments: tuple[str, ...]) -> web.StreamResponse:
    """One file with its type, an ETag, and an hour in the browser's cache."""
    if request.method not in ("GET", "HEAD"):
        raise NotFound("noVNC's files can only be read")
    path = find_novnc_file(folder, segments)
    headers = {"Content-Type": _TYPES[path.suffix], "Cache-Control": _CACHING}
    return web.FileResponse(path, headers=headers)
