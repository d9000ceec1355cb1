"""Bring the bytes a lock names into the vault: from the Debian mirror, pip's index, a source's own addresses."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import BinaryIO, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from instantiator.image.debian import host_mirror
from instantiator.image.errors import DepositMissing, FetchFailed
from instantiator.image.lock import Lock, LockedDeposit, LockedPackage, LockedSource
from instantiator.image.wheels import WheelTarget, fetch_wheel
from instantiator.progress import Progress, megabytes, step
from provenance.digest import Digest, parse_digest
from provenance.errors import DigestMismatch, ThawError
from provenance.vault import Vault

_TIMEOUT_S = 60.0
PAUSE_S = 1.0
"""How long a busy mirror is left alone before it is asked again; then twice as long, and again."""
_AT_ONCE = 8

Taken = TypeVar("Taken")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """Where Debian packages come from. None: the host's own apt configuration.

    The snapshot archive is asked last.
    """

    debian: str | None = None
    snapshot: str | None = None
    pip_args: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One object to fetch: its digest and size, where it may be had, and what it is in words."""

    sha256: str
    size: int | None
    urls: tuple[str, ...]
    what: str

    @property
    def digest(self) -> Digest:
        """What names the bytes."""
        return parse_digest(f"sha256:{self.sha256}")


def missing_objects(lock: Lock, vault: Vault) -> tuple[str, ...]:
    """What the vault lacks to build this lock, in words."""
    return tuple(what for digest, what in lock.objects() if not vault.has(digest))


def fetch_lock(lock: Lock, vault: Vault, mirrors: Mirrors, progress: Progress) -> None:
    """Fetch whatever the vault lacks of `lock`; every byte is checked against its sha256 before it enters.

    Deposits are nowhere to be fetched, and the recipe's own files are not fetched: see `keep_files`.
    """
    fetch_packages(lock, vault, mirrors, progress)
    target = wheel_target(lock, mirrors)
    wheels = [wheel for wheel in lock.python if not _has(vault, wheel.sha256)]
    if wheels:
        with step(progress, f"fetch {len(wheels)} wheels"):
            for wheel in wheels:
                fetch_wheel(f"{wheel.name}=={wheel.version}", wheel.sha256, target, vault)
    for source in lock.sources:
        fetch_source(source, target, vault, progress)


def missing_deposits(lock: Lock, vault: Vault) -> tuple[LockedDeposit, ...]:
    """The deposits nobody has handed in to this vault: neither known to the lock nor, where known, kept."""
    return tuple(item for item in lock.deposits if item.sha256 is None or not _has(vault, item.sha256))


def refuse_awaited(lock: Lock, vault: Vault) -> None:
    """Raise `DepositMissing` naming the first file a curator still has to hand in."""
    for deposit in missing_deposits(lock, vault):
        raise DepositMissing(
            f"{lock.recipe} waits for the deposit {deposit.name!r}: the file {deposit.file}",
            hint=f"hand it in: thaw vault deposit {lock.recipe.split('/')[0]} {deposit.name} FILE",
        )


def wheel_target(lock: Lock, mirrors: Mirrors) -> WheelTarget:
    """The interpreter of an environment: the version Debian's python3 package has."""
    versions = [package.version for package in lock.packages if package.name == "python3"]
    version = ".".join(versions[0].split(".")[:2]) if versions else "3.11"
    return WheelTarget(
        suite=lock.suite, architecture=lock.architecture, python_version=version, pip_args=mirrors.pip_args
    )


def fetch_packages(lock: Lock, vault: Vault, mirrors: Mirrors, progress: Progress) -> None:
    """Fetch the .debs the vault lacks, several at once."""
    packages = [package for package in lock.packages if not _has(vault, package.sha256)]
    if not packages:
        return
    mirror = mirrors.debian or host_mirror(lock.suite)
    wanted = [wanted_package(package, mirror, mirrors.snapshot) for package in packages]
    fetch_all(wanted, vault, progress, f"fetch {len(wanted)} Debian packages")


