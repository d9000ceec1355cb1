"""HEASARC's copy of the INTEGRAL archive: `integral:<science window>[,...]` is a tree as OSA wants it.

The archive holds folders, not one file: its listings are read, and every file they name is one to fetch. A science
window comes with the `rev.001` of its revolution, the auxiliary data of the revolution, and the reference ones.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from instantiator.dataset.archives_model import ArchiveFile, ArchiveUnknown, ArchiveUnreachable

if TYPE_CHECKING:
    from instantiator.dataset.download import Downloads

_WINDOW = re.compile(r"[0-9]{12}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*/?")
_MOST_WINDOWS, _MOST_FILES, _DEEPEST = 100, 50_000, 6
_LISTING_BYTES = 8 * 1024**2


def _downloads() -> Downloads:
    from instantiator.dataset.download import Downloads

    return Downloads(max_bytes=_LISTING_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegralArchive:
    """The archive's folders over https."""

    address: str = "https://heasarc.gsfc.nasa.gov/FTP/integral/data"
    downloads: Downloads | None = field(default=None)

    @property
    def title(self) -> str:
        """What people call it."""
        return "HEASARC's INTEGRAL archive"

    def find(self, identifier: str, /) -> tuple[ArchiveFile, ...]:
        """All files of the science windows, of their revolutions, and the reference ones, at OSA's paths."""
        windows = parse_windows(identifier)
        files: list[ArchiveFile] = []
        for folder in folders_of(windows):
            files += self._list(folder, depth=0)
            if len(files) > _MOST_FILES:
                raise ArchiveUnknown(
                    f"that is more than {_MOST_FILES:,} files",
                    where=f"integral:{identifier[:60]}",
                    hint="ask for fewer science windows",
                )
        return tuple(files)

    def _list(self, folder: str, *, depth: int) -> Iterator[ArchiveFile]:
        for name in self._read_listing(folder):
            if not name.endswith("/"):
                path = f"{folder}/{name}"
                yield ArchiveFile(path=path, url=f"{self.address}/{path}", digest=None)
            elif depth < _DEEPEST:
                yield from self._list(f"{folder}/{name.rstrip('/')}", depth=depth + 1)

    def _read_listing(self, folder: str) -> tuple[str, ...]:
        from instantiator.dataset.download import DownloadFailed

        url = f"{self.address}/{folder}/"
        with tempfile.TemporaryDirectory(prefix="thaw-listing-") as room:
            target = Path(room, "listing")
            try:
                (self.downloads or _downloads()).fetch_unvouched(url, target)
            except DownloadFailed as error:
                raise ArchiveUnreachable(
                    f"{self.title} cannot be asked for {folder}: {error.message}",
                    where=url,
                    hint="check the science window; if it is right, try again later",
                ) from error
            return names_in(target.read_text(encoding="utf-8", errors="replace"))


def parse_windows(identifier: str) -> tuple[str, ...]:
    """The science windows of a list, each once; raises `ArchiveUnknown` for what is none."""
    windows = tuple(dict.fromkeys(identifier.split(",")))
    wrong = [window for window in windows if not _WINDOW.fullmatch(window)]
    if wrong or len(windows) > _MOST_WINDOWS:
        found = repr(wrong[0][:40]) if wrong else f"{len(windows)} of them"
        raise ArchiveUnknown(
            f"no list of INTEGRAL science windows: found {found}, expected at most {_MOST_WINDOWS} numbers of"
            " twelve digits",
            where=f"integral:{identifier[:60]}",
            hint="write them with commas and without blanks, as integral:197200240010,197200250010",
        )
    return windows


def folders_of(windows: tuple[str, ...]) -> tuple[str, ...]:
    """The folders of the archive that OSA needs for these science windows."""
    revolutions = tuple(dict.fromkeys(window[:4] for window in windows))
    return (
        *(f"scw/{window[:4]}/{window}.001" for window in windows),
        *(f"scw/{revolution}/rev.001" for revolution in revolutions),
        *(f"aux/adp/{revolution}.001" for revolution in revolutions),
        "aux/adp/ref",
    )


def names_in(listing: str) -> tuple[str, ...]:
    """What a listing of a folder names below that folder; links that lead elsewhere, or sort it, are none."""
    reader = _Links()
    reader.feed(listing)
    plain = (unquote(link).removeprefix("./") for link in reader.links)
    return tuple(dict.fromkeys(name for name in plain if _NAME.fullmatch(name)))


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep where a link leads."""
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]
