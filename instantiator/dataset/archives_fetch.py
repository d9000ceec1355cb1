"""Datasets by identifier: asked of their archive once, checked, hashed, kept, and never asked for again."""

from __future__ import annotations

import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from instantiator.dataset.add import add_dataset
from instantiator.dataset.archives import ARCHIVES, Archive, find_files, name_of
from instantiator.dataset.archives_model import ArchiveFile, ArchiveRefused, ArchiveUnreachable
from instantiator.dataset.download import DownloadFailed, Downloads
from provenance.store import Dataset, Store
from provenance.vault import Vault

_END_OF_TAR = 1024
Tell = Callable[[int], None]


def add_identified(
    identifier: str,
    *,
    vault: Vault,
    store: Store,
    scratch: Path,
    now: datetime,
    downloads: Downloads | None = None,
    archives: Mapping[str, Archive] = ARCHIVES,
    progress: Tell = lambda _size: None,
) -> Dataset:
    """The dataset of `archive:identifier`; fetched and kept now unless it was before.

    Raises `ArchiveUnknown`, `ArchiveUnreachable` and `ArchiveRefused`; then nothing is left of it.
    """
    name = name_of(identifier)
    standing = store.dataset(name)
    if standing is not None:
        return standing
    files = find_files(identifier, archives)
    title = archives[identifier.partition(":")[0]].title
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="fetch-") as room:
        folder = Path(room, name)
        folder.mkdir()
        notes = [
            _fetch_or_explain(file, folder, downloads or Downloads(), title, identifier, progress)
            for file in files
        ]
        return add_dataset(
            folder,
            vault=vault,
            store=store,
            now=now,
            name=name,
            title=f"{identifier[:80]} of {title}",
            origin=_origin(identifier, title, notes),
        )


def fetch_file(file: ArchiveFile, folder: Path, downloads: Downloads, progress: Tell) -> int:
    """Fetch one file of an archive to its path below `folder`, a tar as its members; gives the bytes that came.

    Raises what `Downloads` raises, and `ArchiveRefused` where no whole tar came.
    """
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    received = target.with_name(f"{target.name}.tar") if file.is_tar else target
    if file.digest is not None:
        size = downloads.fetch(file.url, file.digest, received, progress)
    else:
        size = downloads.fetch_unvouched(file.url, received, progress)
    if file.is_tar:
        unpack_answer(received, target, file.url)
    return size


def unpack_answer(tar: Path, target: Path, url: str) -> None:
    """Lay out the members of a tar an archive sent below `target`, and forget the tar. Raises `ArchiveRefused`."""
    try:
        with tarfile.open(tar, "r:*") as archive:
            archive.extractall(target, filter="data")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise _not_a_tar(tar, url) from error
    if not _has_its_end(tar) or not any(path.is_file() for path in target.rglob("*")):
        raise _not_a_tar(tar, url)
    tar.unlink()


def _has_its_end(tar: Path) -> bool:
    """Whether a plain tar ends as one does. A compressed one that is cut off was noticed when it was read."""
    with tar.open("rb") as stream:
        if stream.read(262)[257:262] != b"ustar":
            return True
        stream.seek(-min(_END_OF_TAR, tar.stat().st_size), 2)
        return not any(stream.read())


def _not_a_tar(tar: Path, url: str) -> ArchiveRefused:
    with tar.open("rb") as stream:
        head = stream.read(400)
    words = " ".join(head.decode("utf-8", errors="replace").split())
    if head.isascii() and words and words.isprintable():
        return ArchiveRefused(
            f"the archive sent no data but said: {words[:200]}",
            where=url,
            hint="an observation may not be public yet, or may not exist: look it up in the archive",
        )
    return ArchiveRefused(
        f"what the archive sent is no whole tar: {tar.stat().st_size:,} bytes came",
        where=url,
        hint="try again",
    )


def _fetch_or_explain(
    file: ArchiveFile, folder: Path, downloads: Downloads, title: str, identifier: str, progress: Tell
) -> str:
    try:
        fetch_file(file, folder, downloads, progress)
    except DownloadFailed as error:
        raise ArchiveUnreachable(
            f"{title} did not give {identifier}: {error.message}",
            where=file.url,
            hint=f"try again later; or bring the files: thaw dataset add FOLDER --name {name_of(identifier)}",
        ) from error
    return file.url


def _origin(identifier: str, title: str, urls: list[str]) -> str:
    more = f" and {len(urls) - 1} more" if len(urls) > 1 else ""
    return f"{identifier[:200]}, fetched from {title}: {urls[0]}{more}"
