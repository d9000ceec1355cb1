"""What a record says it observed, in a line, and its findings: for people. Older records have fewer keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """An observation in one line, and a line for each finding."""

    text: str
    findings: tuple[str, ...]


def summarise(observed: Mapping[str, object]) -> Summary | None:
    """The summary of a record's `observed`; None for that of a session that was started again."""
    if "mechanism" not in observed:
        return None
    mechanism = str(observed["mechanism"])
    if mechanism == "none":
        limits = observed.get("limits")
        reason = str(limits[0]) if isinstance(limits, list) and limits else "nothing was observed"
        return Summary(text=reason, findings=())
    read, written, programs = (_count(observed, key) for key in ("files_read", "files_written", "programs"))
    lost = "; events were lost, so there is more" if observed.get("lost_events") else ""
    found = observed.get("findings")
    findings = tuple(_line(item) for item in found) if isinstance(found, list) else ()
    none = ""
    if isinstance(found, list) and not found:
        none = "; all as the recipe says"
    text = f"{read} files read, {written} written, {programs} programs, by {mechanism}{lost}{none}"
    return Summary(text=text, findings=findings)


def _count(observed: Mapping[str, object], key: str) -> int:
    found = observed.get(key)
    return len(found) if isinstance(found, list) else 0


def _line(finding: Mapping[str, object]) -> str:
    paths, count = finding.get("paths"), finding.get("count")
    named = [str(path) for path in paths[:_SHOWN]] if isinstance(paths, list) else []
    more = f" and {count - len(named)} more" if isinstance(count, int) and count > len(named) else ""
    where = f": {', '.join(named)}{more}" if named else ""
    return f"{finding.get('message', '')}{where} ({finding.get('code', '')})"
