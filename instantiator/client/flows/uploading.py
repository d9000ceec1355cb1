"""Bring a file or folder to the service: in pieces, and on from where it broke off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from instantiator.client.actions import Do, Flow, Pause, Reply, Request, Tell
from instantiator.client.errors import RemoteError, ServiceUnreachable
from instantiator.client.flows.asking import AWAY, PAUSES, ROOT, accepted, ask, error_of, get
from instantiator.client.flows.catalogue import dataset, datasets
from instantiator.client.models import Dataset, items_of, read_json, read_value
from provenance.digest import Digest, TreeEntry, digest_file, make_tree
from provenance.errors import SourceRefused
from provenance.vault_tree import scan_folder

PIECE = 4 * 1024**2
"""Smaller than the service allows: what broke off is soon sent again."""
LONG_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How far an upload is."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A file to be sent: its path in the dataset, where it is, and what it holds."""

    path: str
    source: Path
    size: int
    digest: Digest


def upload(
    path: Path, name: str | None = None, *, described: Mapping[str, str], resume: str | None = None
) -> Flow[Dataset]:
    """Register a file or folder as a dataset; tells `Sent`.

    What the service has already is not sent: under this name as its latest version, or without a name under any.
    Without a name, new content gets a free one made from the path. `resume` names an upload that broke off.
    """
    files: tuple[LocalFile, ...] = yield Do(lambda: read_files(path))
    known = yield from datasets()
    standing = None if any(described.values()) else _find_same(known, name, _tree_digest(files))
    if standing is not None:
        return standing
    name = name or _free_name(path, {item.name for item in known})
    began = yield from (_begin(name, files, described) if resume is None else _look(resume))
    try:
        yield from _send_files(began, {file.path: file for file in files})
        return (yield from _complete(str(began["upload"]), name, _tree_digest(files)))
    except ServiceUnreachable as error:
        raise ServiceUnreachable(
            f"{error.message}; upload {began['upload']} broke off",
            where=error.where,
            hint=f"go on with it: upload(..., resume={began['upload']!r})",
        ) from error


def read_files(path: Path) -> tuple[LocalFile, ...]:
    """The files at a path, hashed; raises `SourceRefused` where there is none."""
    if path.is_dir():
        found = [(file.path, file.source) for file in scan_folder(path)]
    else:
        found = [(path.name, path)] if path.is_file() else []
    if not found:
        raise SourceRefused(
            "there is no file at this path", where=str(path), hint="name a file, or a folder of files"
        )
    return tuple(
        LocalFile(path=name, source=source, size=source.stat().st_size, digest=digest_file(source))
        for name, source in found
    )


def _tree_digest(files: tuple[LocalFile, ...]) -> Digest:
    """What the dataset will be called by content; an upload carries no executable bits."""
    entries = (
        TreeEntry(path=file.path, digest=file.digest, size=file.size, executable=False) for file in files
    )
    return make_tree(entries).digest


def _find_same(known: Sequence[Dataset], name: str | None, digest: Digest) -> Dataset | None:
    latest = {item.name: item for item in known}  # they come by name and version
    same = [item for item in (known if name is None else latest.values()) if item.digest == digest]
    return next((item for item in reversed(same) if item.kept and name in (None, item.name)), None)


def _free_name(path: Path, taken: set[str]) -> str:
    from instantiator.dataset.names import free_name  # here: it brings the store along

    return free_name(path.resolve(), taken)


def _begin(name: str, files: tuple[LocalFile, ...], described: Mapping[str, str]) -> Flow[Mapping[str, Any]]:
    announced = [
        {"path": file.path, "size": file.size, "sha256": file.digest.removeprefix("sha256:")}
        for file in files
    ]
    request = Request(
        method="POST",
        path=f"{ROOT}/uploads",
        json={"name": name, **described, "files": announced},
        repeatable=False,
    )
    return read_json((yield from ask(request)).content)


def _look(name: str) -> Flow[Mapping[str, Any]]:
    return read_json((yield from ask(get(f"/uploads/{quote(name, safe='')}"))).content)


def _send_files(began: Mapping[str, Any], files: Mapping[str, LocalFile]) -> Flow[None]:
    announced = items_of(began, "files")
    total, done = sum(int(item["size"]) for item in announced), 0
    size = min(PIECE, int(began["piece"]))
    for item in announced:
        file = files.get(item["path"])
        if file is None or file.size != item["size"]:
            raise SourceRefused(
                f"{item['path']!r} is not what the upload began with", hint="begin a new upload"
            )
        yield from _send_file(str(began["upload"]), file, int(item["offset"]), (size, done, total))
        done += file.size


def _send_file(name: str, file: LocalFile, offset: int, far: tuple[int, int, int]) -> Flow[None]:
    """Send what is missing of one file; where an answer was lost the service says where to go on."""
    piece, done, total = far
    is_over, failures = offset == file.size > 0, 0
    while not is_over:
        content: bytes = yield Do(lambda at=offset: _read_piece(file.source, at, piece))  # type: ignore[misc]
        trouble, reply = yield from _send_piece(name, file.path, offset, content)
        if reply is not None:
            offset, failures = int(read_json(reply.content)["offset"]), 0
            is_over = offset >= file.size
            yield Tell(Sent(done=done + offset, total=total))
            continue
        if failures == len(PAUSES):
            assert trouble is not None
            raise trouble
        yield Pause(PAUSES[failures])
        failures += 1
        offset = _offset_of((yield from _look(name)), file.path)
        is_over = offset == file.size > 0


def _send_piece(
    name: str, path: str, offset: int, content: bytes
) -> Flow[tuple[ServiceUnreachable | RemoteError | None, Reply | None]]:
    """Send one piece, once: the reply, or the trouble after which to look where to go on."""
    request = Request(
        method="PATCH",
        path=f"{ROOT}/uploads/{name}/files/{quote(path)}",
        headers={"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"},
        content=content,
        repeatable=False,
    )
    try:
        reply: Reply = yield request
    except ServiceUnreachable as error:
        return error, None
    if reply.status in AWAY or reply.status == 409:
        return error_of(reply), None
    return None, accepted(reply)


def _offset_of(upload: Mapping[str, Any], path: str) -> int:
    return next(int(item["offset"]) for item in items_of(upload, "files") if item["path"] == path)


def _read_piece(source: Path, offset: int, size: int) -> bytes:
    with source.open("rb") as stream:
        stream.seek(offset)
        return stream.read(size)


def _complete(name: str, dataset_name: str, digest: Digest) -> Flow[Dataset]:
    """Register it. An upload that is gone after a lost answer was registered: then the dataset is there."""
    request = Request(method="POST", path=f"{ROOT}/uploads/{name}/complete", timeout_s=LONG_S)
    try:
        return read_value(Dataset, read_json((yield from ask(request)).content))
    except RemoteError as error:
        if error.code != "upload-unknown":
            raise
        found = yield from dataset(dataset_name)
        if found.digest != digest:
            raise
        return found
