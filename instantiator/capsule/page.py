"""The page of a capsule: what it is, how to run it, and the record in words. One file, no script, no address."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import jinja2

from provenance.record import Record, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a page says beside the record: the software's title and words, and how to cite all of it."""

    title: str
    description: str
    licence: str
    citation: str
    bibtex: str


def render_page(record: Record, about: About, *, has_window: bool) -> bytes:
    """`index.html`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["size"] = _size
    text = environment.get_template("page.html").render(
        record=record,
        about=about,
        has_window=has_window,
        whole=json.dumps(to_json(record), indent=1, ensure_ascii=False),
        rules=sorted({output.rule.rule for output in record.outputs} - {"bytes"}),
        seconds=record.resources.get("wall_s"),
    )
    return text.encode()


def _size(size: int) -> str:
    for unit, factor in (("B", 1), ("kB", 10**3), ("MB", 10**6), ("GB", 10**9)):
        if size < factor * 1000:
            return f"{size / factor:.1f} {unit}" if factor > 1 else f"{size} B"
    return f"{size / 1e12:.2f} TB"
