"""The lock: every mutable name of a recipe resolved to a digest.

`recipe.lock.yaml`, format 1 (docs/lock-format.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from instantiator.image.errors import LockInvalid, LockMissing, LockStale
from instantiator.recipe.model import Recipe
from provenance.digest import Digest, canonical_json, digest_bytes, digest_file, parse_digest

FORMAT = 1
FILE = "recipe.lock.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """A Debian package: `pool` is its path below any mirror of the archive."""

    name: str
    version: str
    architecture: str
    pool: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedWheel:
    """A Python wheel, named as its index names it."""

    name: str
    version: str
    file: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedSource:
    """An archive or file of the recipe: `urls` are the origins, empty for a wheel (then `wheel` names it)."""

    name: str
    file: str
    sha256: str
    size: int
    urls: tuple[str, ...] = ()
    wheel: str | None = None
    unpack: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedDeposit:
    """A file handed in by a curator; without a digest the lock still waits for it."""

    name: str
    file: str
    sha256: str | None
    size: int | None
    unpack: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFile:
    """A file of the recipe's `files/` folder that goes into the image, at the same path below `/`."""

    path: str
    sha256: str
    size: int
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedImage:
    """What building this lock gives: image ID, digest of its only layer, its bytes, the list of its files."""

    id: str
    layer: str
    size: int
    manifest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """All an image is made of. `request` is the digest of what the recipe asked for when this was resolved."""

    recipe: str
    request: Digest
    architecture: str
    suite: str
    source_date_epoch: int
    packages: tuple[LockedPackage, ...]
    python: tuple[LockedWheel, ...] = ()
    sources: tuple[LockedSource, ...] = ()
    deposits: tuple[LockedDeposit, ...] = ()
    files: tuple[LockedFile, ...] = ()
    steps: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    image: LockedImage | None = None

    @property
    def digest(self) -> Digest:
        """Names the environment: the lock without the image that comes of it."""
        return digest_bytes(canonical_json(lock_to_json(replace(self, image=None))))

    @property
    def image_name(self) -> str:
        """The engine tag the image is loaded under: `thaw/<name>:<version>-<12 hex of the lock>`."""
        name, version = self.recipe.split("/")
        return f"thaw/{name}:{version.replace('+', '_').replace('~', '_')}-{self.digest[7:19]}"

    @property
    def awaited(self) -> tuple[LockedDeposit, ...]:
        """The deposits nobody has handed in yet."""
        return tuple(deposit for deposit in self.deposits if deposit.sha256 is None)

    def objects(self) -> Iterator[tuple[Digest, str]]:
        """Every object of the vault this lock needs, and in words what it is."""
        for package in self.packages:
            yield _sha256(package.sha256), f"package {package.name} {package.version} of {self.recipe}"
        for wheel in self.python:
            yield _sha256(wheel.sha256), f"wheel {wheel.file} of {self.recipe}"
        for source in self.sources:
            yield _sha256(source.sha256), f"source {source.name} of {self.recipe}"
        for deposit in self.deposits:
            if deposit.sha256 is not None:
                yield _sha256(deposit.sha256), f"deposit {deposit.name} of {self.recipe}"
        for file in self.files:
            yield _sha256(file.sha256), f"file {file.path} of {self.recipe}"


def _sha256(text: str) -> Digest:
    return parse_digest(f"sha256:{text}")


def lock_to_json(lock: Lock) -> dict[str, object]:
    """The lock as plain data, with `format`; lists sorted by name as they are in the lock."""
    return {"format": FORMAT, **_plain(asdict(lock))}


def _plain(value: Mapping[str, object]) -> dict[str, object]:
    return {key: _plain_value(item) for key, item in value.items() if item not in (None, (), {})}


def _plain_value(value: object) -> object:
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, (tuple, list)):
        return [_plain_value(item) for item in value]
    return value


def lock_to_yaml(lock: Lock) -> str:
    """The committed text of a lock: one line per package, so that a change is a readable diff."""
    lines = ["# Made by `thaw recipe lock`; every byte the image is made of. Do not edit.\n"]
    for key, value in lock_to_json(lock).items():
        lines.append(_block(key, value))
    return "".join(lines)


def _block(key: str, value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        items = "".join(f"  - {_flow(item)}" for item in value)
        return f"{key}:\n{items}"
    import yaml

    return yaml.safe_dump({key: value}, sort_keys=True, width=4096, allow_unicode=True)


def _flow(item: object) -> str:
    import yaml

    return yaml.safe_dump(item, default_flow_style=True, sort_keys=False, width=1 << 20, allow_unicode=True)


def lock_from_yaml(text: str | bytes, *, where: str) -> Lock:
    """The lock in `text` (bytes are UTF-8); raises `LockInvalid`, naming `where` it stands."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = yaml.load(text, Loader=loader)
    except yaml.YAMLError as error:
        raise LockInvalid(
            f"the lock is not YAML: {error}", where=where, hint="restore it from git, or lock again"
        ) from error
    return lock_from_json(value, where=where)


def lock_from_json(value: object, *, where: str) -> Lock:
    """The lock `lock_to_json` wrote; raises `LockInvalid` naming what is missing or wrong."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        found = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise LockInvalid(
            f"lock of format {found!r}: expected {FORMAT}", where=where, hint="update Thaw, or lock again"
        )
    try:
        return _lock(value)
    except (TypeError, ValueError) as error:
        raise LockInvalid(
            f"the lock is damaged: {error}", where=where, hint="restore it from git, or lock again"
        ) from error


_PARTS = {
    "packages": LockedPackage,
    "python": LockedWheel,
    "sources": LockedSource,
    "deposits": LockedDeposit,
    "files": LockedFile,
}


