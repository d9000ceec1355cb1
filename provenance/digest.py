"""Digests: the names of bytes. `sha256:<64 hex>`, of bytes, files, trees and canonical JSON."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NewType, TypeVar

from provenance.errors import DigestMismatch

Digest = NewType("Digest", str)
"""`sha256:` and 64 lower-case hexadecimal digits."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
CHUNK = 1 << 20
SMALL = 1 << 16

Item = TypeVar("Item")
Result = TypeVar("Result")


def parse_digest(text: str) -> Digest:
    """The digest in `text`; raises `DigestMismatch` where it is not `sha256:<64 hex>`."""
    if not _DIGEST.fullmatch(text):
        raise DigestMismatch(
            f"{text!r} is not a digest: expected sha256: and 64 hexadecimal digits",
            hint="take the digest as `sha256sum FILE` prints it, with sha256: before it",
        )
    return Digest(text)


def digest_bytes(content: bytes) -> Digest:
    """The digest of `content`."""
    return Digest("sha256:" + hashlib.sha256(content).hexdigest())


def digest_stream(stream: BinaryIO) -> tuple[Digest, int]:
    """The digest and the length in bytes of all that `stream` still gives."""
    hasher, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        hasher.update(chunk)
        size += len(chunk)
    return Digest("sha256:" + hasher.hexdigest()), size


def digest_file(path: Path) -> Digest:
    """The digest of a file's bytes, read in one streaming pass."""
    with path.open("rb", buffering=0) as stream:
        return Digest("sha256:" + hashlib.file_digest(stream, "sha256").hexdigest())


def hash_files(
    paths: Sequence[Path], *, progress: Callable[[int], None] | None = None
) -> list[tuple[Digest, int]]:
    """The digest and size of each file, in the order given, hashed by as many threads as there are CPUs.

    `progress` is told how many more bytes are done, by one thread at a time. Raises the first `OSError`.
    """
    told = told_in_turn(progress)
    return map_in_threads(lambda path: _hash_file(path, told), paths)


def _hash_file(path: Path, progress: Callable[[int], None]) -> tuple[Digest, int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return hash_descriptor(descriptor, progress)
    finally:
        os.close(descriptor)


def hash_descriptor(descriptor: int, progress: Callable[[int], None] | None = None) -> tuple[Digest, int]:
    """The digest and size of what an open regular file still gives.

    A file below `SMALL` is done in one read, and needs no buffer: that halves the cost of a file of 1 kB.
    """
    head = os.read(descriptor, SMALL)
    hasher, size = hashlib.sha256(head), len(head)
    if size == SMALL:
        buffer = memoryview(bytearray(CHUNK))
        while count := os.readv(descriptor, [buffer]):
            hasher.update(buffer[:count])
            size += count
            if progress is not None:
                progress(count)
    if progress is not None:
        progress(len(head))
    return Digest("sha256:" + hasher.hexdigest()), size


def told_in_turn(progress: Callable[[int], None] | None) -> Callable[[int], None]:
    """A `progress` that threads may share: one call at a time, and None becomes a call that does nothing."""
    if progress is None:
        return lambda _count: None
    lock = threading.Lock()

    def tell(count: int) -> None:
        with lock:
            progress(count)

    return tell


def map_in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], *, threads: int | None = None
) -> list[Result]:
    """`function` of every item, in order. Threads help: hashing and file calls let go of the interpreter.

    After the first exception nothing more is started. An interrupt does not wait for what has been started.
    """
    crew = min(threads or len(os.sched_getaffinity(0)), len(items))
    if crew < 2:
        return [function(item) for item in items]
    results: dict[int, Result] = {}
    errors: dict[int, BaseException] = {}
    remaining = iter(range(len(items)))

    def work() -> None:
        for index in remaining:
            try:
                results[index] = function(items[index])
            except BaseException as error:  # noqa: BLE001  raised below, in the caller's thread
                errors[index] = error
            if errors:
                return

    _run_together(work, crew, errors)
    if errors:
        raise errors[min(errors)]
    return [results[index] for index in range(len(items))]


def _run_together(work: Callable[[], None], crew: int, errors: dict[int, BaseException]) -> None:
    threads = [threading.Thread(target=work, daemon=True) for _ in range(crew)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException as interrupt:
        errors[-1] = interrupt
        raise


def canonical_json(value: object) -> bytes:
    """The one JSON text of a value: keys sorted, no spaces, UTF-8, no NaN, a newline at the end."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TreeEntry:
    """One file of a tree: path relative to the tree's root (POSIX, no `..`), digest, bytes, executable."""

    path: str
    digest: Digest
    size: int
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A set of files by path, sorted. Its digest is that of its canonical JSON, which the vault keeps."""

    entries: tuple[TreeEntry, ...]

    @property
    def size(self) -> int:
        """The sum of the files' bytes."""
        return sum(entry.size for entry in self.entries)

    def to_json(self) -> dict[str, object]:
        """Format 1: `{"format": 1, "files": [{"path", "digest", "size", "executable"}]}`, by path."""
        files = [
            {"path": e.path, "digest": e.digest, "size": e.size, "executable": e.executable}
            for e in self.entries
        ]
        return {"format": 1, "files": files}

    @property
    def digest(self) -> Digest:
        """The digest of the tree: of names, contents and executable bits; not of times or owners."""
        return digest_bytes(canonical_json(self.to_json()))


def make_tree(entries: Iterable[TreeEntry]) -> Tree:
    """A tree of `entries`, sorted by path."""
    return Tree(entries=tuple(sorted(entries)))


def tree_from_json(value: Mapping[str, object]) -> Tree:
    """The tree that `Tree.to_json` wrote."""
    return make_tree(_entries_from_json(value))


def _entries_from_json(value: Mapping[str, object]) -> Iterator[TreeEntry]:
    files = value["files"]
    assert isinstance(files, list)
    for item in files:
        yield TreeEntry(
            path=item["path"],
            digest=parse_digest(item["digest"]),
            size=item["size"],
            executable=item["executable"],
        )
