"""Fetches a file that a user names by its address: https only, never from this network, never too much.

The service stands where its users do not: an address must not make it ask a neighbour or itself. So the name is
looked up once, every address it has must be a public one, and the connection goes to exactly that address, with the
certificate checked for the name. A redirect is a new address and is checked the same way; no proxy is used.
"""

from __future__ import annotations

import http.client
import ipaddress
import shutil
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

from provenance.digest import Digest, digest_file
from provenance.errors import DigestMismatch, ThawError

_PIECE = 1 << 20
_REDIRECTS = 5
_PORTS = (None, 443)

LookUp = Callable[[str, int], list[str]]


class AddressRefused(ThawError):
    """A file is not fetched from this address: not https, not public, or not plainly written."""

    code = "address-refused"


class DownloadFailed(ThawError):
    """A file could not be fetched: no answer, another answer than the file, or too much of it."""

    code = "download-failed"


def look_up(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloads:
    """How files are fetched, and the limits. A test replaces `look_up` and `is_public` to stay on its host."""

    max_bytes: int = 20 * 1024**3
    timeout_s: float = 30.0
    look_up: LookUp = look_up
    is_public: Callable[[str], bool] = field(default=lambda address: is_public(address))
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    ports: tuple[int | None, ...] = _PORTS

    def fetch(
        self, url: str, expected: Digest, to: Path, progress: Callable[[int], None] = lambda _size: None
    ) -> int:
        """Fetch `url` into the file `to`; returns its size. What is there afterwards has the digest expected.

        Raises `AddressRefused`, `DownloadFailed` and `DigestMismatch`; then nothing is left of it.
        """
        try:
            size = self._fetch(url, to, progress)
            found = digest_file(to)
            if found != expected:
                raise DigestMismatch(
                    f"what came is not what was named: expected {expected}, found {found}",
                    where=url,
                    hint="check the address and the sha256",
                )
        except BaseException:
            to.unlink(missing_ok=True)
            raise
        return size

    def fetch_unvouched(
        self, url: str, to: Path, progress: Callable[[int], None] = lambda _size: None
    ) -> int:
        """The same where nobody publishes a digest: the caller has to check what came, and to keep its digest."""
        try:
            return self._fetch(url, to, progress)
        except BaseException:
            to.unlink(missing_ok=True)
            raise

    def _fetch(self, url: str, to: Path, progress: Callable[[int], None]) -> int:
        for _ in range(_REDIRECTS + 1):
            connection, path = self._connect(url)
            try:
                connection.request("GET", path, headers={"User-Agent": "thaw", "Accept-Encoding": "identity"})
                answer = connection.getresponse()
                if answer.status in (301, 302, 303, 307, 308):
                    url = urljoin(url, answer.headers.get("Location", ""))
                    continue
                if answer.status != 200:
                    raise DownloadFailed(
                        f"the server answered {answer.status} {answer.reason}",
                        where=url,
                        hint="check the address",
                    )
                return self._save(answer, url, to, progress)
            except (OSError, http.client.HTTPException) as error:
                raise DownloadFailed(
                    f"the file could not be fetched: {error}", where=url, hint="try again later"
                ) from error
            finally:
                connection.close()
        raise DownloadFailed(f"more than {_REDIRECTS} redirects", where=url, hint="give the last address")

    def _connect(self, url: str) -> tuple[http.client.HTTPSConnection, str]:
        host, port, path = self._parse(url)
        try:
            addresses = self.look_up(host, port)
        except OSError as error:
            raise DownloadFailed(f"there is no host {host!r}", where=url, hint="check the address") from error
        refused = [address for address in addresses if not self.is_public(address)]
        if refused or not addresses:
            raise _refused(url, f"{host!r} is not a public host")
        return _Pinned(host, port, addresses[0], self.timeout_s, self.tls()), path

    def _parse(self, url: str) -> tuple[str, int, str]:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise _refused(url, "it cannot be read") from error
        plain = url.isascii() and url.isprintable() and " " not in url
        if parts.scheme != "https" or not parts.hostname or parts.username is not None or not plain:
            raise _refused(url, "expected https://host/path, without a user")
        if port not in self.ports:
            raise _refused(url, f"expected port 443, found {port}")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return parts.hostname, port or 443, path

    def _save(
        self, answer: http.client.HTTPResponse, url: str, to: Path, progress: Callable[[int], None]
    ) -> int:
        announced = answer.length
        room = min(self.max_bytes, shutil.disk_usage(to.parent).free // 2)
        if announced is not None and announced > room:
            raise _too_large(url, announced, room)
        with to.open("xb") as file:
            size = _copy(answer, file, room, url, progress)
        if announced is not None and size != announced:
            raise DownloadFailed(
                f"the answer broke off: expected {announced} bytes, found {size}", where=url, hint="try again"
            )
        return size


class _Pinned(http.client.HTTPSConnection):
    """A connection to one address, whose certificate must be the host's."""

    def __init__(self, host: str, port: int, address: str, timeout_s: float, tls: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=timeout_s, context=tls)
        self._address, self._tls, self._timeout_s = address, tls, timeout_s

    def connect(self) -> None:
        """Connect to the address that was checked, and not to what the name means by now."""
        plain = socket.create_connection((self._address, self.port), timeout=self._timeout_s)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def is_public(address: str) -> bool:
    """Whether an address is one of the internet's hosts: not this host, not this network, not special."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    hidden = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    teredo = getattr(found, "teredo", None)
    is_nat64 = found in ipaddress.ip_network("64:ff9b::/96")
    return (
        found.is_global
        and not found.is_multicast
        and teredo is None
        and not is_nat64
        and (hidden is None or is_public(str(hidden)))
    )


def _copy(
    source: BinaryIO | http.client.HTTPResponse,
    target: BinaryIO,
    room: int,
    url: str,
    progress: Callable[[int], None],
) -> int:
    size = 0
    while piece := source.read(_PIECE):
        size += len(piece)
        if size > room:
            raise _too_large(url, size, room)
        target.write(piece)
        progress(len(piece))
    return size


def _too_large(url: str, size: int, room: int) -> DownloadFailed:
    return DownloadFailed(
        f"the file is too large: expected at most {room} bytes, found {size}",
        where=url,
        hint="bring it to the service's host and register it by path",
    )


def _refused(url: str, why: str) -> AddressRefused:
    return AddressRefused(
        f"this address is not fetched: {why}", where=url, hint="give a public https address"
    )
