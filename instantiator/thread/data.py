"""The datasets a recipe brings, laid out as folders: files of the recipe, files of a locked source, or both."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instantiator.image.errors import ArchiveInvalid
from instantiator.image.lock import Lock, LockedSource
from instantiator.image.scratch import scratch_folder
from instantiator.recipe.model import Recipe, RecipeDataset
from provenance.compare.globs import matches_glob
from provenance.digest import Digest
from provenance.vault import Vault


def find_recipe_dataset(recipe: Recipe, name: str) -> RecipeDataset | None:
    """The dataset of that name the recipe declares; None where it declares none."""
    return {dataset.name: dataset for dataset in recipe.datasets}.get(name)


@contextmanager
def laid_out(
    dataset: RecipeDataset, recipe: Recipe, lock: Lock, vault: Vault, scratch: Path
) -> Iterator[Path]:
    """A folder with the dataset's files: the recipe's own, or a temporary one with files of a source below them."""
    if dataset.source is None and dataset.path is not None:
        yield recipe.folder / dataset.path
        return
    with scratch_folder(scratch, "dataset-") as room:
        folder = room / dataset.name
        folder.mkdir()
        if dataset.source is not None:
            source = {source.name: source for source in lock.sources}[dataset.source]
            unpack_members(source, dataset, vault, folder)
        if dataset.path is not None:
            shutil.copytree(recipe.folder / dataset.path, folder, dirs_exist_ok=True)
        yield folder


def unpack_members(source: LockedSource, dataset: RecipeDataset, vault: Vault, folder: Path) -> None:
    """Unpack the wanted files of a zip or wheel; the source is verified first, and no path leaves `folder`."""
    digest = Digest(f"sha256:{source.sha256}")
    try:
        with (
            vault.open(digest, used_by=f"source {source.name}") as stream,
            zipfile.ZipFile(stream) as archive,
        ):
            wanted = [(member, _wanted(member, dataset)) for member in archive.infolist()]
            for member, path in wanted:
                if path is not None:
                    _unpack_member(archive, member, folder / path)
    except zipfile.BadZipFile as error:
        raise ArchiveInvalid(
            f"source {source.name!r} is no zip archive: {error}",
            where=str(dataset.location),
            hint="only wheels and zip archives can be datasets by `source:`; unpack others in a step",
        ) from error
    if all(path is None for _, path in wanted):
        raise ArchiveInvalid(
            f"source {source.name!r} holds nothing that dataset {dataset.name!r} asks for",
            where=str(dataset.location),
            hint="check `subpath` and `include` against `unzip -l` of the source",
        )


def _wanted(member: zipfile.ZipInfo, dataset: RecipeDataset) -> str | None:
    prefix = f"{dataset.subpath.strip('/')}/" if dataset.subpath else ""
    if member.is_dir() or not member.filename.startswith(prefix):
        return None
    path = member.filename.removeprefix(prefix)
    if path.startswith("/") or ".." in path.split("/"):
        raise ArchiveInvalid(
            f"the archive holds {member.filename!r}, which leads out of its folder",
            where=str(dataset.location),
            hint="get the source from a place you trust",
        )
    return path if any(matches_glob(path, f"/{glob}") for glob in dataset.include) else None


def _unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as stream, target.open("wb") as file:
        shutil.copyfileobj(stream, file)
    target.chmod(0o644)
