"""The report of a fixity audit, to be kept: what was hashed, when, what uses it, what was found. JSON or a page."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from instantiator import __version__
from instantiator.atomic import replace_text
from provenance.digest import Digest
from provenance.fixity import AuditReport
from provenance.record import format_time

FORMAT = 1
NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """An audit with its circumstances. `users` counts the objects each recipe and run uses."""

    vault: str
    began: datetime
    seconds: float
    report: AuditReport
    users: dict[str, int]

    def to_json(self) -> dict[str, object]:
        """Keys: format, thaw, vault, began, took_ms, users, and those of the audit."""
        return {
            "format": FORMAT,
            "thaw": __version__,
            "vault": self.vault,
            "began": format_time(self.began),
            "took_ms": round(self.seconds * 1000),
            "users": self.users,
            **self.report.to_json(),
        }


def count_users(digests: Iterable[Digest], uses: Callable[[Digest], Sequence[str]]) -> dict[str, int]:
    """How many objects each recipe (`recipe a/1`) and run (`run 2026…`) uses; `nobody` counts what none does."""
    counted = Counter(
        user for digest in digests for user in ({_user(use) for use in uses(digest)} or {NOBODY})
    )
    return dict(sorted(counted.items()))


def _user(use: str) -> str:
    """Who uses it, without what it is there: `package tk 8.6 of fv/5.5.2` is `fv/5.5.2`."""
    return use.rpartition(" of ")[2].partition(",")[0].partition(":")[0]


def write_report(audited: Audited, file: Path) -> None:
    """As a page where the name ends in .html, else as JSON; at once or not at all."""
    is_page = file.suffix.lower() in (".html", ".htm")
    text = (
        render_page(audited)
        if is_page
        else json.dumps(audited.to_json(), indent=1, ensure_ascii=False) + "\n"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_text(file, text)


def render_page(audited: Audited) -> str:
    """The report as one HTML page that needs nothing else."""
    report = audited.report
    word = "Sound" if report.is_sound() else "Not sound"
    facts = [
        ("Vault", audited.vault),
        ("Began", f"{audited.began:%Y-%m-%d %H:%M:%S} UTC, took {audited.seconds:.1f} s"),
        ("Hashed", f"{report.objects:,} objects, {report.size:,} bytes"),
        ("Found", f"{len(report.findings)} things, {len(report.repaired)} of them repaired"),
        ("By", f"Thaw {__version__}"),
    ]
    findings = [(f.fault.value, str(f.digest or f.path), f.describe()) for f in report.findings]
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Fixity audit {audited.began:%Y-%m-%d}</title>
<style>body{{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse;width:100%;margin:1rem 0}}
td,th{{border-bottom:1px solid #ccc;padding:.3rem .6rem}}
td,th{{text-align:left;vertical-align:top;overflow-wrap:anywhere}}</style>
<h1>{word}</h1>
{_table(("", ""), facts)}
<h2>Findings</h2>
{_table(("Fault", "Object", "What, who uses it, what was done"), findings) if findings else "<p>None.</p>"}
<h2>Used by</h2>
{_table(("Recipe or run", "Objects"), [(user, f"{count:,}") for user, count in audited.users.items()])}
</html>
"""


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>\n{body}</table>"
