"""A run out of this Thaw and into another: facts and bytes for an export, and what an import has to make of a crate."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from instantiator.dataset.errors import DatasetNameInvalid
from instantiator.dataset.names import check_name, derive_name
from instantiator.engine import Engine
from instantiator.image.builder import builder_lock
from instantiator.image.lock import Lock, lock_from_json
from instantiator.image.oci import ImageName, export_image, import_image, read_layout
from instantiator.job.spec import ImageDigest
from instantiator.recipe.errors import RecipeInvalid, RecipeUnknown
from instantiator.recipe.find import find_recipe
from instantiator.recipe.keep import keep_recipe
from instantiator.recipe.load import load_recipe
from instantiator.recipe.model import Citation, Recipe
from instantiator.thread.plan import layers_of
from instantiator.thread.verify import find_reference, read_recorded_lock
from provenance.crate_import import Crate, CrateRefused, TakenCrate, copy_part, take_crate
from provenance.digest import Digest, digest_file
from provenance.export import (
    Bundle,
    Bundled,
    Cited,
    DatasetFacts,
    Export,
    ExportRefused,
    Software,
    bare_software,
)
from provenance.export.contents import ENVIRONMENT_FOLDER, IMAGE_PATH
from provenance.record import Record
from provenance.store import NewDataset, Store
from provenance.vault import Vault

_SIGN = re.compile(r"[^A-Za-z0-9._+-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What crates leave and enter: vault, store, recipes, room for work, and the engine when it is needed."""

    vault: Vault
    store: Store
    recipes_dir: Path
    scratch: Path
    engine: Callable[[], Engine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What goes with an export: the image, what it is made of, files handed in; and what is said of the crate."""

    with_image: bool = False
    with_packages: bool = False
    with_deposits: bool = False
    licence: str = ""
    organisation: str = ""
    organisation_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedCrate:
    """What an import gave: the run, its record, objects, datasets registered, and the image where one was loaded."""

    run: str
    taken: TakenCrate
    datasets: tuple[str, ...]
    image: str | None


@contextmanager
def prepared_export(record: Record, house: House, asked: Asked = Asked()) -> Iterator[Export]:
    """All an export of `record` needs; an image that goes with it is there as long as this lasts."""
    lock = read_recorded_lock(record, house.vault)
    _refuse_deposits(lock, asked)
    with ExitStack() as stack:
        image = _saved_image(record, lock, house, stack) if asked.with_image else None
        bundle = Bundle(
            references=_references(record, house),
            datasets=_dataset_facts(record, house.store),
            environment=_environment(lock, house.vault) if asked.with_packages else (),
            image=image,
            image_name=lock.image_name,
            licence=asked.licence,
            organisation=asked.organisation,
            organisation_url=asked.organisation_url,
        )
        yield Export(record=record, vault=house.vault, software=software_of(record, house), bundle=bundle)


def software_of(record: Record, house: House) -> Software:
    """What is known of the software: from the very recipe, from the vault, from the recipe as it is now, or nothing."""
    recipe = _recipe_here(record, house.recipes_dir)
    if recipe is not None and recipe.digest == record.recipe_digest:
        keep_recipe(recipe, house.vault)
        return _software(recipe, "the recipe of the run")
    kept = _recipe_kept(record, house)
    if kept is not None:
        return _software(kept, "the recipe of the run, kept in the vault")
    if recipe is not None:
        return _software(recipe, "the recipe as it is now: it was changed since the run")
    return bare_software(record)


def _recipe_here(record: Record, recipes_dir: Path) -> Recipe | None:
    try:
        return load_recipe(find_recipe(recipes_dir, record.recipe))
    except (RecipeUnknown, RecipeInvalid):
        return None


def _recipe_kept(record: Record, house: House) -> Recipe | None:
    if not house.vault.has(record.recipe_digest):
        return None
    house.scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=house.scratch, prefix="recipe-") as folder:
        for entry in house.vault.read_tree(record.recipe_digest).entries:
            file = Path(folder) / record.recipe / entry.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(house.vault.read_bytes(entry.digest, used_by=f"recipe {record.recipe}"))
        try:
            return load_recipe(Path(folder) / record.recipe)
        except (RecipeUnknown, RecipeInvalid):  # of a Thaw that read another recipe language
            return None


def _software(recipe: Recipe, known_from: str) -> Software:
    return Software(
        name=recipe.name,
        version=recipe.version,
        title=recipe.title,
        description=recipe.description,
        licence=recipe.licence,
        homepage=recipe.homepage,
        citations=tuple(_cited(citation) for citation in recipe.citations),
        mission=recipe.mission,
        known_from=known_from,
    )


def _cited(citation: Citation) -> Cited:
    schemes = {"doi": citation.doi, "ascl": citation.ascl, "ads": citation.ads}
    scheme, value = next((scheme, value) for scheme, value in schemes.items() if value)
    return Cited(scheme=scheme, value=value, note=citation.note)


def _references(record: Record, house: House) -> Mapping[Digest, Path]:
    """Where the files of inputs lie that are registered by reference."""
    found = {}
    for item in record.inputs:
        dataset = find_reference(item, house.store)
        if dataset is not None:
            for entry in house.vault.read_tree(item.digest).entries:
                is_folder = dataset.path.is_dir()
                found[entry.digest] = dataset.path / entry.path if is_folder else dataset.path
    return found


def _dataset_facts(record: Record, store: Store) -> Mapping[Digest, DatasetFacts]:
    found = {}
    for item in record.inputs:
        for dataset in store.datasets_with_tree(item.digest):
            found[item.digest] = DatasetFacts(
                title=dataset.title, origin=dataset.origin, licence=dataset.licence
            )
    return found


def _refuse_deposits(lock: Lock, asked: Asked) -> None:
    if not lock.deposits or asked.with_deposits or not (asked.with_image or asked.with_packages):
        return
    names = ", ".join(deposit.name for deposit in lock.deposits)
    raise ExportRefused(
        f"the environment of {lock.recipe} holds what was handed in under a licence of its own: {names}",
        where=lock.recipe,
        hint="leave the environment out, or add --with-deposits where you may pass these files on",
    )


def _environment(lock: Lock, vault: Vault) -> tuple[Bundled, ...]:
    """What the image is made of, and what the image that builds it is made of: enough to build it offline."""
    names = {**_file_names(builder_lock()), **_file_names(lock)}
    found: dict[Digest, Bundled] = {}
    for part in (builder_lock(), lock):
        for digest, what in part.objects():
            found[digest] = Bundled(
                path=f"{ENVIRONMENT_FOLDER}/{digest[7:19]}-{_SIGN.sub('_', names.get(digest, 'file'))}",
                digest=digest,
                size=vault.size(digest),
                media_type="application/octet-stream",
                what=what,
            )
    return tuple(found.values())


def _file_names(lock: Lock) -> Mapping[Digest, str]:
    named = [(package.sha256, package.pool) for package in lock.packages]
    named += [(wheel.sha256, wheel.file) for wheel in lock.python]
    named += [(source.sha256, source.file) for source in lock.sources]
    named += [(part.sha256, part.file) for part in lock.deposits if part.sha256]
    named += [(part.sha256, part.path) for part in lock.files]
    return {Digest(f"sha256:{sha256}"): PurePosixPath(name).name for sha256, name in named}


def _saved_image(record: Record, lock: Lock, house: House, stack: ExitStack) -> Bundled:
    house.scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(stack.enter_context(TemporaryDirectory(dir=house.scratch, prefix="export-")))
    target = folder / IMAGE_PATH
    wanted = ImageName(image=ImageDigest(record.image), name=lock.image_name, layers=layers_of(lock))
    export_image(wanted, target, house.engine(), house.scratch)
    return Bundled(
        path=IMAGE_PATH,
        digest=digest_file(target),
        size=target.stat().st_size,
        media_type="application/x-tar",
        what=f"the image {record.image} as an OCI layout",
        source=target,
    )


def import_crate(crate: Crate, house: House, *, with_image: bool = True) -> ImportedCrate:
    """Take a checked crate: bytes, run and datasets; and the image, where the crate brings it, into the engine."""
    lock = lock_from_json(json.loads(crate.lock), where=str(crate.files.where))
    image = _load_image(crate, lock, house) if with_image and crate.image is not None else None
    taken = take_crate(crate, house.vault, house.store)
    datasets = tuple(_register_datasets(crate, house))
    return ImportedCrate(run=crate.record.run, taken=taken, datasets=datasets, image=image)


def _load_image(crate: Crate, lock: Lock, house: House) -> str:
    """Load the image unless the engine has it. One that is not the record's, or has another's name, is refused."""
    engine, wanted = house.engine(), ImageDigest(crate.record.image)
    if engine.has_image(wanted, lock.image_name, layers_of(lock)):
        return wanted
    house.scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=house.scratch, prefix="import-") as scratch:
        layout = _unpacked_image(crate, Path(scratch))
        found = read_layout(layout)[0]
        if (found.image, found.name) != (wanted, lock.image_name):
            raise CrateRefused(
                f"its image is {found.name} {found.image}, the run's is {lock.image_name} {wanted}",
                where=str(crate.files.where),
                hint="export the run again",
            )
        return import_image(layout, engine, house.scratch).image


def _unpacked_image(crate: Crate, folder: Path) -> Path:
    assert crate.image is not None, "asked for only where there is one"
    copy_part(crate, crate.image, folder / IMAGE_PATH)
    layout = folder / "layout"
    layout.mkdir()
    try:
        with tarfile.open(folder / IMAGE_PATH) as archive:
            archive.extractall(layout, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise CrateRefused(
            f"its image is no OCI layout: {error}",
            where=str(crate.files.where),
            hint="export the run again",
        ) from error
    return layout


def _register_datasets(crate: Crate, house: House) -> Iterator[str]:
    """Give the inputs their names here too, unless the same content has one."""
    for item in crate.record.inputs:
        if house.store.datasets_with_tree(item.digest):
            continue
        facts = crate.datasets.get(item.digest, DatasetFacts())
        new = NewDataset(
            name=_dataset_name(item.dataset),
            path=crate.files.where.resolve(),
            kept=True,
            added=datetime.now(UTC),
            title=facts.title,
            origin=facts.origin,
            licence=facts.licence,
        )
        yield house.store.add_dataset(new, house.vault.read_tree(item.digest), house.vault).reference


def _dataset_name(reference: str) -> str:
    name = reference.partition("@")[0]
    try:
        check_name(name)
    except DatasetNameInvalid:
        return derive_name(Path(name))
    return name
