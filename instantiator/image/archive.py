"""Write an image around one layer: a fixed configuration, so that the image ID is a function of lock and layer.

Formats: OCI image configuration 1.0 and the docker-archive that `docker load` and `podman load` read.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from instantiator.engine.values import ImageDigest
from provenance.digest import Digest, canonical_json, digest_bytes

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """All of an image that is not its files. `created` is seconds since 1970, the lock's SOURCE_DATE_EPOCH."""

    layer: Digest
    created: int
    architecture: str
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


def config_bytes(config: ImageConfig) -> bytes:
    """The image configuration as JSON; its digest is the image ID."""
    created = datetime.fromtimestamp(config.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    environment = [_PATH] if "PATH" not in config.environment else []
    environment += [f"{name}={value}" for name, value in sorted(config.environment.items())]
    return canonical_json(
        {
            "architecture": config.architecture,
            "config": {
                "Cmd": ["/bin/sh"],
                "Env": environment,
                "Labels": dict(config.labels),
                "WorkingDir": "/",
            },
            "created": created,
            "history": [{"created": created, "created_by": "thaw"}],
            "os": "linux",
            "rootfs": {"diff_ids": [config.layer], "type": "layers"},
        }
    )


def image_digest(config: ImageConfig) -> ImageDigest:
    """The image ID: the digest of the configuration."""
    return ImageDigest(digest_bytes(config_bytes(config)))


def write_docker_archive(config: ImageConfig, layer: Path, name: str, target: Path) -> ImageDigest:
    """Write the archive `docker load` takes: manifest, configuration, the layer at `layer`.

    Gives the image ID.
    """
    content = config_bytes(config)
    image = image_digest(config)
    config_name = f"{image.removeprefix('sha256:')}.json"
    manifest = canonical_json([{"Config": config_name, "Layers": ["layer.tar"], "RepoTags": [name]}])
    with tarfile.open(
        target, "w", format=tarfile.USTAR_FORMAT if _fits(layer) else tarfile.PAX_FORMAT
    ) as archive:
        _add_bytes(archive, "manifest.json", manifest)
        _add_bytes(archive, config_name, content)
        _add_file(archive, "layer.tar", layer)
    return image


def _fits(layer: Path) -> bool:
    return layer.stat().st_size < 8 << 30


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _add_file(archive: tarfile.TarFile, name: str, path: Path) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = path.stat().st_size
    with path.open("rb") as stream:
        archive.addfile(entry, stream)
