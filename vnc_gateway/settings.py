"""What the gateway is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from vnc_gateway.errors import SettingsRefused

MAX_MESSAGE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one gateway holds at most."""

    connections: int = 200
    connections_per_user: int = 16
    message_bytes: int = MAX_MESSAGE
    idle_s: float = 3600.0
    dial_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One address under which browsers reach the gateway."""

    scheme: str
    host: str

    @property
    def url(self) -> str:
        """As browsers write it in the Origin header."""
        return f"{self.scheme}://{self.host}"

    @property
    def websocket_url(self) -> str:
        """The same for WebSockets."""
        return f"{'wss' if self.scheme == 'https' else 'ws'}://{self.host}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Everything the gateway needs, and nothing it has to look up."""

    host: str
    port: int
    portal: Path
    novnc: Path
    origins: tuple[Origin, ...]
    user: str | None = None
    parent: int | None = None
    limits: Limits = Limits()


def parse_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[IPv6]:PORT` or `:PORT` (this host alone)."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise SettingsRefused(
            f"--listen {text!r} is not HOST:PORT", hint="for example --listen 127.0.0.1:8080"
        )
    return host.strip("[]") or "127.0.0.1", int(port)


def parse_origin(text: str) -> Origin:
    """An address as browsers write it: scheme, host and, where it is not the usual one, port; no path."""
    parts = urlsplit(text)
    is_plain = not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain:
        raise SettingsRefused(
            f"--origin {text!r} is not the address of a site",
            hint="for example --origin https://thaw.example.org",
        )
    usual = {"http": ":80", "https": ":443"}[parts.scheme]
    return Origin(scheme=parts.scheme, host=parts.netloc.lower().removesuffix(usual))
