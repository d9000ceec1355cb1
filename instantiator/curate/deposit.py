"""Take in a file a curator hands in: checked against the recipe, kept in the vault, pinned in the lock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from instantiator.curate.lock import write_lock
from instantiator.image.errors import DepositWrong, LockMissing
from instantiator.image.lock import read_lock
from instantiator.recipe.model import Deposit, Recipe
from provenance.digest import Digest, parse_digest
from provenance.errors import DigestMismatch
from provenance.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposited:
    """A file that was taken in. `is_pinned_now`: the recipe named no digest, this file's is now in the lock."""

    name: str
    digest: Digest
    size: int
    is_pinned_now: bool


def take_deposit(recipe: Recipe, name: str, file: Path, vault: Vault) -> Deposited:
    """Check and keep a deposit. Raises `DepositWrong` where size or digest are not what the recipe says."""
    deposit = find_deposit(recipe, name)
    expected = _expected(recipe, deposit)
    _check_size(deposit, file)
    try:
        digest, size = vault.put_file(file, expected=expected)
    except DigestMismatch as error:
        raise DepositWrong(
            f"{file.name} is not the deposit {name!r} of {recipe.id}: {error.message}",
            where=str(file),
            hint=f"get {deposit.file} again from {deposit.found_at}",
        ) from error
    return Deposited(name=name, digest=digest, size=size, is_pinned_now=_pin(recipe, name, digest, size))


def find_deposit(recipe: Recipe, name: str) -> Deposit:
    """The deposit called `name`; raises `DepositWrong` naming those the recipe asks for."""
    deposits = {deposit.name: deposit for deposit in recipe.deposits}
    if name in deposits:
        return deposits[name]
    near = get_close_matches(name, deposits, n=1)
    asked = f"did you mean {near[0]!r}?" if near else f"it asks for: {', '.join(deposits) or 'none'}"
    raise DepositWrong(f"{recipe.id} asks for no deposit {name!r}", where=str(recipe.file), hint=asked)


def _expected(recipe: Recipe, deposit: Deposit) -> Digest | None:
    """The digest the recipe names, else the one of the file handed in before: a pinned deposit does not change.

    Raises `LockMissing` where neither could keep it: the file would be taken in, and asked for again.
    """
    if deposit.sha256 is not None:
        return parse_digest(f"sha256:{deposit.sha256}")
    known = {former.name: former.sha256 for former in read_lock(recipe).deposits}.get(deposit.name)
    return parse_digest(f"sha256:{known}") if known else None


def _check_size(deposit: Deposit, file: Path) -> None:
    size = file.stat().st_size
    if deposit.size is not None and size != deposit.size:
        raise DepositWrong(
            f"{file.name} has {size:,} bytes: the deposit {deposit.name!r} has {deposit.size:,}",
            where=str(file),
            hint=f"it is cut off, or another version: get {deposit.file} again from {deposit.found_at}",
        )


def _pin(recipe: Recipe, name: str, digest: Digest, size: int) -> bool:
    try:
        lock = read_lock(recipe)
    except LockMissing:
        return False
    sha256 = digest.removeprefix("sha256:")
    deposits = tuple(
        replace(item, sha256=sha256, size=size) if item.name == name and item.sha256 is None else item
        for item in lock.deposits
    )
    if deposits == lock.deposits:
        return False
    write_lock(recipe, replace(lock, deposits=deposits, image=None))
    return True
