"""Lock a recipe: resolve it once, keep the answer, and say what moved when asked to look again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from instantiator.atomic import replace_text
from instantiator.image.errors import LockMissing
from instantiator.image.fetch import Mirrors, fetch_lock
from instantiator.image.files import keep_files
from instantiator.image.lock import (
    Lock,
    LockedDeposit,
    LockedImage,
    LockedPackage,
    LockedSource,
    LockedWheel,
    answers,
    lock_file,
    lock_to_yaml,
    read_lock,
)
from instantiator.image.resolve import Kept, resolve_recipe
from instantiator.progress import Progress
from instantiator.recipe.model import Recipe
from provenance.vault import Vault

Part = LockedPackage | LockedWheel | LockedSource | LockedDeposit


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """The lock of a recipe, whether it was written now, and one line for everything that moved."""

    lock: Lock
    is_changed: bool
    moved: tuple[str, ...] = ()


def lock_recipe(
    recipe: Recipe, vault: Vault, mirrors: Mirrors, progress: Progress, *, refresh: bool = False
) -> Locked:
    """Lock `recipe` and bring every byte into the vault.

    A lock that still answers the recipe is kept as it is; `refresh` resolves again all the same. Deposits
    handed in stay; those still awaited stop nothing. An environment that did not move keeps its image.
    """
    former = _former(recipe)
    if former is not None and answers(former, recipe) and not refresh:
        keep_files(recipe, former, vault)
        fetch_lock(former, vault, mirrors, progress)
        return Locked(lock=former, is_changed=False)
    lock = resolve_recipe(
        recipe, vault, mirrors, progress, kept=Kept(deposits=former.deposits if former else ())
    )
    if former is not None and former.digest == lock.digest:
        lock = replace(lock, image=former.image)
    fetch_lock(lock, vault, mirrors, progress)
    write_lock(recipe, lock)
    return Locked(lock=lock, is_changed=lock != former, moved=tuple(moves(former, lock)) if former else ())


def _former(recipe: Recipe) -> Lock | None:
    try:
        return read_lock(recipe)
    except LockMissing:
        return None


def is_locked(recipe: Recipe) -> bool:
    """Whether the committed lock answers what the recipe asks for now."""
    former = _former(recipe)
    return former is not None and answers(former, recipe)


def write_lock(recipe: Recipe, lock: Lock) -> None:
    """Write the lock beside its recipe, at once or not at all."""
    replace_text(lock_file(recipe), lock_to_yaml(lock))


def pin_image(recipe: Recipe, lock: Lock, image: LockedImage) -> Lock:
    """Write the image a first build gave into the lock."""
    pinned = replace(lock, image=image)
    write_lock(recipe, pinned)
    return pinned


def moves(former: Lock, lock: Lock) -> Iterator[str]:
    """What is not the same in two locks: `libc6 2.36-9 -> 2.36-10`, `openssl added`, `perl gone`."""
    yield from _moves_of("package", former.packages, lock.packages)
    yield from _moves_of("wheel", former.python, lock.python)
    yield from _moves_of("source", former.sources, lock.sources)
    yield from _moves_of("deposit", former.deposits, lock.deposits)
    if (former.suite, former.architecture) != (lock.suite, lock.architecture):
        yield f"base {former.suite} {former.architecture} -> {lock.suite} {lock.architecture}"
    if former.steps != lock.steps:
        yield "steps changed"
    if dict(former.environment) != dict(lock.environment):
        yield "environment changed"
    if former.files != lock.files:
        yield "files changed"
    if former.source_date_epoch != lock.source_date_epoch:
        yield "snapshot date changed"


def _moves_of(title: str, old: Sequence[Part], new: Sequence[Part]) -> Iterator[str]:
    before, after = {part.name: part for part in old}, {part.name: part for part in new}
    for name in sorted(before.keys() | after.keys()):
        yield from _move(f"{title} {name}", before.get(name), after.get(name))


def _move(what: str, old: Part | None, new: Part | None) -> Iterator[str]:
    if old is None:
        yield f"{what} {_version(new)} added"
    elif new is None:
        yield f"{what} {_version(old)} gone"
    elif old != new and _version(old) == _version(new):
        yield f"{what} {_version(old)} changed"
    elif old != new:
        yield f"{what} {_version(old)} -> {_version(new)}"


def _version(part: Part | None) -> str:
    """What tells one state of a part from another: its version, else the beginning of its digest."""
    if isinstance(part, LockedPackage | LockedWheel):
        return part.version
    return part.sha256[:12] if part is not None and part.sha256 else "awaited"
