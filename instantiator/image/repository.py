"""Show locked packages to apt as an archive of its own: a folder of the vault's .debs and a Packages index."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from instantiator.image.lock import LockedPackage
from provenance.digest import Digest
from provenance.errors import ObjectRotten
from provenance.vault import Vault


def make_repository(packages: Iterable[LockedPackage], vault: Vault, folder: Path) -> None:
    """Fill `folder` with the packages (hard links to the vault) and a flat `Packages` index apt can read."""
    folder.mkdir(parents=True)
    stanzas = []
    for package in packages:
        path = folder / deb_name(package)
        link_object(vault.path(Digest(f"sha256:{package.sha256}")), path)
        stanzas.append(_stanza(package, path))
    (folder / "Packages").write_text("\n".join(stanzas), encoding="utf-8")


def deb_name(package: LockedPackage) -> str:
    """A file name apt's copy method takes as it is: no colon, no percent sign."""
    return f"{package.name}_{package.version.replace(':', '%3a')}_{package.architecture}.deb".replace(
        "%", "-"
    )


def _stanza(package: LockedPackage, path: Path) -> str:
    control = read_control(path).strip("\n")
    return f"{control}\nFilename: ./{path.name}\nSize: {package.size}\nSHA256: {package.sha256}\n"


def read_control(path: Path) -> str:
    """The control file of a .deb as it stands there; raises `ObjectRotten` where it is no Debian package."""
    try:
        with _open_member(path, "control") as members:
            for member in members:
                stream = members.extractfile(member) if member.name.removeprefix("./") == "control" else None
                if stream is not None:
                    return stream.read().decode()
    except (EOFError, tarfile.TarError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from error
    raise _unreadable(path, "it has no control file")


def open_data(path: Path) -> AbstractContextManager[tarfile.TarFile]:
    """The files a .deb brings, as a tar; raises `ObjectRotten` where it is no Debian package."""
    return _open_member(path, "data")


def open_control(path: Path) -> AbstractContextManager[tarfile.TarFile]:
    """What tells dpkg of a .deb and its maintainer scripts, as a tar; raises `ObjectRotten` where it is no package."""
    return _open_member(path, "control")


@contextmanager
def _open_member(path: Path, part: str) -> Iterator[tarfile.TarFile]:
    with path.open("rb") as deb, _read_member(deb, path, part) as members:
        yield members


def _read_member(deb: BinaryIO, path: Path, part: str) -> tarfile.TarFile:
    """`control.tar.*` or `data.tar.*` of a .deb (deb(5)), decompressed by the standard library."""
    from debian.arfile import ArError, ArFile

    try:
        archive = ArFile(fileobj=deb)
        (name,) = [name for name in archive.getnames() if name.startswith(f"{part}.tar")]
        return tarfile.open(fileobj=cast("IO[bytes]", archive.getmember(name)))  # ArMember reads like a file
    except (ArError, ValueError, tarfile.TarError, OSError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, reason: str) -> ObjectRotten:
    return ObjectRotten(
        f"not a Debian package this Thaw can read: {reason}",
        where=str(path),
        hint="audit the vault: thaw vault audit",
    )


def link_object(source: Path, target: Path) -> None:
    """A hard link to an object of the vault; a copy where the target is on another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
