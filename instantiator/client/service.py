"""Which service is meant, and by which token: named by the caller, the environment, or `thaw login`."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from instantiator.client.errors import LoginsUnsafe, ServiceNotNamed, ServiceRefused, TokenMissing
from instantiator.secret import Secret

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service's address, and a token for it."""

    url: str
    token: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Logins:
    """The services logged in at, and the one commands go to; a token is only ever sent to its own service."""

    current: str | None = None
    tokens: Mapping[str, Secret] = field(default_factory=dict)

    def add(self, service: Service) -> Logins:
        """Logged in at one more, which commands go to from now on."""
        return Logins(current=service.url, tokens={**self.tokens, service.url: service.token})

    def drop(self, url: str) -> Logins:
        """Logged out there."""
        rest = {key: token for key, token in self.tokens.items() if key != url}
        return Logins(current=None if self.current == url else self.current, tokens=rest)


def named_url(logins: Logins, environ: Mapping[str, str]) -> str | None:
    """The service that commands go to: `THAW_URL`, else the login's; an empty `THAW_URL` says: this host."""
    if "THAW_URL" in environ:
        return environ["THAW_URL"] or None
    return logins.current


def find_service(url: str | None, token: str | None, logins: Logins, environ: Mapping[str, str]) -> Service:
    """The service meant; raises `ServiceNotNamed`, `ServiceRefused`, `TokenMissing`.

    `THAW_TOKEN` goes with a service the caller or `THAW_URL` names, never with the one of a login.
    """
    asked = url or named_url(logins, environ)
    if not asked:
        raise ServiceNotNamed(
            "no service is named",
            hint="name one: Thaw(url), the variable THAW_URL, or: thaw login URL",
        )
    address = check_url(asked)
    is_named = bool(url or environ.get("THAW_URL"))
    given = token or (environ.get("THAW_TOKEN") if is_named else None)
    found = Secret(given.strip()) if given else logins.tokens.get(address)
    if found is None:
        raise TokenMissing(
            f"there is no token for {address}",
            where=address,
            hint=f"thaw login {address}; or give it as the variable THAW_TOKEN",
        )
    return Service(url=address, token=found)


def check_url(text: str) -> str:
    """A service's address as it is kept; raises `ServiceRefused`, also where a token would travel unencrypted."""
    parts = urlsplit(text.strip().rstrip("/"))
    try:
        _ = parts.port
    except ValueError as error:
        raise _refused(text, "its port is none") from error
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise _refused(text, "expected https://HOST, or http://127.0.0.1:PORT on this host")
    if parts.username or parts.query or parts.fragment or "@" in parts.netloc:
        raise _refused(text, "expected the address alone, without login, question mark and number sign")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ServiceRefused(
            f"a token would travel readable to {parts.hostname}: expected https, found http",
            where=text,
            hint="use https, or a tunnel: ssh -L 8765:127.0.0.1:8765 HOST, then http://127.0.0.1:8765",
        )
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}"


def is_loopback(host: str) -> bool:
    """Whether a host is this one."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _refused(text: str, why: str) -> ServiceRefused:
    return ServiceRefused(
        f"{text.partition('?')[0]!r} is no service's address: {why}", hint="as https://thaw.example.org"
    )


def logins_file(home: Path) -> Path:
    """Where tokens are kept."""
    return home / "logins.json"


def read_logins(home: Path) -> Logins:
    """The logins of this user; raises `LoginsUnsafe` where others could have read them."""
    path = logins_file(home)
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise LoginsUnsafe(
                f"others may read your tokens: expected mode 0600, found {stat.S_IMODE(mode):04o}",
                where=str(path),
                hint=f"chmod 600 {path}, and make new tokens if others use this host",
            )
        value = json.loads(path.read_bytes())
        if value["format"] != FORMAT:
            raise ValueError(f"it is of format {value['format']!r}")
        tokens = {str(url): Secret(str(text)) for url, text in value["tokens"].items()}
        return Logins(current=value["current"], tokens=tokens)
    except FileNotFoundError:
        return Logins()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoginsUnsafe(
            f"the logins cannot be read: {error}", where=str(path), hint="remove the file and log in again"
        ) from error


def write_logins(home: Path, logins: Logins) -> None:
    """Keep the logins, readable for this user alone from the first moment."""
    home.mkdir(parents=True, exist_ok=True)
    path = logins_file(home)
    tokens = {url: token.reveal() for url, token in logins.tokens.items()}
    content = json.dumps({"format": FORMAT, "current": logins.current, "tokens": tokens}, indent=1)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
