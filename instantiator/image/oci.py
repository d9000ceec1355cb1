"""Images as OCI layouts (OCI Image Format 1.0): out of the engine, and into it, every blob checked by its digest."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from instantiator.engine import Engine
from instantiator.engine.values import ImageDigest
from instantiator.image.errors import ArchiveInvalid, ImageMissing
from instantiator.image.scratch import scratch_folder
from provenance.digest import Digest, canonical_json, digest_bytes, digest_file

_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageName:
    """An image by its digest, and what to call it in the engine and the layout."""

    image: ImageDigest
    name: str
    layers: tuple[str, ...] = ()


def export_image(wanted: ImageName, target: Path, engine: Engine, scratch: Path) -> None:
    """Write an image of the engine as an OCI layout: a folder, or one tar where `target` ends in `.tar`.

    Raises `ImageMissing` where the engine does not hold it, `ArchiveInvalid` where it gives other bytes.
    """
    reference = engine.find_image(wanted.image, wanted.name, wanted.layers)
    if reference is None:
        raise ImageMissing(
            f"the engine does not hold {wanted.name} ({wanted.image})",
            hint="build it first: thaw recipe build NAME",
        )
    with scratch_folder(scratch, "oci-") as folder:
        saved = folder / "saved.tar"
        engine.save_image(reference, saved)
        layout = folder / "layout"
        write_layout(saved, wanted, layout)
        _deliver(layout, target)


def write_layout(saved: Path, wanted: ImageName, layout: Path) -> None:
    """Turn what `docker save` wrote into an OCI layout; each blob must have the digest the image says."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    with tarfile.open(saved) as archive:
        entry = json.loads(_read(archive, "manifest.json"))[0]
        config = _read(archive, entry["Config"])
        _expect(digest_bytes(config), wanted.image, "configuration")
        layers = [_store_layer(archive, name, blobs) for name in entry["Layers"]]
    _expect(", ".join(layers), ", ".join(json.loads(config)["rootfs"]["diff_ids"]), "layers")
    descriptors = [_descriptor(_LAYER, digest, (blobs / digest[7:]).stat().st_size) for digest in layers]
    manifest = canonical_json(
        {
            "config": _descriptor(_CONFIG, wanted.image, len(config)),
            "layers": descriptors,
            "mediaType": _MANIFEST,
            "schemaVersion": 2,
        }
    )
    (blobs / wanted.image[7:]).write_bytes(config)
    (blobs / digest_bytes(manifest)[7:]).write_bytes(manifest)
    index = _descriptor(_MANIFEST, digest_bytes(manifest), len(manifest))
    index["annotations"] = {"org.opencontainers.image.ref.name": wanted.name}
    (layout / "oci-layout").write_bytes(canonical_json({"imageLayoutVersion": "1.0.0"}))
    (layout / "index.json").write_bytes(canonical_json({"manifests": [index], "schemaVersion": 2}))


def import_image(source: Path, engine: Engine, scratch: Path) -> ImageName:
    """Load an OCI layout (folder or tar) into the engine; nothing is loaded unless every blob has its digest."""
    with scratch_folder(scratch, "oci-") as folder:
        layout = source if source.is_dir() else _unpack(source, folder / "layout")
        name, config, layers = read_layout(layout)
        archive = folder / "image.tar"
        _write_docker_archive(archive, name, config, layers)
        engine.load_archive(archive)
    return name


def read_layout(layout: Path) -> tuple[ImageName, bytes, tuple[Path, ...]]:
    """Name, configuration and layer files of the one image in a layout, all checked by digest."""
    try:
        (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
        manifest = json.loads(_blob(layout, entry["digest"]).read_bytes())
        config = _blob(layout, manifest["config"]["digest"]).read_bytes()
        layers = tuple(_blob(layout, layer["digest"]) for layer in manifest["layers"])
        image = ImageDigest(manifest["config"]["digest"])
        name = entry.get("annotations", {}).get(
            "org.opencontainers.image.ref.name", f"thaw/imported:{image[7:19]}"
        )
        diff_ids = tuple(json.loads(config)["rootfs"]["diff_ids"])
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArchiveInvalid(
            f"not an OCI layout of one image: {error}", where=str(layout), hint="export it again"
        ) from error
    return ImageName(image=image, name=name, layers=diff_ids), config, layers


def _blob(layout: Path, digest: str) -> Path:
    path = layout / "blobs" / "sha256" / digest.removeprefix("sha256:")
    if path.parent != layout / "blobs" / "sha256" or not path.is_file():
        raise ArchiveInvalid(f"blob {digest} is missing", where=str(layout), hint="export the image again")
    _expect(digest_file(path), digest, "blob", where=str(path))
    return path


def _expect(found: str, expected: str, what: str, *, where: str = "") -> None:
    if found != expected:
        raise ArchiveInvalid(
            f"{what}: expected {expected}, found {found}",
            where=where,
            hint="the archive is damaged: export it again",
        )


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, object]:
    return {"digest": digest, "mediaType": media_type, "size": size}


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    if stream is None:
        raise ArchiveInvalid(f"{name} is no file of the archive", hint="save the image again")
    return stream.read()


def _store_layer(archive: tarfile.TarFile, name: str, blobs: Path) -> Digest:
    stream = archive.extractfile(name)
    if stream is None:
        raise ArchiveInvalid(f"layer {name} is no file of the archive", hint="save the image again")
    temporary = blobs / "incoming"
    with temporary.open("wb") as target:
        shutil.copyfileobj(stream, target, 1 << 20)
    digest = digest_file(temporary)
    temporary.rename(blobs / digest[7:])
    return digest


def _write_docker_archive(target: Path, name: ImageName, config: bytes, layers: tuple[Path, ...]) -> None:
    names = [f"{layer.name}.tar" for layer in layers]
    manifest = canonical_json(
        [{"Config": f"{name.image[7:]}.json", "Layers": names, "RepoTags": [name.name]}]
    )
    with tarfile.open(target, "w") as archive:
        for member, content in (("manifest.json", manifest), (f"{name.image[7:]}.json", config)):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for member, layer in zip(names, layers, strict=True):
            archive.add(layer, member)


def _unpack(source: Path, folder: Path) -> Path:
    folder.mkdir()
    try:
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise ArchiveInvalid(
            f"not an OCI layout: {error}", where=str(source), hint="export the image again"
        ) from error
    return folder


def _deliver(layout: Path, target: Path) -> None:
    """Put a finished layout at `target`, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if target.suffix == ".tar":
            _pack(layout, temporary)
        else:
            shutil.copytree(layout, temporary)
        temporary.replace(target)
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _pack(layout: Path, target: Path) -> None:
    with tarfile.open(target, "w") as archive:
        for path in sorted(layout.rglob("*")):
            archive.add(path, path.relative_to(layout).as_posix(), recursive=False, filter=_anonymous)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry
