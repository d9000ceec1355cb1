"""Note what a command has shown of a recipe."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from instantiator.commands.common import Bench
from instantiator.evidence import Evidence, Kind, note_evidence


def note(
    bench: Bench, kind: Kind, recipe: str, *, image: str, grade: str, began: float, detail: str = ""
) -> None:
    """Write one line of evidence; `began` is `time.monotonic()` of the beginning."""
    evidence = Evidence(
        kind=kind,
        recipe=recipe,
        image=image,
        when=datetime.now(UTC),
        grade=grade,
        seconds=time.monotonic() - began,
        detail=detail,
    )
    note_evidence(bench.settings.home, evidence)