def wanted_package(package: LockedPackage, mirror: str, snapshot: str | None) -> Wanted:
    """A .deb as something to fetch: from the mirror, then from the snapshot archive where one is set."""
    urls = [f"{mirror.rstrip('/')}/{quote(package.pool)}"]
    if snapshot:
        urls.append(f"{snapshot.rstrip('/')}/{quote(package.pool)}")
    what = f"package {package.name} {package.version}"
    return Wanted(sha256=package.sha256, size=package.size, urls=tuple(urls), what=what)


def fetch_source(source: LockedSource, target: WheelTarget, vault: Vault, progress: Progress) -> None:
    """Fetch one source unless the vault has it."""
    if _has(vault, source.sha256):
        return
    if source.wheel is not None:
        with step(progress, f"fetch {source.wheel}"):
            fetch_wheel(source.wheel, source.sha256, target, vault)
        return
    wanted = Wanted(sha256=source.sha256, size=source.size, urls=source.urls, what=f"source {source.name}")
    fetch_all([wanted], vault, progress, f"fetch {source.name}")


def fetch_all(wanted: Sequence[Wanted], vault: Vault, progress: Progress, name: str) -> None:
    """Fetch objects in parallel; the first that cannot be had raises, what arrived stays in the vault."""
    with step(progress, name) as current, ThreadPoolExecutor(_AT_ONCE) as pool:
        done = 0
        for size in pool.map(lambda item: fetch_one(item, vault), wanted):
            done += size
            progress.note(megabytes(done))
        current.detail = megabytes(done)


def fetch_one(wanted: Wanted, vault: Vault) -> int:
    """Fetch one object from the first address that has it; gives its bytes.

    Raises `FetchFailed` naming every try.
    """
    return try_each(wanted, lambda stream: _keep(stream, wanted, vault))


def try_each(wanted: Wanted, take: Callable[[BinaryIO], Taken]) -> Taken:
    """What `take` makes of the bytes of the first address that has the right ones.

    Raises `FetchFailed` naming every try; what is wrong on this side (a full disk) is raised as it is.
    """
    refusals = []
    for url in wanted.urls:
        try:
            return _persist(url, take)
        except (OSError, HTTPException, DigestMismatch) as error:
            refusals.append(f"{url}: {_reason(error)}")
    raise FetchFailed(
        f"{wanted.what} (sha256 {wanted.sha256}) could not be fetched: {'; '.join(refusals) or 'no address is known'}",
        hint="check the network and the mirror settings, or bring the bytes in: thaw vault import ARCHIVE",
    )


def _persist(url: str, take: Callable[[BinaryIO], Taken]) -> Taken:
    """Ask an address again where it may only be busy: five times, after 1, 2, 4 and 8 seconds."""
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

    again = Retrying(
        retry=retry_if_exception(_is_passing),
        stop=stop_after_attempt(5),
        wait=wait_exponential(1),
        reraise=True,
    )

    def ask() -> Taken:
        with open_url(url) as stream:
            return take(stream)

    return again(ask)


def _is_passing(error: BaseException) -> bool:
    """Whether a failure may be gone in a moment: a busy server or name service, a broken line; not a plain no."""
    if isinstance(error, HTTPError):
        return error.code == 429 or error.code >= 500
    if isinstance(error, URLError):
        return _is_passing(error.reason) if isinstance(error.reason, OSError) else False
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    return isinstance(error, (ConnectionError, TimeoutError, HTTPException))


def _keep(stream: BinaryIO, wanted: Wanted, vault: Vault) -> int:
    _, size = vault.put_stream(stream, expected=wanted.digest, expected_size=wanted.size)
    return size


def _reason(error: Exception) -> str:
    if isinstance(error, ThawError):
        return error.message
    return str(getattr(error, "reason", "") or error) or type(error).__name__


def open_url(url: str) -> BinaryIO:
    """The bytes at an address, as they come; raises `OSError` where it does not answer."""
    request = urllib.request.Request(url, headers={"User-Agent": "thaw"})
    stream: BinaryIO = urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=_tls(url))
    return stream


def _tls(url: str) -> ssl.SSLContext | None:
    return ssl.create_default_context() if url.startswith("https") else None


def _has(vault: Vault, sha256: str) -> bool:
    return vault.has(Digest(f"sha256:{sha256}"))