def _lock(value: Mapping[str, object]) -> Lock:
    given = {key: item for key, item in value.items() if key != "format"}
    for key, kind in _PARTS.items():
        given[key] = tuple(_part(kind, item) for item in _items(value, key))
    given["steps"] = tuple(_items(value, "steps"))
    if "image" in value:
        given["image"] = _part(LockedImage, value["image"])
    lock = Lock(**given)  # type: ignore[arg-type]  # a wrong or missing key is a TypeError the caller tells
    _check_types(lock)
    return lock


def _items(value: Mapping[str, object], key: str) -> list[Any]:
    items = value.get(key, [])
    if not isinstance(items, list):
        raise TypeError(f"{key} is no list")
    return items


def _part(kind: type[Any], item: object) -> object:
    if not isinstance(item, dict):
        raise TypeError(f"{item!r} is no {kind.__name__}")
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}
    if kind is LockedDeposit:
        given = {"sha256": None, "size": None, **given}
    part = kind(**given)
    _check_types(part)
    return part


def _check_types(part: Any) -> None:
    """Raise `ValueError` for a field that is of another type, or leads somewhere a lock must not lead."""
    for item in fields(part):
        value = getattr(part, item.name)
        fits = _FITS_NAME.get(item.name) or _FITS_TYPE.get(str(item.type))
        if fits is not None and not fits(value) and not (value is None and item.type == "str | None"):
            raise ValueError(f"{item.name} of {type(part).__name__} is {value!r}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"sha256:[0-9a-f]{64}", value) is not None


def _is_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)


def _is_path(value: object) -> bool:
    """A relative path that stays where it begins."""
    return isinstance(value, str) and value != "" and not {"/", ".."} & set(PurePosixPath(value).parts)


def _is_name(value: object) -> bool:
    return _is_path(value) and "/" not in str(value)


_FITS_NAME: Mapping[str, Callable[[object], bool]] = {
    "recipe": lambda value: isinstance(value, str) and re.fullmatch(r"[^/]+/[^/]+", value) is not None,
    "environment": lambda value: isinstance(value, dict) and _is_texts((*value, *value.values())),
    "sha256": lambda value: isinstance(value, str) and _is_digest(f"sha256:{value}"),
    **dict.fromkeys(("request", "id", "layer", "manifest"), _is_digest),
    **dict.fromkeys(("pool", "path"), _is_path),
    **dict.fromkeys(("name", "file"), _is_name),
}
_FITS_TYPE: Mapping[str, Callable[[object], bool]] = {
    "str": _is_text,
    "str | None": _is_text,
    "int": _is_size,
    "int | None": lambda value: value is None or _is_size(value),
    "bool": lambda value: isinstance(value, bool),
    "tuple[str, ...]": _is_texts,
}


def request_digest(recipe: Recipe) -> Digest:
    """The digest of all a lock answers. Threads, texts and data are left out: editing them needs no new lock."""
    request = {
        "architecture": recipe.architecture,
        "base": asdict(recipe.base),
        "packages": sorted(recipe.packages),
        "python": sorted(recipe.python),
        "python_version": recipe.python_version,
        "sources": [[s.name, *s.urls, s.wheel, s.sha256, s.unpack] for s in recipe.sources],
        "deposits": [[d.name, d.file, d.sha256, d.unpack] for d in recipe.deposits],
        "steps": [step.run for step in recipe.steps],
        "environment": dict(recipe.environment),
        "files": [[file.path, file.sha256, file.executable] for file in recipe_files(recipe)],
    }
    return digest_bytes(canonical_json(request))


def recipe_files(recipe: Recipe) -> tuple[LockedFile, ...]:
    """The files of the recipe's `files/` folder, sorted by path."""
    root = recipe.folder / "files"
    found = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else []
    return tuple(_locked_file(path, root) for path in found)


def _locked_file(path: Path, root: Path) -> LockedFile:
    status = path.stat()
    return LockedFile(
        path=path.relative_to(root).as_posix(),
        sha256=digest_file(path).removeprefix("sha256:"),
        size=status.st_size,
        executable=bool(status.st_mode & 0o100),
    )


def lock_file(recipe: Recipe) -> Path:
    """Where the lock of a recipe lies."""
    return recipe.folder / FILE


def read_lock(recipe: Recipe) -> Lock:
    """The committed lock; raises `LockMissing` where there is none."""
    path = lock_file(recipe)
    if not path.is_file():
        raise LockMissing(
            f"recipe {recipe.id} has no lock",
            where=str(path),
            hint=f"make one: thaw recipe lock {recipe.name}",
        )
    return lock_from_yaml(path.read_bytes(), where=str(path))


def answers(lock: Lock, recipe: Recipe) -> bool:
    """Whether the lock is this recipe's, and for what it asks for now."""
    return (lock.recipe, lock.request) == (recipe.id, request_digest(recipe))


def check_lock_matches(recipe: Recipe, lock: Lock) -> None:
    """Raise `LockStale` where the recipe asks for something the lock does not answer."""
    if not answers(lock, recipe):
        raise LockStale(
            f"the lock of {recipe.id} answers another recipe: it is for {lock.recipe}, request {lock.request}; "
            f"the recipe's is {request_digest(recipe)}",
            where=str(lock_file(recipe)),
            hint=f"lock again: thaw recipe lock {recipe.name}",
        )


def refuse_unlocked(recipe: Recipe) -> Lock:
    """The lock of a recipe; raises `LockMissing` or `LockStale` where it does not answer the recipe."""
    lock = read_lock(recipe)
    check_lock_matches(recipe, lock)
    return lock
