"""Where a rotten object of an image can be had again: the mirror, pip's index or the address its lock names."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from instantiator.image.debian import host_mirror
from instantiator.image.fetch import Mirrors, Wanted, try_each, wanted_package, wheel_target
from instantiator.image.lock import Lock, LockedPackage, LockedSource
from instantiator.image.wheels import WheelTarget, download_wheel
from provenance.digest import CHUNK, Digest, digest_stream
from provenance.errors import DigestMismatch


class Origin:
    """A repair source made of locks. What it gives is verified by who asked."""

    name = "origin"

    def __init__(self, locks: Sequence[Lock], mirrors: Mirrors) -> None:
        self._mirrors = mirrors
        self._packages: dict[Digest, tuple[LockedPackage, str]] = {}
        self._sources: dict[Digest, Wanted] = {}
        self._wheels: dict[Digest, tuple[str, WheelTarget]] = {}
        self._mirror_of: dict[str, str] = {}
        for lock in locks:
            self._learn(lock)

    def fetch(self, digest: Digest, size: int | None) -> BinaryIO | None:  # noqa: ARG002  # who asks checks it
        """The object from its origin, None where no lock names one; raises `FetchFailed` where none has it."""
        if digest in self._wheels:
            return self._fetch_wheel(*self._wheels[digest], digest)
        wanted = self._sources.get(digest) or self._wanted_package(digest)
        return try_each(wanted, lambda stream: spool(stream, digest)) if wanted else None

    def _wanted_package(self, digest: Digest) -> Wanted | None:
        """A mirror is looked up only where a package is asked for: other hosts than Debian's know none."""
        if digest not in self._packages:
            return None
        package, suite = self._packages[digest]
        return wanted_package(package, self._mirror(suite), self._mirrors.snapshot)

    def _fetch_wheel(self, wheel: str, target: WheelTarget, digest: Digest) -> BinaryIO:
        with tempfile.TemporaryDirectory(prefix="thaw-wheels-") as folder:
            return download_wheel(wheel, digest.removeprefix("sha256:"), target, Path(folder)).open("rb")

    def _learn(self, lock: Lock) -> None:
        for package in lock.packages:
            self._packages[Digest(f"sha256:{package.sha256}")] = (package, lock.suite)
        for wheel in lock.python:
            named = f"{wheel.name}=={wheel.version}"
            self._wheels[Digest(f"sha256:{wheel.sha256}")] = (named, wheel_target(lock, self._mirrors))
        for source in lock.sources:
            self._learn_source(source, lock)

    def _learn_source(self, source: LockedSource, lock: Lock) -> None:
        digest = Digest(f"sha256:{source.sha256}")
        if source.wheel is not None:
            self._wheels[digest] = (source.wheel, wheel_target(lock, self._mirrors))
        else:
            self._sources[digest] = Wanted(
                sha256=source.sha256, size=source.size, urls=source.urls, what=f"source {source.name}"
            )

    def _mirror(self, suite: str) -> str:
        if suite not in self._mirror_of:
            self._mirror_of[suite] = self._mirrors.debian or host_mirror(suite)
        return self._mirror_of[suite]


def spool(stream: BinaryIO, expected: Digest) -> BinaryIO:
    """All of a stream in a nameless file, at its start; raises `DigestMismatch` where it is something else."""
    with ExitStack() as stack:
        file: BinaryIO = stack.enter_context(tempfile.TemporaryFile())
        shutil.copyfileobj(stream, file, CHUNK)
        file.seek(0)
        found, size = digest_stream(file)
        if found != expected:
            raise DigestMismatch(f"{size} bytes, {found}: expected {expected}")
        file.seek(0)
        stack.pop_all()
    return file


def uses_of_locks(locks: Sequence[Lock]) -> Mapping[Digest, tuple[str, ...]]:
    """What each object of the locks is, in words."""
    uses: dict[Digest, tuple[str, ...]] = {}
    for lock in locks:
        for digest, what in lock.objects():
            uses[digest] = (*uses.get(digest, ()), what)
    return uses
