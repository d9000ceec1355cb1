"""Log in by an OpenID Connect provider: authorization code with PKCE. The one door to Authlib."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

from instantiator.oidc_settings import OidcSettings
from instantiator.settings import SettingsInvalid
from instantiator.users import LoginRefused, Role
from instantiator.users.logins import PendingLogin

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
"""Signatures only the provider can make: none by a shared secret, and never none."""
LEEWAY_S = 30
TIMEOUT_S = 10.0
_KEYS_AGAIN_S = 5.0
"""Keys are asked for again when a token names an unknown one, but not more often than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom the provider says it is. `subject` is its own name for the user, which never changes."""

    subject: str
    name: str
    roles: frozenset[Role]
    groups: frozenset[str]


class Provider:
    """One OpenID Connect provider; what it says of itself is read at the first login."""

    def __init__(self, settings: OidcSettings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._roles = _checked_roles(settings)
        self._monotonic = monotonic
        self._lock = Lock()
        self._metadata: Mapping[str, Any] | None = None
        self._keys: Any = None
        self._keys_read = float("-inf")

    def address(self, pending: PendingLogin, redirect: str) -> str:
        """Where the browser goes to log in."""
        with self._client(redirect) as client:
            url, _ = client.create_authorization_url(
                self._about()["authorization_endpoint"],
                state=pending.state,
                nonce=pending.nonce,
                code_verifier=pending.verifier,
            )
        return str(url)

    def identity(
        self, pending: PendingLogin, answer: Mapping[str, str], redirect: str, *, now: datetime
    ) -> Identity:
        """Whom the provider's answer names; raises `LoginRefused` where anything of it does not fit the login begun."""
        _refuse_answer(answer, pending, self._about())
        with self._client(redirect) as client:
            token = _asked(
                lambda: client.fetch_token(
                    self._about()["token_endpoint"],
                    grant_type="authorization_code",
                    code=answer["code"],
                    code_verifier=pending.verifier,
                )
            )
            claims = self._claims(token, pending, now)
            return self._identity(self._complete(client, claims))

    def _claims(self, token: Mapping[str, Any], pending: PendingLogin, now: datetime) -> dict[str, Any]:
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError

        text = token.get("id_token")
        if not isinstance(text, str):
            raise _refused("the provider's answer holds no id_token")
        allowed = list(ALGORITHMS)
        try:
            try:
                decoded = jwt.decode(text, self._key_set(), algorithms=allowed)
            except (JoseError, ValueError):  # the provider may have new keys: ask once more
                decoded = jwt.decode(text, self._key_set(is_again=True), algorithms=allowed)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                options={
                    "iss": {"essential": True, "value": self.settings.issuer},
                    "aud": {"essential": True, "value": self.settings.client_id},
                },
                params={
                    "nonce": pending.nonce,
                    "client_id": self.settings.client_id,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(now=int(now.timestamp()), leeway=LEEWAY_S)
        except (JoseError, ValueError) as error:
            raise _refused(f"the provider's id_token is not good: {_words(error)}") from error
        return dict(claims)

    def _complete(self, client: Any, claims: dict[str, Any]) -> dict[str, Any]:
        """The claims, with those the provider tells at its userinfo address only."""
        wanted = {self.settings.user_claim, self.settings.group_claim}
        address = self._about().get("userinfo_endpoint")
        if wanted <= set(claims) or not address:
            return claims
        more = _asked(lambda: client.get(address).raise_for_status().json())
        if more.get("sub") != claims["sub"]:
            raise _refused("the provider's userinfo is about somebody else")
        return {**more, **claims}

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        name = claims.get(self.settings.user_claim)
        if not isinstance(name, str) or not name:
            raise _refused(f"the provider names nobody: the claim {self.settings.user_claim!r} is missing")
        told = claims.get(self.settings.group_claim) or ()
        groups = {item for item in ([told] if isinstance(told, str) else told) if isinstance(item, str)}
        return Identity(
            subject=f"{self.settings.issuer} {claims['sub']}",
            name=name.casefold(),
            roles=frozenset(role for group, role in self._roles if group == "*" or group in groups),
            groups=frozenset(groups),
        )

    def _about(self) -> Mapping[str, Any]:
        with self._lock:
            if self._metadata is None:
                self._metadata = self._discover()
            return self._metadata

    def _discover(self) -> Mapping[str, Any]:
        from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url

        with self._client("") as client:
            address = get_well_known_url(self.settings.issuer, external=True)
            found = _asked(
                lambda: client.request("GET", address, withhold_token=True).raise_for_status().json()
            )
        if found.get("issuer") != self.settings.issuer:
            raise _refused(
                f"the provider calls itself {found.get('issuer')!r}; expected {self.settings.issuer!r}"
            )
        metadata = OpenIDProviderMetadata(found)
        try:
            for key in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                getattr(metadata, f"validate_{key}")() if self.settings.issuer.startswith(
                    "https:"
                ) else found[key]
        except (KeyError, ValueError) as error:
            raise _refused(f"what the provider says of itself is not complete: {error}") from error
        return dict(found)

    def _key_set(self, *, is_again: bool = False) -> Any:
        from joserfc.jwk import KeySet

        with self._lock:
            is_old = self._monotonic() - self._keys_read > _KEYS_AGAIN_S
        if self._keys is None or (is_again and is_old):
            about = self._about()
            with self._client("") as client:
                found = _asked(
                    lambda: (
                        client.request("GET", about["jwks_uri"], withhold_token=True)
                        .raise_for_status()
                        .json()
                    )
                )
            with self._lock:
                self._keys, self._keys_read = KeySet.import_key_set(found), self._monotonic()
        return self._keys

    def _client(self, redirect: str) -> Any:
        from authlib.integrations.httpx_client import OAuth2Client

        secret = self.settings.client_secret
        return OAuth2Client(
            client_id=self.settings.client_id,
            client_secret=secret.reveal() if secret else None,
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            scope=self.settings.scope,
            redirect_uri=redirect,
            code_challenge_method="S256",
            leeway=0,
            timeout=TIMEOUT_S,
        )


def _checked_roles(settings: OidcSettings) -> tuple[tuple[str, Role], ...]:
    wrong = [role for _, role in settings.roles if role not in list(Role)]
    if wrong:
        raise SettingsInvalid(
            f"oidc: roles: found the role {wrong[0]!r}; expected one of {', '.join(Role)}",
            hint="docs/users.md shows the table",
        )
    return tuple((group, Role(role)) for group, role in settings.roles)


def _refuse_answer(answer: Mapping[str, str], pending: PendingLogin, about: Mapping[str, Any]) -> None:
    import hmac

    if not hmac.compare_digest(answer.get("state", "").encode(), pending.state.encode()):
        raise _refused("the provider's answer is not to the login this browser began (state)")
    told = answer.get("iss", "")
    if told != about["issuer"] and (told or about.get("authorization_response_iss_parameter_supported")):
        raise _refused("the answer is another provider's (iss)")
    if "error" in answer:
        raise _refused(
            f"the provider did not log you in: {answer.get('error_description') or answer['error']}"
        )
    if not answer.get("code"):
        raise _refused("the provider's answer holds no code")


def _asked(ask: Callable[[], Any]) -> Any:
    """What the provider answers; every way it fails is a login refused."""
    from authlib.common.errors import AuthlibBaseError
    from httpx2 import HTTPError

    try:
        found = ask()
    except HTTPError as error:
        raise _refused(f"the provider cannot be asked: {_words(error)}") from error
    except AuthlibBaseError as error:
        raise _refused(f"the provider did not take the code: {_words(error)}") from error
    except ValueError as error:
        raise _refused("the provider's answer is not JSON") from error
    if not isinstance(found, dict):
        raise _refused("the provider's answer is not as expected")
    return found


def _words(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__


def _refused(message: str) -> LoginRefused:
    return LoginRefused(message, hint="begin again: /login; if it stays so, tell the operator")
