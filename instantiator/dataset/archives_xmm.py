"""The XMM-Newton Science Archive: `xmm:<OBSID>` is the Observation Data Files of one observation."""

from __future__ import annotations

import re
from dataclasses import dataclass

from instantiator.dataset.archives_model import ArchiveFile, ArchiveUnknown

_OBSID = re.compile(r"[0-9]{10}")


@dataclass(frozen=True, slots=True, kw_only=True)
class XmmArchive:
    """The archive's servlet, which answers with a tar. It publishes no digests, and answers errors as text."""

    address: str = "https://nxsa.esac.esa.int/nxsa-sl/servlet/data-action-aio"

    @property
    def title(self) -> str:
        """What people call it."""
        return "the XMM-Newton Science Archive"

    def find(self, identifier: str, /) -> tuple[ArchiveFile, ...]:
        """The one tar with the Observation Data Files of an observation."""
        if not _OBSID.fullmatch(identifier):
            raise ArchiveUnknown(
                f"{identifier!r} is no XMM-Newton observation: expected its ten digits",
                where=f"xmm:{identifier}",
                hint="write it with its leading zeros, as xmm:0123700101",
            )
        url = f"{self.address}?obsno={identifier}&level=ODF"
        return (ArchiveFile(path="ODF", url=url, digest=None, is_tar=True),)
