"""What the store keeps and gives back, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from provenance.digest import Digest
from provenance.record import RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The process that looks after a run: a process number alone is soon another program's."""

    pid: int
    start_ticks: int
    boot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run about to be made. `inputs` says for each input which dataset it was given (`name@version`)."""

    id: str
    kind: str
    recipe: str
    thread: str
    parameters: Mapping[str, object]
    inputs: Mapping[str, str]
    submitted: datetime
    owner: Owner
    repeats: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run as the store knows it. `record` is set, and `owner` is not, once it is finished."""

    id: str
    kind: str
    recipe: str
    thread: str
    parameters: Mapping[str, object]
    inputs: Mapping[str, str]
    repeats: str | None
    state: RunState
    submitted: datetime
    started: datetime | None
    ended: datetime | None
    record: Digest | None
    exit_status: int | None
    message: str
    owner: Owner | None
    user: str | None = None
    answered_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRun:
    """That a run was repeated by another and judged; `verdict` is the object with the whole of it."""

    run: str
    repeated_by: str
    grade: str
    verdict: Digest
    judged: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDataset:
    """A dataset about to be registered. `kept`: its bytes are in the vault, else it stays where it is."""

    name: str
    path: Path
    kept: bool
    added: datetime
    title: str = ""
    origin: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One version of a dataset. Its digest, that of its tree, never changes; `path` is where it was added."""

    name: str
    version: int
    digest: Digest
    path: Path
    kept: bool
    files: int
    size: int
    added: datetime
    title: str = ""
    origin: str = ""
    licence: str = ""

    @property
    def reference(self) -> str:
        """`name@version`: what a record calls it."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStat:
    """What the file system says of a file; the same again means the same bytes."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """The digest a file had when the file system said this of it."""

    stat: FileStat
    digest: Digest
