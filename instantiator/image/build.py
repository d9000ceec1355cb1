"""Build the image a lock describes: offline, in the locked builder, the same ID every time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from instantiator.engine import Engine
from instantiator.engine.values import ImageDigest, Mount
from instantiator.image.archive import ImageConfig, image_digest, write_docker_archive
from instantiator.image.builder import LOCK_FILE, builder_lock, make_builder
from instantiator.image.errors import BuildFailed, ImageDiffers
from instantiator.image.fetch import refuse_awaited
from instantiator.image.lock import Lock, LockedImage
from instantiator.image.manifest import ManifestEntry, manifest_bytes, read_layer
from instantiator.image.plan import (
    INPUTS,
    REPOSITORY,
    RESULT,
    SCRIPT,
    build_command,
    build_environment,
    finish_script,
    mounted_inputs,
)
from instantiator.image.repository import link_object, make_repository
from instantiator.image.scratch import scratch_folder
from instantiator.progress import Progress, megabytes, step
from provenance.digest import Digest, digest_bytes, digest_file
from provenance.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What a build works with: the vault the bytes come from, the engine, and a folder for what is half-done."""

    vault: Vault
    engine: Engine
    scratch: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltLayer:
    """A layer on disk, what is in it, and the image it makes."""

    path: Path
    image: LockedImage
    config: ImageConfig
    entries: tuple[ManifestEntry, ...]


def build_image(lock: Lock, workshop: Workshop, progress: Progress) -> LockedImage:
    """Build `lock` and load the image into the engine. All bytes come from the vault, and are re-hashed first.

    Raises `ImageDiffers` where the lock names an image and this is another; then nothing is loaded.
    """
    with built_layer(lock, workshop, progress) as built:
        refuse_other_image(lock, built.image)
        keep_manifest(built, workshop.vault)
        with step(progress, "load the image into the engine") as current:
            archive = built.path.with_name("image.tar")
            write_docker_archive(built.config, built.path, lock.image_name, archive)
            workshop.engine.load_archive(archive)
            current.detail = lock.image_name
    return built.image


@contextmanager
def built_layer(lock: Lock, workshop: Workshop, progress: Progress) -> Iterator[BuiltLayer]:
    """The layer of `lock`, made anew in a temporary folder that is gone afterwards."""
    refuse_awaited(lock, workshop.vault)
    with scratch_folder(workshop.scratch, "build-") as folder:
        check_inputs(lock, workshop.vault, progress)
        builder = ensure_builder(workshop, progress)
        mounts = lay_out(lock, workshop.vault, folder, progress)
        run_builder(lock, workshop.engine, builder, mounts, progress)
        yield examine_layer(lock, folder / "result" / "layer.tar", progress)


def check_inputs(lock: Lock, vault: Vault, progress: Progress) -> None:
    """Re-hash every object the lock names; raises naming each that is missing or rotten."""
    with step(progress, "check the vault") as current:
        objects = dict(lock.objects())
        vault.verify_many(objects)
        current.detail = f"{len(objects)} objects, {megabytes(sum(vault.size(digest) for digest in objects))}"


def ensure_builder(workshop: Workshop, progress: Progress) -> str:
    """The engine's reference of the builder image; made from the vault where the engine does not hold it."""
    lock = builder_lock()
    if lock.image is not None:
        found = workshop.engine.find_image(ImageDigest(lock.image.id), lock.image_name, (lock.image.layer,))
        if found is not None:
            return found
    with step(progress, "make the builder image") as current:
        image, size = load_builder(lock, workshop)
        current.detail = f"{image[:19]}…, {megabytes(size)}"
    layers = (lock.image.layer,) if lock.image else ()
    return workshop.engine.find_image(image, lock.image_name, layers) or lock.image_name


