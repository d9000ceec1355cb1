"""Locked bytes brought into the vault, and refused where they are not the locked ones."""

from __future__ import annotations

from dataclasses import replace
from email.message import Message
from http.client import IncompleteRead
from io import BytesIO
from pathlib import Path
from socket import EAI_AGAIN, EAI_NONAME, gaierror
from typing import BinaryIO
from urllib.error import HTTPError, URLError

import pytest

from instantiator.image.errors import DepositMissing, FetchFailed
from instantiator.image.fetch import (
    Mirrors,
    Wanted,
    fetch_all,
    fetch_lock,
    fetch_one,
    missing_deposits,
    missing_objects,
    refuse_awaited,
    try_each,
    wanted_package,
    wheel_target,
)
from instantiator.image.lock import LockedDeposit, LockedPackage, LockedSource
from instantiator.image.origin import Origin, uses_of_locks
from instantiator.progress import Silent
from provenance.digest import Digest
from provenance.errors import DiskFull
from provenance.vault import Vault
from tests.examples import MIDAS_LOCK, digest_of, locked_deb, sha256

XTERM = b"the bytes of xterm"
WANTED = Wanted(sha256=sha256(XTERM), size=len(XTERM), urls=(), what="package xterm 379-1")
EMPTY = replace(MIDAS_LOCK, packages=(), python=(), sources=(), deposits=(), files=())


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instantiator.image.fetch.PAUSE_S", 0.0)


class Mirror:
    """Fails as it is told, one failure for each request, then serves."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked = 0

    def open(self, _url: str) -> BinaryIO:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        return BytesIO(XTERM)


def http_error(code: int) -> HTTPError:
    return HTTPError("http://mirror/xterm.deb", code, "said so", Message(), None)


@pytest.mark.parametrize(
    "passing",
    [
        http_error(503),
        http_error(429),
        URLError(ConnectionResetError()),
        URLError(gaierror(EAI_AGAIN, "Temporary failure in name resolution")),
        TimeoutError(),
        IncompleteRead(b""),
    ],
)
def test_a_mirror_that_is_busy_is_asked_again(
    passing: Exception, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = Mirror(passing, passing)
    monkeypatch.setattr("instantiator.image.fetch.open_url", mirror.open)
    assert fetch_one(replace(WANTED, urls=("http://mirror/xterm.deb",)), vault) == len(XTERM)
    assert mirror.asked == 3


@pytest.mark.parametrize(
    "plain", [http_error(404), URLError(FileNotFoundError()), URLError(gaierror(EAI_NONAME, "not known"))]
)
def test_a_plain_no_is_not_asked_again(
    plain: Exception, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = Mirror(plain, plain)
    monkeypatch.setattr("instantiator.image.fetch.open_url", mirror.open)
    with pytest.raises(FetchFailed):
        fetch_one(replace(WANTED, urls=("http://mirror/xterm.deb",)), vault)
    assert mirror.asked == 1


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between two tries are not waited for."""
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _seconds: None)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault")


def serve(folder: Path, package: LockedPackage, content: bytes) -> str:
    """A mirror that has one package; gives its address."""
    file = folder / package.pool
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return folder.as_uri()


def at(path: Path, content: bytes) -> str:
    """The address of a file with that content."""
    path.write_bytes(content)
    return path.as_uri()


def test_what_was_fetched_is_in_the_vault_under_its_digest(vault: Vault, tmp_path: Path) -> None:
    assert fetch_one(replace(WANTED, urls=(at(tmp_path / "xterm", XTERM),)), vault) == len(XTERM)
    assert vault.read_bytes(digest_of(XTERM)) == XTERM


@pytest.mark.parametrize("bad", [b"another version", XTERM[:-1], XTERM + b" ", b""])
def test_the_next_address_is_asked_where_one_has_other_bytes(
    vault: Vault, tmp_path: Path, bad: bytes
) -> None:
    urls = (at(tmp_path / "bad", bad), (tmp_path / "none").as_uri(), at(tmp_path / "good", XTERM))
    fetch_one(replace(WANTED, urls=urls), vault)
    assert list(vault.digests()) == [digest_of(XTERM)]


