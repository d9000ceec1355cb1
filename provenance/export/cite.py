"""How to cite a run: the software, the environment it ran in, and the run itself. Text, BibTeX, CITATION.cff."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from provenance.export.model import NOT_KNOWN, Software
from provenance.record import Record


class CitationStyle(StrEnum):
    """How a citation is written."""

    BIBTEX = "bibtex"
    CFF = "cff"
    TEXT = "text"


def cite_run(record: Record, software: Software, style: CitationStyle) -> str:
    """The citation of software, environment and run, ending in a newline."""
    if style is CitationStyle.BIBTEX:
        return _bibtex(record, software)
    return _cff(record, software) if style is CitationStyle.CFF else _text(record, software)


def _run_title(record: Record, software: Software) -> str:
    what = record.thread or record.kind
    return f"Run {record.run}: {what} with {software.title} {software.version}"


def _environment_title(record: Record, software: Software) -> str:
    return f"Frozen environment of {software.title} {software.version} ({record.recipe})"


def _text(record: Record, software: Software) -> str:
    site = f" {software.homepage}" if software.homepage else ""
    lines = [f"Software: {software.title}, version {software.version}.{site}"]
    lines += [f"  Cite: {f'{cited.note}. ' if cited.note else ''}{cited.url}" for cited in software.citations]
    lines += [f"  {NOT_KNOWN}"] if not software.known_from else []
    lines += [
        f"Environment: container image {record.image}, made from lock {record.lock}.",
        f"Run: {record.run}, {record.ended:%Y-%m-%d}, record {record.digest}.",
    ]
    return "\n".join(lines) + "\n"


def _bibtex(record: Record, software: Software) -> str:
    key = re.sub(r"[^A-Za-z0-9]+", "-", f"{software.name}-{software.version}").strip("-")
    year = f"{record.ended:%Y}"
    entries = [
        _entry(
            "software",
            key,
            {
                "title": software.title,
                "version": software.version,
                "url": software.homepage,
                "note": NOT_KNOWN if not software.known_from else _words(software),
            },
        ),
        *(
            _entry(
                "misc",
                f"{key}-ref{number}",
                {
                    "title": cited.note or cited.label,
                    "doi": cited.value if cited.scheme == "doi" else "",
                    "url": cited.url,
                },
            )
            for number, cited in enumerate(software.citations, 1)
        ),
        _entry(
            "misc",
            f"{key}-environment",
            {
                "title": _environment_title(record, software),
                "year": year,
                "howpublished": "container image",
                "note": f"image {record.image}, lock {record.lock}",
            },
        ),
        _entry(
            "misc",
            f"run-{record.run}",
            {
                "title": _run_title(record, software),
                "author": record.user or "",
                "year": year,
                "note": f"run {record.run}, record {record.digest}",
            },
        ),
    ]
    return "\n".join(entries)


def _words(software: Software) -> str:
    return f"Licence: {software.licence}" if software.licence else ""


def _entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    lines = [f"  {name} = {{{_tex(name, value)}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])


_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEX |= {sign: f"\\{sign}" for sign in "&%$#_{}"}


def _tex(name: str, value: str) -> str:
    """A value as BibTeX takes it; addresses are typeset as they are."""
    text = " ".join(value.split())
    if name in ("url", "doi"):
        return text.replace("{", "%7B").replace("}", "%7D")
    return "".join(_TEX.get(sign, sign) for sign in text)


def _cff(record: Record, software: Software) -> str:
    """Citation File Format 1.2.0."""
    known: list[object] = [
        {"type": "doi", "value": cited.value, "description": cited.note or "article on the software"}
        if cited.scheme == "doi"
        else {"type": "url", "value": cited.url, "description": cited.note or cited.label}
        for cited in software.citations
    ]
    program: dict[str, object] = {
        "type": "software",
        "title": software.title,
        "version": software.version,
        "authors": [{"name": f"The authors of {software.title}"}],
        **({"url": software.homepage} if software.homepage else {}),
        **({"identifiers": known} if known else {}),
        "notes": NOT_KNOWN if not software.known_from else _words(software) or "No licence is stated.",
    }
    environment = {
        "type": "software-container",
        "title": _environment_title(record, software),
        "authors": [{"name": "Thaw"}],
        "identifiers": [
            _other(record.image, "image: digest of its configuration"),
            _other(record.lock, "lock: every byte the image is made of"),
        ],
    }
    return _yaml(
        {
            "cff-version": "1.2.0",
            "message": "If you use these results, cite the run, the software and the environment.",
            "type": "dataset",
            "title": _run_title(record, software),
            "authors": [{"name": record.user or "not recorded"}],
            "date-released": f"{record.ended:%Y-%m-%d}",
            "identifiers": [
                _other(record.digest, "digest of the run's record"),
                _other(record.run, "id of the run"),
            ],
            "references": [program, environment],
        }
    )


def _other(value: str, what: str) -> Mapping[str, object]:
    return {"type": "other", "value": value, "description": what}


def _yaml(value: Mapping[str, object]) -> str:
    """YAML of mappings, lists and texts; a text is quoted as JSON quotes it, which YAML reads the same."""
    return "\n".join(_yaml_lines(value)) + "\n"


def _yaml_lines(value: Mapping[str, object]) -> Iterable[str]:
    for key, item in value.items():
        if isinstance(item, Sequence) and not isinstance(item, str):
            yield f"{key}:"
            for part in item:
                first, *more = _yaml_lines(part)
                yield f"  - {first}"
                yield from (f"    {line}" for line in more)
        else:
            yield f"{key}: {json.dumps(item, ensure_ascii=False)}"
