"""Archives of astronomy: an identifier such as `xmm:0123700101` becomes the files it stands for.

Each archive is put into `ARCHIVES` under its short name. Those that publish digests are held to them; of the others a
file is taken once, hashed and kept, and that is the dataset for good.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from instantiator.dataset.archives_integral import IntegralArchive
from instantiator.dataset.archives_model import (
    Archive,
    ArchiveFile,
    ArchiveRefused,
    ArchiveUnknown,
    ArchiveUnreachable,
)
from instantiator.dataset.archives_xmm import XmmArchive
from instantiator.dataset.names import identified_name

__all__ = [
    "ARCHIVES",
    "Archive",
    "ArchiveFile",
    "ArchiveRefused",
    "ArchiveUnknown",
    "ArchiveUnreachable",
    "find_files",
    "is_identifier",
    "name_of",
]

_IDENTIFIER = re.compile(r"([a-z][a-z0-9-]*):([^/].*)")

ARCHIVES: dict[str, Archive] = {"integral": IntegralArchive(), "xmm": XmmArchive()}
"""The archives there are, by the short name before the colon of an identifier."""


def is_identifier(text: str, archives: Mapping[str, Archive] = ARCHIVES) -> bool:
    """Whether a text is meant for one of the archives, and is no name or path."""
    parts = _IDENTIFIER.fullmatch(text)
    return parts is not None and parts[1] in archives


def name_of(identifier: str) -> str:
    """What the dataset of an identifier is called: `xmm-0123700101`; a list gets a name made from all of it."""
    return identified_name(identifier)


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