@pytest.mark.parametrize("bad", [b"another version", XTERM[:-1], XTERM + b" "])
def test_wrong_bytes_never_enter_and_the_refusal_names_every_try(
    vault: Vault, tmp_path: Path, bad: bytes
) -> None:
    urls = (at(tmp_path / "bad", bad), (tmp_path / "none").as_uri())
    with pytest.raises(FetchFailed) as refusal:
        fetch_one(replace(WANTED, urls=urls), vault)
    assert all(url in refusal.value.message for url in urls)
    assert "package xterm 379-1" in refusal.value.message
    assert "No such file" in refusal.value.message
    assert list(vault.digests()) == []


def test_an_unreachable_host_is_told_in_its_own_words(vault: Vault) -> None:
    def hang_up(_stream: BinaryIO) -> int:
        raise ConnectionRefusedError(111, "Connection refused")

    wanted = replace(WANTED, urls=("data:,x",))
    with pytest.raises(FetchFailed, match=r"data:,x: \[Errno 111\] Connection refused") as refusal:
        try_each(wanted, hang_up)
    assert "thaw vault import" in refusal.value.hint


def test_a_connection_cut_off_in_the_middle_is_one_failed_try(vault: Vault, tmp_path: Path) -> None:
    urls = (at(tmp_path / "first", XTERM), at(tmp_path / "second", XTERM))
    tries = []

    def take(stream: BinaryIO) -> bytes:
        tries.append(stream)
        if len(tries) == 1:
            raise IncompleteRead(b"the by", 12)
        return stream.read()

    assert try_each(replace(WANTED, urls=urls), take) == XTERM


def test_a_full_disk_is_not_blamed_on_the_mirror(vault: Vault, tmp_path: Path) -> None:
    def fill(_stream: BinaryIO) -> int:
        raise DiskFull("no space left", where="/var/lib/thaw", hint="free some space")

    with pytest.raises(DiskFull):
        try_each(replace(WANTED, urls=(at(tmp_path / "xterm", XTERM),)), fill)


def test_what_has_no_address_says_so(vault: Vault) -> None:
    with pytest.raises(FetchFailed, match="no address is known"):
        fetch_one(WANTED, vault)


def test_one_of_many_that_fails_leaves_what_arrived(vault: Vault, tmp_path: Path) -> None:
    good = replace(WANTED, urls=(at(tmp_path / "xterm", XTERM),))
    with pytest.raises(FetchFailed):
        fetch_all([good, replace(WANTED, sha256=sha256(b"gone"))], vault, Silent(), "fetch 2 packages")
    assert vault.has(digest_of(XTERM))


def test_a_package_is_asked_of_the_mirror_then_of_the_snapshot_archive() -> None:
    package = locked_deb("xterm", XTERM, version="1:379~b+c")
    wanted = wanted_package(package, "https://m.example/debian/", "https://s.example/")
    pool = "pool/main/x/xterm/xterm_1%3A379~b%2Bc_amd64.deb"
    assert wanted.urls == (f"https://m.example/debian/{pool}", f"https://s.example/{pool}")


def test_a_lock_is_fetched_from_mirror_and_origin_and_only_what_is_missing(
    vault: Vault, tmp_path: Path
) -> None:
    package = locked_deb("xterm", XTERM)
    source = LockedSource(
        name="midas",
        file="m.tar.gz",
        sha256=sha256(b"midas"),
        size=5,
        urls=(at(tmp_path / "m.tar.gz", b"midas"),),
    )
    lock = replace(EMPTY, packages=(package,), sources=(source,))
    mirrors = Mirrors(debian=serve(tmp_path / "mirror", package, XTERM))
    assert len(missing_objects(lock, vault)) == 2
    fetch_lock(lock, vault, mirrors, Silent())
    assert missing_objects(lock, vault) == ()
    fetch_lock(lock, vault, Mirrors(debian="file:///nowhere"), Silent())


