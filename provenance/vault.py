"""The vault: bytes kept for ever, addressed by sha256. docs/vault-layout.md specifies the folder.

An object gets its name only when its bytes are complete, verified and on the disk. So neither kill -9 nor a
power cut leaves anything but whole objects, and temps that belong to nobody and are swept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import BinaryIO

from provenance import vault_folder, vault_tree
from provenance.digest import (
    Digest,
    Tree,
    digest_bytes,
    hash_descriptor,
    hash_files,
    map_in_threads,
    told_in_turn,
)
from provenance.errors import SourceChanged, VaultRefused
from provenance.vault_files import (
    Temp,
    check_digest,
    lock_file,
    make_folder,
    open_object,
    open_source,
    open_temp,
    place_temp,
    read_all,
    remove_if_stale,
    seal_temp,
    sync_folder,
    telling_disk_full,
    write_bytes,
    write_stream,
)
from provenance.vault_state import Fault, ObjectState, tell_wrong

__all__ = ["OBJECT_NAME", "SHARD_NAME", "VERSION", "Vault", "hash_files"]

VERSION = 1
WRITERS = 16
"""Threads that put at once. Most of a put is waiting for the disk, which flushes many files in one go."""

SMALL_ENOUGH = 1 << 20
"""Files up to this many bytes are held in memory, so that one the vault has already is not written at all."""

OBJECT_NAME = re.compile(r"[0-9a-f]{62}")
SHARD_NAME = re.compile(r"[0-9a-f]{2}")


class Vault:
    """Objects under one folder, which is made on the first write. Any number of processes may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects = root / "objects"
        self.quarantine = root / "quarantine"
        self.temps = root / "tmp"
        self._made = False
        _check_version(root / "VERSION")

    def path(self, digest: Digest) -> Path:
        """Where an object is, or would be."""
        return self.objects / digest[7:9] / digest[9:]

    def has(self, digest: Digest) -> bool:
        """Whether there is an object of that name. Whether it is sound is what `verify` says."""
        return self.path(digest).is_file()

    def size(self, digest: Digest) -> int:
        """An object's bytes; raises `ObjectMissing`."""
        with self._telling_wrong(digest, ""):
            return self.path(digest).stat().st_size

    def digests(self) -> Iterator[Digest]:
        """The names of all objects, sorted."""
        for shard in _list_names(self.objects, SHARD_NAME):
            for name in _list_names(self.objects / shard, OBJECT_NAME):
                yield Digest(f"sha256:{shard}{name}")

    def put_bytes(self, content: bytes) -> Digest:
        """Keep `content`. Nothing is written where a sound object of that digest is there already."""
        digest = digest_bytes(content)
        if self._is_sound(digest, len(content)):
            return digest
        with self._temp(len(content)) as temp:
            write_bytes(temp, content)
            self._keep(temp, digest, len(content))
        return digest

    def put_stream(
        self, stream: BinaryIO, *, expected: Digest | None = None, expected_size: int | None = None
    ) -> tuple[Digest, int]:
        """Keep all that `stream` still gives; raises `DigestMismatch` where it is not what was expected."""
        with self._temp(expected_size) as temp:
            digest, size = write_stream(temp, stream, expected=expected, expected_size=expected_size)
            self._keep(temp, digest, size)
        return digest, size

    def put_file(self, path: Path, *, expected: Digest | None = None) -> tuple[Digest, int]:
        """Keep a file's bytes, read once. Raises `SourceChanged` where somebody wrote to it meanwhile."""
        with open_source(path) as stream:
            before = os.fstat(stream.fileno())
            if expected is not None and self._is_sound(expected, before.st_size):
                digest, size = hash_descriptor(stream.fileno())
                check_digest(stream, digest, size, expected)
                return digest, size
            if before.st_size <= SMALL_ENOUGH:
                content = read_all(stream.fileno())
                check_digest(stream, digest_bytes(content), len(content), expected)
                _check_unchanged(path, before, os.fstat(stream.fileno()), len(content))
                return self.put_bytes(content), len(content)
            with self._temp(before.st_size) as temp:
                digest, size = write_stream(temp, stream, expected=expected, expected_size=None)
                _check_unchanged(path, before, os.fstat(stream.fileno()), size)
                self._keep(temp, digest, size)
        return digest, size

    def put_files(
        self, paths: Sequence[Path], *, progress: Callable[[int], None] | None = None
    ) -> list[tuple[Digest, int]]:
        """Keep many files at once, in the order given. `progress` is told how many more bytes are kept."""
        told = told_in_turn(progress)

        def put(path: Path) -> tuple[Digest, int]:
            digest, size = self.put_file(path)
            told(size)
            return digest, size

        return map_in_threads(put, paths, threads=WRITERS)

    def put_tree(self, folder: Path, *, progress: Callable[[int], None] | None = None) -> Tree:
        """Keep every file of a folder, and the tree as an object too. Refuses what `scan_folder` refuses."""
        found = vault_tree.scan_folder(folder)
        kept = self.put_files([file.source for file in found], progress=progress)
        tree = vault_tree.tree_of(found, kept)
        self.put_bytes(vault_tree.tree_to_bytes(tree))
        return tree

    def read_tree(self, digest: Digest) -> Tree:
        """The tree that `put_tree` kept; raises `TreeInvalid` where the object is something else."""
        return vault_tree.tree_from_bytes(self.read_bytes(digest, used_by="a tree of files"), digest)

    def materialise(self, tree: Tree, folder: Path, *, verify: bool = False) -> None:
        """Make `folder` hold exactly the files of `tree`, read-only, all at once: see `vault_folder`."""
        vault_folder.materialise(self, tree, folder, verify=verify)

    def read_bytes(self, digest: Digest, *, used_by: str = "") -> bytes:
        """An object's bytes, verified; raises `ObjectMissing` or `ObjectRotten`, which name `used_by`."""
        with self._telling_wrong(digest, used_by), open_object(self.path(digest)) as descriptor:
            content = read_all(descriptor)
        self._check_found(digest, digest_bytes(content), used_by)
        return content

    def open(self, digest: Digest, *, used_by: str = "") -> BinaryIO:
        """An object as a seekable stream. It is hashed before its first byte is given."""
        with self._telling_wrong(digest, used_by), open_object(self.path(digest)) as descriptor:
            found, _size = hash_descriptor(descriptor)
            self._check_found(digest, found, used_by)
            os.lseek(descriptor, 0, os.SEEK_SET)
            return os.fdopen(os.dup(descriptor), "rb")

    def verify(self, digest: Digest, *, used_by: str = "") -> None:
        """Hash an object again; raises `ObjectMissing` or `ObjectRotten`."""
        self.verify_many({digest: used_by})

    def verify_many(self, used: Mapping[Digest, str]) -> None:
        """Hash many objects again, in parallel; one error names all that are wrong and what uses them."""
        wrong = [state for state in map_in_threads(self.look_at, list(used)) if not state.is_sound()]
        if wrong:
            raise tell_wrong(self, wrong, used)

    def look_at(self, digest: Digest, progress: Callable[[int], None] | None = None) -> ObjectState:
        """Hash an object again and say what was found. `progress` is told how many more bytes."""
        try:
            with open_object(self.path(digest)) as descriptor:
                found, size = hash_descriptor(descriptor, progress)
        except FileNotFoundError:
            return ObjectState(digest=digest, fault=Fault.MISSING)
        except OSError as error:
            return _unreadable(digest, error)
        fault = None if found == digest else Fault.ROTTEN
        return ObjectState(digest=digest, fault=fault, found=found, size=size)

    def set_aside(self, digest: Digest) -> Path | None:
        """Move an object that is not sound to `quarantine/`; None where it is sound after all or gone."""
        with self._alone():
            if self.look_at(digest).fault in (None, Fault.MISSING):
                return None
            return self._move_to_quarantine(self.path(digest), digest[7:])

    def set_aside_stranger(self, path: Path) -> Path:
        """Move something in `objects/` that is no object at all to `quarantine/`."""
        with self._alone():
            return self._move_to_quarantine(path, "stranger")

    def list_set_aside(self, digest: Digest) -> tuple[Path, ...]:
        """What was moved to `quarantine/` under this digest."""
        return tuple(sorted(self.quarantine.glob(f"{digest[7:]}.*")))

    def remove_stale_temps(self, now: datetime, older_than: timedelta) -> int:
        """Remove temps whose writer is dead and that are older than that; how many they were."""
        return sum(remove_if_stale(path, now - older_than) for path in self.temps.glob("*"))

    @contextmanager
    def _temp(self, needed: int | None) -> Iterator[Temp]:
        with telling_disk_full(self.root, needed=needed):
            self._make()
            with open_temp(self.temps) as temp:
                yield temp

    def _keep(self, temp: Temp, digest: Digest, size: int) -> None:
        """Name a complete temp. After this the object is right, also where it was not before."""
        if self._is_sound(digest, size):
            return
        path = self.path(digest)
        seal_temp(temp)
        make_folder(path.parent)
        while not place_temp(temp, path) and not self._is_sound(digest, size):
            self.set_aside(digest)
        sync_folder(path.parent)

    def _is_sound(self, digest: Digest, size: int) -> bool:
        """Whether the object is there and right. Hashed: a put must not keep a rotten one."""
        try:
            return self.path(digest).stat().st_size == size and self.look_at(digest).is_sound()
        except OSError:
            return False

    def _make(self) -> None:
        if self._made:
            return
        self.root.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.root, self.objects, self.temps):
            make_folder(folder)
        if not (self.root / "VERSION").exists():
            with open_temp(self.temps) as temp:
                write_bytes(temp, b"%d\n" % VERSION)
                seal_temp(temp)
                place_temp(temp, self.root / "VERSION")
            sync_folder(self.root)
        self._made = True

    @contextmanager
    def _telling_wrong(self, digest: Digest, used_by: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            missing = ObjectState(digest=digest, fault=Fault.MISSING)
            raise tell_wrong(self, [missing], {digest: used_by}) from error
        except OSError as error:
            raise tell_wrong(self, [_unreadable(digest, error)], {digest: used_by}) from error

    def _check_found(self, digest: Digest, found: Digest, used_by: str) -> None:
        if found != digest:
            rotten = ObjectState(digest=digest, fault=Fault.ROTTEN, found=found)
            raise tell_wrong(self, [rotten], {digest: used_by})

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the vault's lock. It guards the one act that takes a name away: setting aside."""
        self._make()
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            lock_file(descriptor, wait=True)
            yield
        finally:
            os.close(descriptor)

    def _move_to_quarantine(self, path: Path, name: str) -> Path:
        make_folder(self.quarantine)
        candidates = (self.quarantine / f"{name}.{number}" for number in count(1))
        return path.rename(next(candidate for candidate in candidates if not os.path.lexists(candidate)))


def _list_names(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    """The names in a folder that match, sorted; none where there is no such folder."""
    try:
        return sorted(path.name for path in folder.iterdir() if pattern.fullmatch(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _unreadable(digest: Digest, error: OSError) -> ObjectState:
    return ObjectState(digest=digest, fault=Fault.UNREADABLE, reason=error.strerror or str(error))


def _check_version(path: Path) -> None:
    try:
        found = path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return
    if found != str(VERSION):
        raise VaultRefused(
            f"this vault is of version {found!r}: this Thaw reads version {VERSION}",
            where=str(path),
            hint="use a Thaw at least as new as the one that wrote it",
        )


def _check_unchanged(path: Path, before: os.stat_result, after: os.stat_result, size: int) -> None:
    if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) and size == before.st_size:
        return
    raise SourceChanged(
        f"{path.name!r} was written to while it was read: first {before.st_size} bytes, then {after.st_size}",
        where=str(path),
        hint="wait until whatever writes it has ended, then do it again",
    )
