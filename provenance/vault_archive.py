"""Objects in one file, to carry them to another vault: a plain tar. docs/vault-layout.md specifies it."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from provenance.digest import Digest, canonical_json, digest_stream, map_in_threads, parse_digest
from provenance.errors import ArchiveInvalid, DigestMismatch
from provenance.vault import WRITERS, Vault
from provenance.vault_files import (
    OBJECT_MODE,
    OBJECT_TIME,
    Temp,
    open_source,
    open_temp,
    sync_folder,
    telling_disk_full,
    write_bytes,
    write_stream,
)
from provenance.vault_state import Fault, ObjectState, tell_wrong

MARKER = "thaw-vault/1"
"""The first member: says what the file is, and lists every object with its size."""

_MEMBER = re.compile(r"objects/([0-9a-f]{2})/([0-9a-f]{62})")
_BLOCK = 512
_RECORD = 20 * _BLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was written into an archive: objects, and the sum of their bytes."""

    objects: int
    size: int

    def to_json(self) -> dict[str, object]:
        """Keys: objects, bytes."""
        return {"objects": self.objects, "bytes": self.size}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an archive brought: digests that were new to the vault, and how many were there already."""

    added: tuple[Digest, ...]
    present: int
    size: int

    def to_json(self) -> dict[str, object]:
        """Keys: objects (in the archive), added (digests), present, bytes (of all objects in the archive)."""
        objects = len(self.added) + self.present
        return {"objects": objects, "added": list(self.added), "present": self.present, "bytes": self.size}


def export_objects(vault: Vault, digests: Iterable[Digest] | None, file: Path) -> ExportReport:
    """Write objects (all, where none are named) into one tar. The same objects always give the same bytes.

    Every object is verified on its way out; `file` appears whole, or not at all.
    """
    sizes = _find_sizes(vault, sorted(set(vault.digests() if digests is None else digests)))
    total = sum(sizes.values())
    file.parent.mkdir(parents=True, exist_ok=True)
    with (
        telling_disk_full(file.parent, needed=total),
        open_temp(file.parent, prefix=f".{file.name[:100]}-") as temp,
    ):
        index = [{"digest": digest, "size": size} for digest, size in sizes.items()]
        _write_member(temp, MARKER, canonical_json({"format": 1, "objects": index}))
        for digest, size in sizes.items():
            _write_object(temp, vault, digest, size)
        written = os.fstat(temp.descriptor).st_size
        write_bytes(temp, bytes(2 * _BLOCK + _padding(written + 2 * _BLOCK, _RECORD)))
        os.fchmod(temp.descriptor, 0o644)
        os.fsync(temp.descriptor)
        temp.path.replace(file)
        sync_folder(file.parent)
    return ExportReport(objects=len(sizes), size=total)


def _find_sizes(vault: Vault, digests: list[Digest]) -> dict[Digest, int]:
    missing = [ObjectState(digest=each, fault=Fault.MISSING) for each in digests if not vault.has(each)]
    if missing:
        raise tell_wrong(vault, missing, {state.digest: "the export" for state in missing})
    return {digest: vault.size(digest) for digest in digests}


def _write_member(temp: Temp, name: str, content: bytes) -> None:
    write_bytes(temp, _header(name, len(content)) + content + bytes(_padding(len(content), _BLOCK)))


def _write_object(temp: Temp, vault: Vault, digest: Digest, size: int) -> None:
    write_bytes(temp, _header(f"objects/{digest[7:9]}/{digest[9:]}", size))
    try:
        with open_source(vault.path(digest)) as stream:
            write_stream(temp, stream, expected=digest, expected_size=size)
    except DigestMismatch as error:
        raise tell_wrong(vault, [vault.look_at(digest)], {digest: "the export"}) from error
    write_bytes(temp, bytes(_padding(size, _BLOCK)))


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, OBJECT_MODE, OBJECT_TIME
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int, unit: int) -> int:
    return -size % unit


def import_objects(vault: Vault, file: Path) -> ImportReport:
    """Take all objects of an archive into the vault; a bad archive raises `ArchiveInvalid`, nothing taken.

    The whole archive is verified before its first object enters, and each object again as it enters.
    """
    with open_source(file) as archive:
        regions = _read_members(file, archive)
        map_in_threads(lambda digest: _check_region(file, digest, regions[digest]), list(regions))
        added = map_in_threads(lambda each: _take(vault, each, regions[each]), list(regions), threads=WRITERS)
    new = tuple(digest for digest, is_new in zip(regions, added, strict=True) if is_new)
    size = sum(region.size for region in regions.values())
    return ImportReport(added=new, present=len(regions) - len(new), size=size)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Region:
    """Where the bytes of a member are in the archive. Threads may read regions of one archive at once."""

    descriptor: int
    start: int
    size: int

    def open(self) -> BinaryIO:
        return cast(BinaryIO, _RegionReader(self))  # a RawIOBase that reads: all that is asked of it


class _RegionReader(io.RawIOBase):
    """The bytes of a region, as a stream."""

    def __init__(self, region: _Region) -> None:
        self._region = region
        self._done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed: any Buffer
        left = self._region.size - self._done
        view = memoryview(buffer)[:left]
        count = os.preadv(self._region.descriptor, [view], self._region.start + self._done)
        self._done += count
        return count


def _read_members(file: Path, archive: BinaryIO) -> dict[Digest, _Region]:
    """Where each object of an archive is; the archive has exactly the objects its marker lists."""
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            expected = _read_marker(file, tar)
            regions: dict[Digest, _Region] = {}
            while member := tar.next():
                digest = _check_member(file, member, expected, regions)
                start, size = member.offset_data, member.size
                regions[digest] = _Region(descriptor=archive.fileno(), start=start, size=size)
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise _invalid(file, f"it is no tar, or cut short ({error})") from error
    if regions.keys() != expected.keys():
        raise _invalid(file, f"it is cut short: {len(expected)} objects are listed, {len(regions)} are there")
    return regions


def _read_marker(file: Path, tar: tarfile.TarFile) -> Mapping[Digest, int]:
    member = tar.next()
    content = tar.extractfile(member) if member and member.name == MARKER and member.isreg() else None
    if content is None:
        raise _invalid(file, f"its first member is not {MARKER}")
    try:
        value = json.loads(content.read())
        listed = {parse_digest(item["digest"]): int(item["size"]) for item in value["objects"]}
        if value["format"] != 1:
            raise _invalid(file, f"it is of format {value['format']!r}: this Thaw reads format 1")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, DigestMismatch) as error:
        raise _invalid(file, f"its list of objects cannot be read: {error!r}") from error
    return listed


def _check_member(
    file: Path, member: tarfile.TarInfo, expected: Mapping[Digest, int], seen: Mapping[Digest, object]
) -> Digest:
    match = _MEMBER.fullmatch(member.name)
    if not match or member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise _invalid(file, f"member {member.name!r} is not an object")
    digest = Digest(f"sha256:{match[1]}{match[2]}")
    if digest in seen:
        raise _invalid(file, f"object {digest} is in it twice")
    if expected.get(digest) != member.size:
        listed = f"{expected[digest]}" if digest in expected else "no such object"
        raise _invalid(file, f"object {digest} has {member.size} bytes, its list says {listed}")
    return digest


def _check_region(file: Path, digest: Digest, region: _Region) -> None:
    found, size = digest_stream(region.open())
    if (found, size) != (digest, region.size):
        raise _invalid(file, f"object {digest} has other bytes: {size} of {region.size} bytes, {found}")


def _take(vault: Vault, digest: Digest, region: _Region) -> bool:
    if vault.look_at(digest).is_sound():
        return False
    vault.put_stream(region.open(), expected=digest, expected_size=region.size)
    return True


def _invalid(file: Path, reason: str) -> ArchiveInvalid:
    return ArchiveInvalid(
        f"{file.name!r} is not a whole vault archive: {reason}; nothing was taken from it",
        where=str(file),
        hint="export it again, or copy it again: thaw vault export FILE",
    )
