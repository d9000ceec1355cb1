"""Pages from templates: the one door to Jinja2 here, and how values are written for people."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from instantiator import __version__

_OWN_PAGE = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]{0,1999})?")
HERE = Path(__file__).parent
STATIC = HERE / "static"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        undefined=StrictUndefined,
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        size=size_text,
        time=time_text,
        short=short_digest,
        visible=visible_name,
        nice_json=_nice_json,
        words=words,
    )
    environment.globals.update(asset=asset, version=__version__)
    return environment


def page(request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """The page a template gives; who is logged in and the guard of forms are known to every one."""
    known = {
        "user": getattr(request.state, "user", ""),
        "guard": getattr(request.state, "guard", ""),
        "path": request.url.path,
        "next": _asked_page(request),
        "provider": getattr(request.app.state.portal, "provider", None),
        "scopes": getattr(getattr(request.state, "principal", None), "scopes", ()),
    }
    text = _environment().get_template(template).render({**known, **values})
    return HTMLResponse(text, status_code=status)


def own_page(path: str) -> str:
    """`path` where it leads to a page of this portal and nowhere else, otherwise the catalogue.

    Browsers read `//host` and `/\\host` as other sites and drop line breaks and tabs; /login would lead in a circle.
    """
    is_ours = _OWN_PAGE.fullmatch(path) is not None and not path.startswith(("/login", "/logout", "/api/"))
    return path if is_ours else "/"


def _asked_page(request: Request) -> str:
    """The page to go to after a login: the one that was asked for."""
    if request.method != "GET":
        return "/"
    asked = request.url
    return own_page(f"{asked.path}?{asked.query}" if asked.query else asked.path)


@lru_cache(maxsize=64)
def asset(name: str) -> str:
    """The address of a static file; it changes with its bytes, so browsers may keep it."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def size_text(size: float | None) -> str:
    """`1,234 B`, `12.3 kB`, `213.9 MB`: powers of 1000."""
    if size is None:
        return "?"
    if size < 10_000:
        return f"{size:,.0f} B"
    for unit, factor in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if size < factor * 1000:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e12:.2f} TB"


def time_text(time: datetime | None) -> str:
    """`2026-11-20 15:49:49` (UTC), or a dash."""
    return time.strftime("%Y-%m-%d %H:%M:%S") if time else "–"


def words(text: str) -> Markup:
    """Words as curators write them: what stands in `backquotes` is code."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))  # escaped before


def short_digest(digest: str | None) -> str:
    """The first twelve signs of a digest."""
    return (digest or "").removeprefix("sha256:")[:12]


def visible_name(name: str) -> str:
    """A file's name with nothing hidden in it: line breaks, control and direction marks are written as escapes."""
    return "".join(_visible_sign(sign) for sign in name)


def _visible_sign(sign: str) -> str:
    if sign == "\\":
        return "\\\\"
    is_plain = unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    return sign if is_plain else sign.encode("unicode_escape").decode()


def _nice_json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)
