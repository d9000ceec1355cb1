"""The file manifest of an image: every path of its layer, one line of facts each, and how two manifests differ."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from provenance.digest import CHUNK, canonical_json

_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    tarfile.FIFOTYPE: "fifo",
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ManifestEntry:
    """One path of a layer.

    `content` is the file's sha256, or where a link points; mode is octal as `ls` counts.
    """

    path: str
    kind: str
    mode: str
    owner: str
    mtime: int
    size: int
    content: str


def read_layer(layer: Path) -> tuple[ManifestEntry, ...]:
    """The manifest of a layer tar, sorted by path."""
    with tarfile.open(layer, "r|") as archive:
        return tuple(sorted(_entry(archive, member) for member in archive))


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo) -> ManifestEntry:
    return ManifestEntry(
        path=str(PurePosixPath("/", member.name)),
        kind=_KINDS.get(member.type, "other"),
        mode=f"{member.mode:04o}",
        owner=f"{member.uid}:{member.gid}",
        mtime=int(member.mtime),
        size=member.size,
        content=_content(archive, member),
    )


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stream = archive.extractfile(member) if member.isreg() else None
    if stream is None:
        return member.linkname
    hasher = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        hasher.update(chunk)
    return hasher.hexdigest()


def manifest_bytes(entries: Iterable[ManifestEntry]) -> bytes:
    """Canonical JSON: `{"format": 1, "columns": [...], "files": [[path, kind, ...], ...]}`."""
    columns = list(ManifestEntry.__slots__)
    rows = [[getattr(entry, column) for column in columns] for entry in entries]
    return canonical_json({"format": 1, "columns": columns, "files": rows})


def manifest_from_bytes(content: bytes) -> tuple[ManifestEntry, ...]:
    """The entries `manifest_bytes` wrote."""
    value = json.loads(content)
    return tuple(ManifestEntry(**dict(zip(value["columns"], row, strict=True))) for row in value["files"])


def differing_paths(expected: Iterable[ManifestEntry], found: Iterable[ManifestEntry]) -> Iterator[str]:
    """One line per path that is not the same, naming what differs: `/etc/x: size 10 -> 12, content ...`."""
    old, new = {entry.path: entry for entry in expected}, {entry.path: entry for entry in found}
    for path in sorted(old.keys() | new.keys()):
        if path not in new:
            yield f"{path}: missing"
        elif path not in old:
            yield f"{path}: not expected"
        elif old[path] != new[path]:
            yield f"{path}: {_change(old[path], new[path])}"


def _change(old: ManifestEntry, new: ManifestEntry) -> str:
    names = [name for name in ManifestEntry.__slots__ if getattr(old, name) != getattr(new, name)]
    return ", ".join(f"{name} {_short(getattr(old, name))} -> {_short(getattr(new, name))}" for name in names)


def _short(value: object) -> str:
    text = str(value)
    return text[:12] + "…" if re.fullmatch(r"[0-9a-f]{64}", text) else text
