"""Archives of astronomy: an identifier such as `xmm:0123700101` becomes the files it stands for.

Which archives there are is for recipes and sites to say: each is an `Archive` put into `ARCHIVES` under its short
name. An archive must name the digest of every file: a byte that nobody vouches for is not taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from provenance.digest import Digest
from provenance.errors import ThawError


class ArchiveUnknown(ThawError):
    """No archive has this short name, or it has no such identifier."""

    code = "archive-unknown"


class ArchiveUnreachable(ThawError):
    """An archive does not answer, or says that it cannot now."""

    code = "archive-unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFile:
    """A file an archive has: where it is fetched from, and the digest it must then have."""

    path: str
    url: str
    digest: Digest


class Archive(Protocol):
    """An archive that can be asked. Raises `ArchiveUnknown` and `ArchiveUnreachable`."""

    @property
    def title(self) -> str:
        """What people call it."""

    def find(self, identifier: str, /) -> tuple[ArchiveFile, ...]:
        """The files that an identifier, without the archive's short name, stands for."""


ARCHIVES: dict[str, Archive] = {}
"""The archives there are, by the short name before the colon of an identifier."""


def find_files(identifier: str, archives: Mapping[str, Archive] = ARCHIVES) -> tuple[ArchiveFile, ...]:
    """The files that `archive:identifier` stands for; at least one."""
    name, _, rest = identifier.partition(":")
    archive = archives.get(name)
    if archive is None:
        known = ", ".join(sorted(archives)) or "none"
        raise ArchiveUnknown(
            f"there is no archive {name!r}: expected one of these: {known}",
            where=identifier,
            hint="give the address and the sha256 of the file instead, or upload it",
        )
    files = archive.find(rest)
    if not files:
        raise ArchiveUnknown(
            f"{archive.title} has nothing under {rest!r}", where=identifier, hint="check the identifier"
        )
    for file in files:
        if not all(part not in ("", ".", "..") for part in file.path.split("/")):
            raise ArchiveUnreachable(
                f"{archive.title} names no usable file: found {file.path!r}", where=identifier
            )
    return files
