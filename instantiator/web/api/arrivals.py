"""Uploads: a dataset arrives file by file, each in pieces, and is registered when all of it is there."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from instantiator.atomic import replace_text
from instantiator.dataset import Dataset, add_dataset
from instantiator.web.api.models import NewUpload
from instantiator.web.portal import Bench
from instantiator.web.workspace import PART, PathRefused, Upload, UploadTooLarge, Workspace
from provenance.digest import digest_file
from provenance.errors import DigestMismatch, ThawError

_ID = re.compile(r"[0-9a-f]{24}")
OPEN_AT_ONCE = 20


class UploadUnknown(ThawError):
    """There is no such upload, or it is somebody else's: both answer the same."""

    code = "upload-unknown"


class UploadIncomplete(ThawError):
    """An upload cannot be registered before all of it is there."""

    code = "upload-incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An upload under way: what was announced, by whom, and the folder it grows in."""

    id: str
    user: str
    asked: NewUpload
    folder: Path

    @property
    def files(self) -> Path:
        """The dataset's files, as far as they are there."""
        return self.folder / "files"

    def offset(self, path: str, size: int) -> int:
        """How much of a file is there; raises `PathRefused`."""
        there = Workspace(self.files).uploaded(path, size, self.id)  # first: it refuses what is no path
        return size if (self.files / path).is_file() else there


class Arrivals:
    """The uploads under way of all users: `<home>/uploads/<id>/`. They outlive the service."""

    def __init__(self, bench: Bench, limit: int) -> None:
        self._bench = bench
        self._folder = bench.settings.home / "uploads"
        self._limit = limit

    def begin(self, user: str, asked: NewUpload) -> Arrival:
        """Make room for an upload; raises `UploadTooLarge` and `UploadIncomplete` naming limit and value."""
        size = sum(file.size for file in asked.files)
        if size > self._limit:
            raise UploadTooLarge(
                f"the files have {size} bytes together: expected at most {self._limit}, found {size}",
                hint="bring them to the service's host and register them by path",
            )
        mine = sum(1 for arrival in self._all() if arrival.user == user)
        if mine >= OPEN_AT_ONCE:
            raise UploadTooLarge(
                f"one user may have {OPEN_AT_ONCE} uploads under way: expected fewer, found {mine}",
                hint="complete or drop one: DELETE /api/v1/uploads/{upload}",
            )
        _check_paths([file.path for file in asked.files])
        return self._make(user, asked)

    def get(self, user: str, upload: str) -> Arrival:
        """An upload of this user; raises `UploadUnknown`."""
        found = self._read(upload) if _ID.fullmatch(upload) else None
        if found is None or found.user != user:
            raise UploadUnknown(
                "there is no upload of yours with this name", hint="begin one: POST /api/v1/uploads"
            )
        return found

    def append(self, arrival: Arrival, path: str, offset: int, content: bytes) -> int:
        """Add a piece of a file; returns how much of it is there."""
        file = next((item for item in arrival.asked.files if item.path == path), None)
        if file is None:
            raise UploadUnknown(
                f"this upload has no file {path!r}", hint="its files were named when it began"
            )
        asked = Upload(path=path, size=file.size, token=arrival.id)
        return Workspace(arrival.files).append(asked, offset, content)

    def complete(
        self, arrival: Arrival, now: datetime, progress: Callable[[int], None] | None = None
    ) -> Dataset:
        """Register the upload as a dataset, its bytes in the vault, and forget it.

        Raises `UploadIncomplete`, and `DigestMismatch` where a file is not the one announced.
        """
        missing = [f for f in arrival.asked.files if arrival.offset(f.path, f.size) < f.size]
        missing += [f for f in arrival.asked.files if f.size == 0 and not (arrival.files / f.path).is_file()]
        if missing:
            first = missing[0]
            there = arrival.offset(first.path, first.size)
            raise UploadIncomplete(
                f"{len(missing)} files are not all there; of {first.path!r} expected {first.size} bytes, found {there}",
                hint="send the rest, then complete it",
            )
        for file in arrival.asked.files:
            _check_digest(arrival.files / file.path, file.sha256)
        dataset = register(arrival.files, arrival.asked, self._bench, now, progress)
        self.drop(arrival)
        return dataset

    def drop(self, arrival: Arrival) -> None:
        """Forget an upload and what is there of it."""
        shutil.rmtree(arrival.folder, ignore_errors=True)

    def _make(self, user: str, asked: NewUpload) -> Arrival:
        name = secrets.token_hex(12)
        folder = self._folder / name
        (folder / "files").mkdir(parents=True)
        told = {"format": 1, "user": user, "asked": asked.model_dump(mode="json")}
        replace_text(folder / "upload.json", json.dumps(told))
        return Arrival(id=name, user=user, asked=asked, folder=folder)

    def _read(self, name: str) -> Arrival | None:
        folder = self._folder / name
        try:
            told = json.loads((folder / "upload.json").read_bytes())
        except FileNotFoundError:
            return None
        asked = NewUpload.model_validate(told["asked"])
        return Arrival(id=name, user=told["user"], asked=asked, folder=folder)

    def _all(self) -> list[Arrival]:
        names = [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []
        return [found for name in names if (found := self._read(name)) is not None]


def register(
    path: Path, asked: NewUpload, bench: Bench, now: datetime, progress: Callable[[int], None] | None = None
) -> Dataset:
    """Register a folder that will be removed: all its bytes go into the vault."""
    return add_dataset(
        path,
        vault=bench.vault,
        store=bench.store,
        now=now,
        name=asked.name,
        title=asked.title,
        origin=asked.origin,
        licence=asked.licence,
        progress=progress,
    )


def _check_paths(paths: list[str]) -> None:
    """Refuse what is no path of a file, and names of which one would be both a file and a folder, or twice there."""
    taken = set(paths)
    for path in paths:
        parts = path.split("/")
        above = {"/".join(parts[: index + 1]) for index in range(len(parts) - 1)}
        is_wrong = any(part in ("", ".", "..") or part.startswith(PART) for part in parts)
        if is_wrong or above & taken or len(taken) < len(paths):
            raise PathRefused(
                f"{path!r} cannot be a file of the upload: expected relative paths, each once, no '.' and '..'",
                hint="rename it",
            )


def _check_digest(path: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    found = digest_file(path)
    if found != f"sha256:{sha256}":
        raise DigestMismatch(
            f"{path.name!r} is not the file announced: expected sha256:{sha256}, found {found}",
            hint="drop the upload and send the file again",
        )
