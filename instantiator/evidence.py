"""What was shown of a recipe and when: rebuilds, verified runs and tests, a line each beside the journal.

`<home>/vault/journal/evidence/<name>-<version>.jsonl` holds canonical JSON, oldest first, and is only added to.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from provenance.digest import canonical_json
from provenance.errors import DiskFull, ThawError
from provenance.reader import Reader, WrongShape
from provenance.record import format_time, parse_time
from provenance.vault_files import sync_folder

Kind = Literal["rebuild", "verify", "test"]
FORMAT = 1
GOOD = ("identical", "equivalent", "passed")
_KINDS: tuple[Kind, ...] = ("rebuild", "verify", "test")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*")
_log = logging.getLogger(__name__)


class EvidenceMisnamed(ThawError):
    """Evidence is noted for, or asked of, something that is no `name/version`."""

    code = "evidence-misnamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One thing that was shown: `grade` is a verdict's word, or `passed` and `failed` of a test."""

    kind: Kind
    recipe: str
    image: str
    when: datetime
    grade: str
    seconds: float
    detail: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it speaks for the recipe."""
        return self.grade in GOOD


def note_evidence(home: Path, evidence: Evidence) -> None:
    """Add one line and wait until it is on the disk. Safe under several writers; a line a kill cut is closed first."""
    path = _file_of(home, evidence.recipe)
    try:
        is_new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.write(_break_before(path) + canonical_json(_to_json(evidence)))
            stream.flush()
            os.fsync(stream.fileno())
        if is_new:
            sync_folder(path.parent)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(
            "no space left to note what was shown",
            where=str(path),
            hint="free some space, then do it again",
        ) from error


def read_evidence(home: Path, recipe: str, problems: list[str] | None = None) -> tuple[Evidence, ...]:
    """All there is on a recipe (`name/version`), oldest first.

    Lines that cannot be read are left out and named, as FILE:LINE and why: in `problems`, else in the log.
    """
    path = _file_of(home, recipe)
    found = []
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    for number, line in enumerate(lines, start=1):
        try:
            evidence = _from_json(json.loads(line))
        except ValueError as error:
            _name_problem(f"{path}:{number}: {error}", problems)
            continue
        if evidence.recipe == recipe:  # `a-1/2` and `a/1-2` share a file
            found.append(evidence)
    return tuple(found)


def _name_problem(text: str, problems: list[str] | None) -> None:
    if problems is None:
        _log.warning("evidence that cannot be read is left out: %s", text)
    else:
        problems.append(text)


def _file_of(home: Path, recipe: str) -> Path:
    parts = recipe.split("/")
    if len(parts) != 2 or not all(_NAME.fullmatch(part) for part in parts):
        raise EvidenceMisnamed(
            f"found {recipe!r}, expected NAME/VERSION of a recipe", hint="see: thaw recipe list"
        )
    return home / "vault" / "journal" / "evidence" / f"{'-'.join(parts)}.jsonl"


def _break_before(path: Path) -> bytes:
    """What ends a line that a kill or a power cut left open; it stays, and reads as broken."""
    content = path.read_bytes()
    return b"" if not content or content.endswith(b"\n") else b"\n"


def _to_json(evidence: Evidence) -> dict[str, object]:
    return {
        "format": FORMAT,
        "kind": evidence.kind,
        "recipe": evidence.recipe,
        "image": evidence.image,
        "when": format_time(evidence.when),
        "grade": evidence.grade,
        "took_ms": round(evidence.seconds * 1000),
        "detail": evidence.detail,
    }


def _from_json(value: object) -> Evidence:
    with Reader(value) as read:
        if read.whole("format") != FORMAT:
            raise WrongShape(f"format {read.whole('format')}: expected {FORMAT}")
        word = read.text("kind")
        kind = next((known for known in _KINDS if known == word), None)
        if kind is None:
            raise WrongShape(f"kind {word!r}: expected one of {', '.join(_KINDS)}")
        return Evidence(
            kind=kind,
            recipe=read.text("recipe"),
            image=read.text("image"),
            when=parse_time(read.text("when")),
            grade=read.text("grade"),
            seconds=read.whole("took_ms") / 1000,
            detail=read.text("detail"),
        )
