"""The identity provider as it is configured: one table of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from instantiator.secret import Secret

_KEYS = {
    "issuer": "the provider's address",
    "client_id": "the name Thaw has there",
    "client_secret": "its secret there",
    "url": "the address of this service as browsers see it",
    "user_claim": "the claim that names the user",
    "group_claim": "the claim that lists groups",
    "scope": "the scopes asked for",
    "roles": "a table: group = role",
}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """One OpenID Connect provider. `roles`: which of its groups has which role here; `*` is everybody it knows."""

    issuer: str
    client_id: str
    client_secret: Secret | None = None
    url: str = ""
    user_claim: str = "preferred_username"
    group_claim: str = "groups"
    scope: str = "openid profile"
    roles: tuple[tuple[str, str], ...] = ()


def read_oidc(value: object) -> OidcSettings:
    """The table as given in the file, or as one inline table of TOML in the environment; raises `ValueError`."""
    table = _table(value)
    unknown = sorted(set(table) - set(_KEYS))
    if unknown:
        raise ValueError(f"a table with {', '.join(_KEYS)}; {unknown[0]!r} is none of them")
    texts = {key: item for key, item in table.items() if key != "roles"}
    for key, item in texts.items():
        if not isinstance(item, str) or not item:
            raise ValueError(f"{key} to be a text: {_KEYS[key]}")
    for key in ("issuer", "client_id"):
        if key not in texts:
            raise ValueError(f"{key}: {_KEYS[key]}")
    given = {key: str(item) for key, item in texts.items()}
    for key in ("issuer", "url"):
        if key in given and not _is_safe_address(given[key]):
            raise ValueError(f"{key} to begin with https://; http:// is for this host alone")
    secret = given.pop("client_secret", None)
    return OidcSettings(
        **given, client_secret=Secret(secret) if secret else None, roles=_roles(table.get("roles", {}))
    )


def _table(value: object) -> Mapping[str, object]:
    if isinstance(value, str):
        import tomllib

        try:
            value = tomllib.loads(f"oidc = {value}")["oidc"]
        except tomllib.TOMLDecodeError as error:
            raise ValueError(
                'one inline table of TOML, as { issuer = "https://...", client_id = "thaw" }'
            ) from error
    if not isinstance(value, dict):
        raise ValueError("a table")
    return value


def _roles(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("roles to be a table: group = role")
    return tuple(sorted((str(group), str(role)) for group, role in value.items()))


def _is_safe_address(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
