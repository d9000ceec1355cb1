"""How files leave: always as a download, under their own name, never as a page of ours."""

from __future__ import annotations

import mimetypes
from urllib.parse import quote

from instantiator.web.pages import visible_name


def attachment(name: str) -> dict[str, str]:
    """The headers that make a browser keep an answer as a file of this name."""
    shown = visible_name(name)
    plain = "".join(
        sign if sign.isascii() and sign.isprintable() and sign not in '"\\' else "_" for sign in shown
    )
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(shown, safe='')}",
        "X-Content-Type-Options": "nosniff",
    }


def content_type(name: str) -> str:
    """What a file says it is; what a browser would run is sent as bytes."""
    found = mimetypes.guess_type(name)[0] or "application/octet-stream"
    is_active = found in ("text/html", "image/svg+xml", "application/xhtml+xml") or "script" in found
    return "application/octet-stream" if is_active else found
