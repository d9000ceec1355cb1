"""What an archive is to Thaw: something that turns an identifier into files, and the ways it can fail."""

from __future__ import annotations

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


class ArchiveRefused(ThawError):
    """An archive answered with something else than the data: a text, a page, a part of them."""

    code = "archive-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFile:
    """A file an archive has: where it is fetched from, and the digest it must then have.

    `digest` is None where the archive publishes none: what comes is checked to be what it should be, and its digest
    is the dataset's from then on. With `is_tar` the members of the file are the data, laid out below `path`.
    """

    path: str
    url: str
    digest: Digest | None
    is_tar: bool = False


class Archive(Protocol):
    """An archive that can be asked. Raises `ArchiveUnknown` and `ArchiveUnreachable`."""

    @property
    def title(self) -> str:
        """What people call it."""

    def find(self, identifier: str, /) -> tuple[ArchiveFile, ...]:
        """The files that an identifier, without the archive's short name, stands for."""
