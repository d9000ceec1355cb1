"""The page of a capsule: what it is, how to run it, and the record in words. One file, no script, no address."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import jinja2

from instantiator.recipe.model import Recipe
from provenance.export.cite import CitationStyle, cite_run
from provenance.export.model import Cited, Software, bare_software
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


def about_of(record: Record, recipe: Recipe | None) -> About:
    """What the page says of the software, and how to cite it."""
    software = bare_software(record)
    if recipe is not None:
        cited = (
            Cited(scheme=scheme, value=value, note=citation.note)
            for citation in recipe.citations
            for scheme in ("doi", "ascl", "ads")
            if (value := getattr(citation, scheme))
        )
        software = Software(
            name=recipe.name,
            version=recipe.version,
            title=recipe.title,
            description=recipe.description.strip(),
            licence=recipe.licence,
            homepage=recipe.homepage,
            citations=tuple(cited),
            known_from="recipe",
        )
    return About(
        title=f"{software.title} {software.version}",
        description=software.description,
        licence=software.licence,
        citation=cite_run(record, software, CitationStyle.TEXT),
        bibtex=cite_run(record, software, CitationStyle.BIBTEX),
    )


def _size(size: int) -> str:
    for unit, factor in (("B", 1), ("kB", 10**3), ("MB", 10**6), ("GB", 10**9)):
        if size < factor * 1000:
            return f"{size / factor:.1f} {unit}" if factor > 1 else f"{size} B"
    return f"{size / 1e12:.2f} TB"
