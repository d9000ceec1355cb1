"""Bytes of the vault as answers: strong ETags that are digests, conditional and range requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from fastapi.responses import Response, StreamingResponse
from starlette.requests import Request

from instantiator.users import Principal
from instantiator.web.access import note_download
from instantiator.web.downloads import attachment
from instantiator.web.portal import Portal
from provenance.digest import Digest
from provenance.errors import ThawError

_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)
_PIECE = 1 << 20


class RangeUnsatisfiable(ThawError):
    """The part asked for lies outside the file."""

    code = "range-unsatisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"the range lies outside the file: expected one within {size} bytes")
        self.size = size


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a file: `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes it has."""
        return self.last - self.first + 1


def etag_of(digest: Digest) -> str:
    """The strong ETag of these bytes."""
    return f'"{digest}"'


def parse_range(header: str | None, size: int) -> Part | None:
    """The part a `Range` header asks for; None for all of it, also where it asks in a way not offered here.

    Raises `RangeUnsatisfiable`.
    """
    asked = _RANGE.fullmatch(header or "")
    if asked is None or asked.groups() == ("", ""):
        return None
    first, last = asked.groups()
    if first == "":
        length = min(int(last), size)
        if length == 0:
            raise RangeUnsatisfiable(size)
        return Part(first=size - length, last=size - 1)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise RangeUnsatisfiable(size)
    return Part(first=int(first), last=min(int(last), size - 1) if last else size - 1)


def is_known(header: str | None, etag: str) -> bool:
    """Whether `If-None-Match` says that who asks has these bytes already."""
    given = [item.strip().removeprefix("W/") for item in (header or "").split(",")]
    return "*" in given or etag in given


def send_object(
    request: Request,
    portal: Portal,
    digest: Digest,
    *,
    asker: Principal,
    of: str,
    size: int,
    name: str,
    media_type: str = "",
    used_by: str,
) -> Response:
    """An object of the vault: all of it, the part asked for, or that it is known. Verified before its first byte.

    A part is verified with the file it is of, and the next part of the same untouched file is given at once. What is
    taken is written into the audit log, under the name of what it is `of`.
    """
    etag = etag_of(digest)
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if is_known(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    headers |= attachment(name)
    part = _asked_part(request, etag, size)
    if part is not None:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
    length = part.length if part else size
    headers["Content-Length"] = str(length)
    status = 206 if part else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    open_it = portal.verified.open_part if part else portal.verified.open_whole
    stream = open_it(portal.bench.vault, digest, used_by=used_by)
    note_download(portal, asker, of, used_by)
    stream.seek(part.first if part else 0)
    return StreamingResponse(
        _pieces(stream, length), status_code=status, headers=headers, media_type=media_type
    )


def _asked_part(request: Request, etag: str, size: int) -> Part | None:
    condition = request.headers.get("if-range")
    if condition is not None and condition.strip() != etag:
        return None
    return parse_range(request.headers.get("range"), size)


def _pieces(stream: BinaryIO, length: int) -> Iterator[bytes]:
    with stream:
        while length > 0 and (piece := stream.read(min(_PIECE, length))):
            length -= len(piece)
            yield piece


def described_bytes(media_type: str, what: str) -> Mapping[int | str, dict[str, Any]]:
    """How an answer of bytes is described: whole, in part, or known already."""
    is_json = media_type == "application/json"
    content = {
        media_type: {"schema": {"type": "object"} if is_json else {"type": "string", "format": "binary"}}
    }
    part = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    headers = {
        "ETag": {"description": "The digest of the bytes", "schema": {"type": "string"}},
        "Accept-Ranges": {"description": "`bytes`", "schema": {"type": "string"}},
    }
    return {
        200: {"description": what, "content": content, "headers": headers},
        206: {"description": f"A part of it: {what}", "content": part, "headers": headers},
        304: {"description": "You have these bytes already", "headers": {"ETag": headers["ETag"]}},
    }
