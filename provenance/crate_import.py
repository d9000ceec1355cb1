"""Read a run back from a crate that another Thaw exported: every byte checked before the first one is taken."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, Protocol, cast
from urllib.parse import unquote

from provenance.digest import CHUNK, Digest, parse_digest
from provenance.errors import DigestMismatch, ThawError
from provenance.export.contents import IMAGE_PATH, LOCK_PATH, RECORD_PATH
from provenance.export.model import DatasetFacts
from provenance.record import Record, record_from_bytes
from provenance.store import Store
from provenance.vault import Vault
from provenance.vault_tree import tree_from_bytes

METADATA = "ro-crate-metadata.json"
_METADATA_LIMIT = 64 << 20
_SHOWN = 5


class CrateRefused(ThawError):
    """A crate is damaged, forged or not one of a run; nothing was taken from it."""

    code = "crate-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file of the crate as its metadata names it."""

    path: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crate:
    """A crate whose every byte was checked. `image` is an OCI layout as one tar, where there is one."""

    files: CrateFiles
    record: Record
    lock: bytes
    parts: tuple[Part, ...]
    image: Part | None
    datasets: Mapping[Digest, DatasetFacts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenCrate:
    """What came of an import: the record's digest, how many objects were new, how many were there."""

    digest: Digest
    added: int
    present: int


class CrateFiles(Protocol):
    """Where the files of a crate are: a folder or a zip. `path` is checked to stay inside."""

    where: Path

    def open(self, path: str) -> BinaryIO:
        """A file; raises `CrateRefused` where there is none of that name."""


@contextmanager
def open_crate(source: Path, vault: Vault) -> Iterator[Crate]:
    """The crate in a folder, a zip or a bag, checked; raises `CrateRefused` naming what is wrong."""
    if source.is_dir():
        yield read_crate(_Folder(source), vault)
        return
    try:
        with _open_zip(source) as archive:
            yield read_crate(_Zip(source, archive), vault)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _refused(source, f"its zip is damaged: {error}") from error


def read_crate(files: CrateFiles, vault: Vault) -> Crate:
    """Check every file a crate names and that it holds all its record needs; `vault` may have it already."""
    graph = _read_graph(files)
    parts = tuple(_parts(files, graph))
    for part in parts:
        _check_part(files, part)
    by_path = {part.path: part for part in parts}
    if RECORD_PATH not in by_path or LOCK_PATH not in by_path:
        raise _refused(
            files.where, f"it has no {RECORD_PATH} and {LOCK_PATH} with a sha256: it is not of Thaw"
        )
    record = record_from_bytes(_read(files, by_path[RECORD_PATH]))
    _check_identity(files, graph, record)
    _check_complete(files, record, parts, vault)
    return Crate(
        files=files,
        record=record,
        lock=_read(files, by_path[LOCK_PATH]),
        parts=tuple(part for part in parts if part.path != IMAGE_PATH),
        image=by_path.get(IMAGE_PATH),
        datasets=_datasets(graph),
    )


def take_crate(crate: Crate, vault: Vault, store: Store) -> TakenCrate:
    """Put all of a crate into vault, journal and store; each object is checked again as it enters."""
    run, digest = crate.record.run, crate.record.digest
    standing = store.journal.record_of(run)
    if standing not in (None, digest):
        raise _refused(
            crate.files.where,
            f"run {run} is here already with another record: {standing}, the crate has {digest}",
        )
    parts, added = {part.digest: part for part in crate.parts}, 0
    for part in parts.values():
        if not vault.look_at(part.digest).is_sound():
            with crate.files.open(part.path) as stream:
                vault.put_stream(stream, expected=part.digest, expected_size=part.size)
            added += 1
    store.finish_run(crate.record, vault)
    return TakenCrate(digest=digest, added=added, present=len(parts) - added)


def copy_part(crate: Crate, part: Part, target: Path) -> None:
    """Write one file of a crate to `target`, checked again."""
    hashed = _Hashing(crate.files, part)
    with target.open("wb") as stream:
        for piece in hashed.pieces():
            stream.write(piece)


def _read_graph(files: CrateFiles) -> list[Mapping[str, object]]:
    with files.open(METADATA) as stream:
        content = stream.read(_METADATA_LIMIT)
    try:
        graph = json.loads(content)["@graph"]
        if not isinstance(graph, list) or not all(isinstance(item, dict) for item in graph):
            raise TypeError("@graph is no list of objects")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refused(files.where, f"{METADATA} is no RO-Crate metadata ({error})") from error
    return graph


def _parts(files: CrateFiles, graph: list[Mapping[str, object]]) -> Iterator[Part]:
    """Every file the metadata gives a digest; a name that leads out of the crate is refused, taken or not."""
    seen: set[str] = set()
    for entity in graph:
        if "File" not in _texts(entity.get("@type")):
            continue
        path = unquote(str(entity.get("@id", "")))
        path = path.removeprefix("./")
        _check_inside(files, path)
        if "sha256" not in entity:
            continue
        if path in seen:
            raise _refused(files.where, f"{path!r} is named twice")
        seen.add(path)
        try:
            digest, size = parse_digest(f"sha256:{entity['sha256']}"), int(str(entity["contentSize"]))
        except (KeyError, ValueError, DigestMismatch) as error:
            raise _refused(files.where, f"{path!r} has no sha256 and size that can be read") from error
        yield Part(path=path, digest=digest, size=size)


def _texts(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def _check_inside(files: CrateFiles, path: str) -> None:
    if "\0" in path or "\\" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise _refused(files.where, f"the path {path!r} leads out of the crate")


def _check_part(files: CrateFiles, part: Part) -> None:
    for _ in _Hashing(files, part).pieces():
        pass


class _Hashing:
    """The bytes of a part, which are only all given where they are the right ones; no more is read than announced."""

    def __init__(self, files: CrateFiles, part: Part) -> None:
        self._files, self._part = files, part

    def pieces(self) -> Iterator[bytes]:
        hasher, size = hashlib.sha256(), 0
        with self._files.open(self._part.path) as stream:
            while piece := stream.read(CHUNK):
                size += len(piece)
                if size > self._part.size:
                    break
                hasher.update(piece)
                yield piece
        found = f"sha256:{hasher.hexdigest()}"
        if (found, size) != (self._part.digest, self._part.size):
            raise _refused(
                self._files.where,
                f"{self._part.path!r} has other bytes: expected {self._part.digest} ({self._part.size} bytes), "
                f"found {found if size <= self._part.size else 'more'} ({size} bytes)",
            )


def _read(files: CrateFiles, part: Part) -> bytes:
    return b"".join(_Hashing(files, part).pieces())


def _check_identity(files: CrateFiles, graph: list[Mapping[str, object]], record: Record) -> None:
    root = next((entity for entity in graph if entity.get("@id") == "./"), {})
    said, found = root.get("identifier"), record.digest
    if said != found:
        raise _refused(files.where, f"it says it is record {said}, its {RECORD_PATH} is {found}")


def _check_complete(files: CrateFiles, record: Record, parts: tuple[Part, ...], vault: Vault) -> None:
    by_digest = {part.digest: part for part in parts}
    needed = {record.lock: "the lock"}
    needed |= {item.digest: f"output {item.path}" for item in record.outputs}
    needed |= {record.log: "the log"} if record.log is not None else {}
    needed |= {record.job.script: "the script"} if record.job.script is not None else {}
    for item in record.inputs:
        needed[item.digest] = f"the list of files of input {item.name}"
        if item.digest in by_digest:
            tree = tree_from_bytes(_read(files, by_digest[item.digest]), item.digest)
            needed |= {entry.digest: f"input {item.name}: {entry.path}" for entry in tree.entries}
        elif vault.has(item.digest):
            tree = vault.read_tree(item.digest)
            needed |= {entry.digest: f"input {item.name}: {entry.path}" for entry in tree.entries}
    missing = [
        f"{what} ({digest})"
        for digest, what in needed.items()
        if digest not in by_digest and not vault.has(digest)
    ]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise _refused(files.where, f"it lacks {', '.join(missing[:_SHOWN])}{more}")


def _datasets(graph: list[Mapping[str, object]]) -> Mapping[Digest, DatasetFacts]:
    """What the crate says of its datasets, by tree. Words only: nothing is decided by them."""
    found = {}
    for entity in graph:
        digest = entity.get("identifier")
        if "Dataset" in _texts(entity.get("@type")) and entity.get("@id") != "./" and isinstance(digest, str):
            keys = ("alternateName", "isBasedOn", "license")
            title, origin, licence = (
                text if isinstance(text := entity.get(key), str) else "" for key in keys
            )
            found[Digest(digest)] = DatasetFacts(title=title, origin=origin, licence=licence)
    return found


class _Folder:
    """A crate as a folder; in a bag it lies in `data/`."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self._root = (where / "data" if (where / "bagit.txt").is_file() else where).resolve()

    def open(self, path: str) -> BinaryIO:
        file = self._root / path
        if not file.resolve().is_relative_to(self._root):
            raise _refused(self.where, f"the path {path!r} leads out of the crate")
        try:
            return file.open("rb")
        except OSError as error:
            raise _refused(self.where, f"{path!r} is missing") from error


class _Zip:
    """A crate as a zip; nothing of it is unpacked."""

    def __init__(self, where: Path, archive: zipfile.ZipFile) -> None:
        self.where, self._archive = where, archive
        names = archive.namelist()
        if len(names) != len(set(names)):
            raise _refused(where, "a file is in its zip twice")
        self._prefix = "data/" if "bagit.txt" in names else ""

    def open(self, path: str) -> BinaryIO:
        try:
            stream: IO[bytes] = self._archive.open(self._prefix + path)
        except KeyError as error:
            raise _refused(self.where, f"{path!r} is missing") from error
        except (NotImplementedError, RuntimeError) as error:  # an unknown compression, an encrypted member
            raise _refused(self.where, f"its zip is damaged: {error}") from error
        return cast(BinaryIO, stream)  # it reads and closes: all that is asked of it


def _open_zip(source: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(source)
    except NotImplementedError as error:  # a zip of a later version than this Python knows
        raise _refused(source, f"its zip is damaged: {error}") from error


def _refused(where: Path, reason: str) -> CrateRefused:
    return CrateRefused(
        f"{where.name!r} is refused: {reason}; nothing was taken from it",
        where=str(where),
        hint="export the run again, or copy the crate again",
    )