def load_builder(lock: Lock, workshop: Workshop) -> tuple[ImageDigest, int]:
    """Make and load the builder; raises `ImageDiffers` where it is not the locked one.

    Gives ID and archive bytes.
    """
    with scratch_folder(workshop.scratch, "builder-") as folder:
        built, archive = make_builder(lock, workshop.vault, folder)
        if lock.image is not None and built.id != lock.image.id:
            raise ImageDiffers(
                f"the builder image is {built.id}, its lock says {lock.image.id}",
                where=str(LOCK_FILE),
                hint="audit the vault: thaw vault audit; if it is sound, this is a defect of Thaw: report it",
            )
        workshop.engine.load_archive(archive)
        return ImageDigest(built.id), archive.stat().st_size


def lay_out(lock: Lock, vault: Vault, folder: Path, progress: Progress) -> tuple[Mount, ...]:
    """Put what the builder reads and writes under `folder`; gives the mounts that show it to the builder."""
    with step(progress, "lay out packages") as current:
        make_repository(lock.packages, vault, folder / "repository")
        current.detail = f"{len(lock.packages)} packages"
    inputs = folder / "inputs"
    inputs.mkdir()
    for sha256 in mounted_inputs(lock):
        link_object(vault.path(Digest(f"sha256:{sha256}")), inputs / sha256)
    script = folder / "finish.sh"
    script.write_text(finish_script(lock), encoding="utf-8")
    result = folder / "result"
    result.mkdir()
    return (
        Mount(source=folder / "repository", target=REPOSITORY),
        Mount(source=inputs, target=INPUTS),
        Mount(source=script, target=SCRIPT),
        Mount(source=result, target=str(Path(RESULT).parent), read_only=False),
    )


def run_builder(
    lock: Lock, engine: Engine, builder: str, mounts: tuple[Mount, ...], progress: Progress
) -> None:
    """Run the build with no network; raises `BuildFailed` with the last lines the tools printed."""
    last: deque[str] = deque(maxlen=12)

    def hear(line: str) -> None:
        last.append(line)
        progress.note(line)

    with step(progress, "install and finish, with no network"):
        status = engine.run_tool(
            image=builder,
            command=build_command(lock),
            mounts=mounts,
            environment=build_environment(lock),
            on_line=hear,
            network=False,
            hostname="thaw-builder",
            labels={"thaw.build": lock.recipe},
        )
    if status != 0:
        raise BuildFailed(
            f"the build of {lock.recipe} ended with exit status {status}; it last said:\n" + "\n".join(last),
            where=lock.recipe,
            hint="a step of the recipe is wrong, or needs the network (steps have none: list files under sources)",
        )


def examine_layer(lock: Lock, layer: Path, progress: Progress) -> BuiltLayer:
    """Hash a layer, list its files, and say which image it makes."""
    with step(progress, "hash the result") as current:
        digest, entries = digest_file(layer), read_layer(layer)
        config = image_config(lock, digest)
        image = LockedImage(
            id=image_digest(config),
            layer=digest,
            size=layer.stat().st_size,
            manifest=digest_bytes(manifest_bytes(entries)),
        )
        current.detail = f"{len(entries)} paths, {megabytes(image.size)}, {image.id[:19]}…"
    return BuiltLayer(path=layer, image=image, config=config, entries=entries)


def image_config(lock: Lock, layer: Digest) -> ImageConfig:
    """The image's configuration: nothing but what the lock says."""
    name, version = lock.recipe.split("/")
    labels = {
        "org.opencontainers.image.title": name,
        "org.opencontainers.image.version": version,
        "thaw.lock": lock.digest,
    }
    return ImageConfig(
        layer=layer,
        created=lock.source_date_epoch,
        architecture=lock.architecture,
        environment=lock.environment,
        labels=labels,
    )


def refuse_other_image(lock: Lock, found: LockedImage) -> None:
    """Raise `ImageDiffers` where the lock names another image than the one built."""
    if lock.image is not None and lock.image.id != found.id:
        raise ImageDiffers(
            f"building {lock.recipe} gave {found.id}, its lock says {lock.image.id}",
            where=lock.recipe,
            hint=f"see which paths differ: thaw recipe rebuild {lock.recipe.split('/')[0]}",
        )


def keep_manifest(built: BuiltLayer, vault: Vault) -> None:
    """Keep the list of files, so that a later build that differs can name the paths."""
    vault.put_bytes(manifest_bytes(built.entries))