WAITING = LockedDeposit(name="tables", file="tables.dat", sha256=None, size=None)
KNOWN = LockedDeposit(name="tables", file="tables.dat", sha256=sha256(b"tables"), size=6)


@pytest.mark.parametrize("deposit", [WAITING, KNOWN])
def test_a_deposit_nobody_handed_in_here_is_asked_for(vault: Vault, deposit: LockedDeposit) -> None:
    lock = replace(EMPTY, deposits=(deposit,))
    with pytest.raises(DepositMissing) as refusal:
        refuse_awaited(lock, vault)
    assert "tables.dat" in refusal.value.message
    assert refusal.value.hint == "hand it in: thaw vault deposit midas tables FILE"


def test_a_deposit_that_was_handed_in_is_not_asked_for(vault: Vault) -> None:
    vault.put_bytes(b"tables")
    assert missing_deposits(replace(EMPTY, deposits=(KNOWN,)), vault) == ()


@pytest.mark.parametrize(
    ("version", "python"), [("3.11.2-1+b1", "3.11"), ("3.13.5-1", "3.13"), (None, "3.11")]
)
def test_wheels_are_for_the_python_of_the_image(version: str | None, python: str) -> None:
    packages = (locked_deb("python3", b"", version=version),) if version else ()
    assert wheel_target(replace(EMPTY, packages=packages), Mirrors()).python_version == python


def read(origin: Origin, digest: Digest) -> bytes | None:
    stream = origin.fetch(digest, None)
    if stream is None:
        return None
    with stream:
        return stream.read()


def test_a_rotten_object_is_had_again_from_its_mirror_or_its_address(tmp_path: Path) -> None:
    package = locked_deb("xterm", XTERM)
    source = LockedSource(
        name="midas", file="m", sha256=sha256(b"midas"), size=5, urls=(at(tmp_path / "m", b"midas"),)
    )
    lock = replace(EMPTY, packages=(package,), sources=(source,))
    origin = Origin([lock], Mirrors(debian=serve(tmp_path / "mirror", package, XTERM)))
    assert (read(origin, digest_of(XTERM)), read(origin, digest_of(b"midas"))) == (XTERM, b"midas")
    assert read(origin, digest_of(b"an output of a run")) is None


def test_an_origin_that_gives_other_bytes_is_passed_over_for_the_snapshot_archive(tmp_path: Path) -> None:
    package = locked_deb("xterm", XTERM)
    mirrors = Mirrors(
        debian=serve(tmp_path / "mirror", package, b"<html>moved</html>"),
        snapshot=serve(tmp_path / "snapshot", package, XTERM),
    )
    assert read(Origin([replace(EMPTY, packages=(package,))], mirrors), digest_of(XTERM)) == XTERM


def test_an_origin_that_has_nothing_right_says_what_it_tried(tmp_path: Path) -> None:
    package = locked_deb("xterm", XTERM)
    mirrors = Mirrors(debian=serve(tmp_path / "mirror", package, b"<html>moved</html>"))
    with pytest.raises(FetchFailed, match=r"18 bytes, sha256:.*: expected"):
        Origin([replace(EMPTY, packages=(package,))], mirrors).fetch(digest_of(XTERM), None)


def test_a_host_without_apt_still_repairs_what_comes_from_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = LockedSource(
        name="midas", file="m", sha256=sha256(b"midas"), size=5, urls=(at(tmp_path / "m", b"midas"),)
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    lock = replace(EMPTY, packages=(locked_deb("xterm", XTERM),), sources=(source,))
    assert read(Origin([lock], Mirrors()), digest_of(b"midas")) == b"midas"


def test_what_uses_an_object_is_told_for_each_lock() -> None:
    other = replace(MIDAS_LOCK, recipe="midas/23SEP")
    uses = uses_of_locks([MIDAS_LOCK, other])[digest_of(b"xterm")]
    assert uses == (
        "package xterm 1:379-1~deb12u1 of midas/22SEP",
        "package xterm 1:379-1~deb12u1 of midas/23SEP",
    )
