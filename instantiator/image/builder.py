"""The builder image: the tools that make every other image, frozen with a lock of its own.

The host gives the engine only. The builder's .debs are unpacked by us, not installed: no maintainer script
runs, so no tool is needed to make the tool. mmdebstrap, apt, dpkg, tar and perl work from such a tree;
whatever they make is configured inside its own tree. Always building in this one image is what makes an image
ID independent of the host's distribution, mmdebstrap, locale and clock.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from instantiator.image.archive import ImageConfig, image_digest, write_docker_archive
from instantiator.image.lock import Lock, LockedImage, LockedPackage, lock_from_yaml
from instantiator.image.manifest import manifest_bytes, read_layer
from instantiator.image.repository import open_data
from provenance.digest import Digest, digest_bytes, digest_file
from provenance.vault import Vault

LOCK_FILE = Path(__file__).with_name("builder.lock.yaml")
PACKAGES = ("mmdebstrap", "python3-pip-whl", "unzip", "xz-utils", "bzip2", "zstd")

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_PASSWD = "root:x:0:0:root:/root:/bin/sh\n_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n"
_GROUP = "root:x:0:\nnogroup:x:65534:\n"


def builder_lock() -> Lock:
    """The lock of the builder image, committed beside this file."""
    return lock_from_yaml(LOCK_FILE.read_bytes(), where=str(LOCK_FILE))


def builder_config(lock: Lock, layer: Digest) -> ImageConfig:
    """The builder's configuration: bare, every setting is given when it is run."""
    return ImageConfig(layer=layer, created=lock.source_date_epoch, architecture=lock.architecture)


def make_builder(lock: Lock, vault: Vault, folder: Path) -> tuple[LockedImage, Path]:
    """Write the builder's docker-archive into `folder`; gives image and archive.

    The .debs are re-hashed first.
    """
    vault.verify_many(dict(lock.objects()))
    layer = folder / "builder-layer.tar"
    write_unpacked_layer(lock, vault, layer)
    digest = digest_file(layer)
    config = builder_config(lock, digest)
    archive = folder / "builder.tar"
    write_docker_archive(config, layer, lock.image_name, archive)
    manifest = digest_bytes(manifest_bytes(read_layer(layer)))
    return LockedImage(
        id=image_digest(config), layer=digest, size=layer.stat().st_size, manifest=manifest
    ), archive


def write_unpacked_layer(lock: Lock, vault: Vault, target: Path) -> None:
    """The files of every package in one canonical tar: merged /usr, times clamped, first come first kept."""
    seen: set[str] = set()
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as layer:
        for entry, stream in _skeleton(lock):
            _add(layer, entry, stream, seen)
        for package in lock.packages:
            for entry, stream in _unpacked(package, vault, lock.source_date_epoch):
                _add(layer, entry, stream, seen)


def _add(layer: tarfile.TarFile, entry: tarfile.TarInfo, stream: IO[bytes] | None, seen: set[str]) -> None:
    if entry.name in seen:
        return
    seen.add(entry.name)
    layer.addfile(entry, stream)


def _skeleton(lock: Lock) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    for name in (
        "usr",
        *(f"usr/{name}" for name in _MERGED),
        "etc",
        "proc",
        "sys",
        "dev",
        "root",
        "run",
        "mnt",
    ):
        yield _entry(name, tarfile.DIRTYPE, 0o755, lock), None
    yield _entry("tmp", tarfile.DIRTYPE, 0o1777, lock), None
    for name in _MERGED:
        link = _entry(name, tarfile.SYMTYPE, 0o777, lock)
        link.linkname = f"usr/{name}"
        yield link, None
    for name, text in (("etc/passwd", _PASSWD), ("etc/group", _GROUP)):
        entry = _entry(name, tarfile.REGTYPE, 0o644, lock)
        entry.size = len(text)
        yield entry, io.BytesIO(text.encode())


def _entry(name: str, kind: bytes, mode: int, lock: Lock) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = kind, mode, lock.source_date_epoch
    return entry


def _unpacked(
    package: LockedPackage, vault: Vault, epoch: int
) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    with open_data(vault.path(Digest(f"sha256:{package.sha256}"))) as data:
        for entry in data:
            entry.name = _merged(entry.name)
            if entry.name == ".":
                continue
            if entry.islnk():
                entry.linkname = _merged(entry.linkname)
            entry.mtime = min(int(entry.mtime), epoch)
            entry.pax_headers = {}
            entry.uname = entry.gname = ""
            yield entry, data.extractfile(entry) if entry.isreg() else None


def _merged(name: str) -> str:
    parts = PurePosixPath(name).parts
    if parts and parts[0] in _MERGED:
        return str(PurePosixPath("usr", *parts))
    return str(PurePosixPath(*parts))
