"""Resolve a recipe to a lock: every mutable name becomes a digest, every byte enters the vault."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from instantiator.image.debian import Archive, host_mirror, resolve_packages
from instantiator.image.errors import ResolveFailed
from instantiator.image.fetch import Mirrors, Wanted, fetch_all, fetch_lock, wheel_target
from instantiator.image.files import keep_files
from instantiator.image.lock import (
    Lock,
    LockedDeposit,
    LockedPackage,
    LockedSource,
    LockedWheel,
    recipe_files,
    request_digest,
)
from instantiator.image.wheels import WheelTarget, resolve_wheel_file, resolve_wheels
from instantiator.progress import Progress, step
from instantiator.recipe.model import Deposit, Recipe, Source
from provenance.digest import Digest, canonical_json, digest_bytes
from provenance.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What has to be resolved for an environment without a recipe: the builder and other images of Thaw's own."""

    name: str
    suite: str
    snapshot: str
    architecture: str
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a former lock already knows: deposits stay as they were handed in."""

    deposits: tuple[LockedDeposit, ...] = ()


def resolve_recipe(recipe: Recipe, vault: Vault, mirrors: Mirrors, progress: Progress, *, kept: Kept) -> Lock:
    """Resolve all of `recipe`, fetch it into the vault, and give the lock (without an image: building makes that)."""
    suite = recipe.base.debian
    if suite is None:
        raise ResolveFailed(
            f"the base of {recipe.id} is no Debian suite",
            where=str(recipe.at("base")),
            hint="use `base: {debian: SUITE, snapshot: DATE}`; other bases are not built by this version",
        )
    packages = resolve_debian(_archive(suite, recipe.architecture, mirrors), recipe.packages, progress)
    target = WheelTarget(
        suite=suite,
        architecture=recipe.architecture,
        python_version=recipe.python_version,
        pip_args=mirrors.pip_args,
    )
    lock = Lock(
        recipe=recipe.id,
        request=request_digest(recipe),
        architecture=recipe.architecture,
        suite=suite,
        source_date_epoch=epoch_of(recipe.base.snapshot or "", where=str(recipe.at("base"))),
        packages=packages,
        python=_resolve_python(recipe, target, vault, progress),
        sources=tuple(_resolve_source(source, target, vault, progress) for source in recipe.sources),
        deposits=tuple(_resolve_deposit(deposit, kept) for deposit in recipe.deposits),
        files=recipe_files(recipe),
        steps=tuple(recipe_step.run for recipe_step in recipe.steps),
        environment=dict(recipe.environment),
    )
    _check_python_version(recipe, lock)
    keep_files(recipe, lock, vault)
    return lock


def resolve_request(request: Request, vault: Vault, mirrors: Mirrors, progress: Progress) -> Lock:
    """Resolve an environment that has no recipe, fetch it into the vault, and give the lock."""
    archive = _archive(request.suite, request.architecture, mirrors)
    lock = Lock(
        recipe=request.name,
        request=digest_bytes(canonical_json(asdict(request))),
        architecture=request.architecture,
        suite=request.suite,
        source_date_epoch=epoch_of(request.snapshot, where=request.name),
        packages=resolve_debian(archive, request.packages, progress),
    )
    fetch_lock(lock, vault, mirrors, progress)
    return lock


def resolve_debian(archive: Archive, names: tuple[str, ...], progress: Progress) -> tuple[LockedPackage, ...]:
    """The Debian packages of an environment, as a named step."""
    with step(progress, f"resolve Debian {archive.suite}") as current:
        packages = resolve_packages(archive, names)
        current.detail = f"{len(packages)} packages"
    return packages


def epoch_of(snapshot: str, *, where: str) -> int:
    """Seconds since 1970 of a snapshot date (`2026-11-20`, midnight UTC): the newest time a file of the image has."""
    try:
        return int(datetime.strptime(snapshot, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise ResolveFailed(
            f"{snapshot!r} is not a snapshot date",
            where=where,
            hint="write it as YYYY-MM-DD, e.g. 2026-11-20",
        ) from error


def _archive(suite: str, architecture: str, mirrors: Mirrors) -> Archive:
    return Archive(mirror=mirrors.debian or host_mirror(suite), suite=suite, architecture=architecture)


def _resolve_python(
    recipe: Recipe, target: WheelTarget, vault: Vault, progress: Progress
) -> tuple[LockedWheel, ...]:
    if not recipe.python:
        return ()
    with step(progress, "resolve Python wheels") as current:
        wheels = resolve_wheels(recipe.python, target, vault)
        current.detail = f"{len(wheels)} wheels"
    return wheels


def _resolve_source(source: Source, target: WheelTarget, vault: Vault, progress: Progress) -> LockedSource:
    if source.wheel is not None:
        with step(progress, f"resolve {source.wheel}"):
            wheel = resolve_wheel_file(source.wheel, target, vault)
        return LockedSource(
            name=source.name,
            file=wheel.file,
            sha256=wheel.sha256,
            size=wheel.size,
            wheel=source.wheel,
            unpack=source.unpack,
        )
    if source.sha256 is None:
        raise ResolveFailed(
            f"source {source.name!r} has no sha256",
            where=str(source.location),
            hint="fetch it yourself from a place you trust, and write down what `sha256sum` prints",
        )
    wanted = Wanted(sha256=source.sha256, size=source.size, urls=source.urls, what=f"source {source.name}")
    if not vault.has(wanted.digest):
        fetch_all([wanted], vault, progress, f"fetch {source.name}")
    return LockedSource(
        name=source.name,
        file=file_name(source.urls[0]) or source.name,
        sha256=source.sha256,
        size=_size_of(source, wanted.digest, vault),
        urls=source.urls,
        unpack=source.unpack,
    )


def file_name(url: str) -> str:
    """What the file at an address is called: its ending says how it is unpacked, so no query belongs to it."""
    return unquote(PurePosixPath(urlsplit(url).path).name).replace("/", "_")


def _size_of(source: Source, digest: Digest, vault: Vault) -> int:
    size = vault.size(digest)
    if source.size not in (None, size):
        raise ResolveFailed(
            f"source {source.name!r} has {size:,} bytes, the recipe says {source.size:,}",
            where=str(source.location),
            hint=f"its sha256 is right, so set size: {size}",
        )
    return size


def _resolve_deposit(deposit: Deposit, kept: Kept) -> LockedDeposit:
    """A deposit is pinned by the recipe, or by what was handed in before; else the lock waits for it."""
    known = {former.name: former for former in kept.deposits}.get(deposit.name)
    sha256 = deposit.sha256 or (known.sha256 if known else None)
    size = deposit.size or (known.size if known else None)
    return LockedDeposit(
        name=deposit.name, file=deposit.file, sha256=sha256, size=size, unpack=deposit.unpack
    )


def _check_python_version(recipe: Recipe, lock: Lock) -> None:
    found = wheel_target(lock, Mirrors()).python_version
    if recipe.python and found != recipe.python_version:
        raise ResolveFailed(
            f"{recipe.id} wants wheels for Python {recipe.python_version}, Debian {lock.suite} has {found}",
            where=str(recipe.at("python")),
            hint=f"set python_version: '{found}'",
        )
