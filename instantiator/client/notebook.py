"""A run as a notebook shows it: HTML without scripts, everything in it escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from instantiator.client.models import OutputFile, RunStatus

PICTURE_LIMIT = 1_500_000
"""Letters of base64: larger pictures stay on the service, or a notebook would hold them for ever."""
TEXT_SHOWN = 1200
ROWS_SHOWN = 8
LISTED = 12
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_SIGNS = {"completed": "✓", "failed": "✗", "timed-out": "✗", "out-of-memory": "✗"}
_CELL = "text-align:left;padding:2px 12px 2px 0;vertical-align:top"
_TABLE = "border-collapse:collapse;margin:4px 0"
_PRE = (
    "max-height:14em;overflow:auto;margin:2px 0 8px;padding:6px;border:1px solid #8886;white-space:pre-wrap"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What of a run's outputs is shown: previews are the service's, by the number of the output."""

    outputs: tuple[OutputFile, ...]
    previews: Mapping[int, Mapping[str, Any]]


NOTHING = Shown(outputs=(), previews={})


def render_run(status: RunStatus, shown: Shown, *, remark: str = "") -> str:
    """A run: state, what was asked, what it gave, with previews."""
    sign = _SIGNS.get(status.state.value, "…" if not status.state.is_final() else "–")
    head = f"<strong>{sign} run {escape(status.run)}: {escape(status.state.value)}</strong>"
    parts = [f"<div>{head} {_span(status)}</div>"]
    parts += [f"<div>{escape(text)}</div>" for text in (status.message, remark) if text]
    parts.append(_facts(status))
    if shown.outputs:
        parts.append(_outputs(shown.outputs))
        parts += [_preview(item, shown.previews.get(item.number)) for item in shown.outputs]
    return f'<div class="thaw-run">{"".join(parts)}</div>'


def _span(status: RunStatus) -> str:
    if status.answered_from:
        return f"<small>(answered from run {escape(status.answered_from)})</small>"
    if status.started is None or status.ended is None:
        return ""
    return f"<small>({(status.ended - status.started).total_seconds():.1f} s)</small>"


def _facts(status: RunStatus) -> str:
    rows = [("thread", f"{status.recipe} {status.thread}")]
    rows += [(f"input {name}", dataset) for name, dataset in sorted(status.datasets.items())]
    given = sorted((name, value) for name, value in status.parameters.items() if value is not None)
    rows += [(name, json.dumps(value, ensure_ascii=False)) for name, value in given]
    rows += [("record", status.record)] if status.record else []
    return _table(None, rows)


def _outputs(outputs: tuple[OutputFile, ...]) -> str:
    told = outputs[:LISTED]
    rows = [(item.path, f"{item.size:,} B", item.media_type, item.digest[7:19]) for item in told]
    rows += [(f"… and {len(outputs) - LISTED} more", "", "", "")] if len(outputs) > LISTED else []
    return _table(("output", "size", "type", "sha256"), rows)


def _preview(output: OutputFile, preview: Mapping[str, Any] | None) -> str:
    if preview is None:
        return ""
    caption = f"<div><small>{escape(output.path)}: {escape(str(preview.get('caption', '')))}</small></div>"
    body = {"image": _picture, "table": _rows, "text": _text}.get(str(preview.get("kind")))
    return caption + body(preview) if body is not None else ""


def _picture(preview: Mapping[str, Any]) -> str:
    data = str(preview.get("png", ""))
    if len(data) > PICTURE_LIMIT or not _BASE64.fullmatch(data):
        return "<div><small>too large to be shown here; save it</small></div>"
    caption = escape(str(preview.get("caption", "")))
    return f'<img alt="{caption}" style="max-width:420px" src="data:image/png;base64,{data}">'


def _rows(preview: Mapping[str, Any]) -> str:
    header = tuple(str(cell) for cell in preview.get("header") or ())
    rows = [tuple(str(cell) for cell in row) for row in (preview.get("rows") or ())[:ROWS_SHOWN]]
    return _table(header, rows)


def _text(preview: Mapping[str, Any]) -> str:
    text = str(preview.get("text", ""))
    head = text if len(text) <= TEXT_SHOWN else text[:TEXT_SHOWN] + "…"
    return f'<pre style="{_PRE}">{escape(head)}</pre>'


def _table(header: Iterable[str] | None, rows: Iterable[Iterable[str]]) -> str:
    lines = [_line("th", header)] if header is not None else []
    lines += [_line("td", row) for row in rows]
    return f'<table style="{_TABLE}">{"".join(lines)}</table>'


def _line(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f'<{tag} style="{_CELL}">{escape(cell)}</{tag}>' for cell in cells) + "</tr>"
