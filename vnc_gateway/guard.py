"""Which requests are looked at at all: host, path, origin. Pure: values in, a refusal out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from vnc_gateway.errors import NotFound, RequestRefused, WrongHost, WrongOrigin
from vnc_gateway.settings import Origin

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
_SESSION = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_TICKET = re.compile(r"[A-Za-z0-9_-]{16,256}")
TICKET_PREFIX = "thaw.ticket."


def split_target(target: str) -> tuple[str, ...]:
    """The decoded segments of a request's path; refuses what two servers could read in two ways.

    The portal decodes once more what it is sent, so that is done here first: no way of writing a path reaches
    what its plain form does not.
    """
    path = target.partition("?")[0]
    if not path.startswith("/"):
        raise RequestRefused("the request names no path")
    try:
        decoded = unquote_to_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise RequestRefused("the path is not UTF-8") from error
    segments = tuple(decoded[1:].split("/"))
    if "\0" in decoded or "#" in path or any(s in (".", "..") for s in segments) or "" in segments[:-1]:
        raise RequestRefused("the path holds '.', '..' or empty parts")
    return segments


def check_public(segments: tuple[str, ...]) -> None:
    """Nothing from outside reaches what the gateway itself asks of the portal."""
    if segments[0].strip().casefold() == "internal":
        raise NotFound("nothing is served here")


def check_host(host: str | None, origins: tuple[Origin, ...]) -> None:
    """The Host header is one of ours: else another name was pointed at this address (DNS rebinding)."""
    if not any((host or "").lower() in _host_names(origin) for origin in origins):
        raise WrongHost(
            f"this gateway does not serve {host or ''!r}",
            hint="start it with --origin and the address browsers use",
        )


def find_origin(host: str, origins: tuple[Origin, ...]) -> Origin:
    """The address a request with this Host was sent to; the first where it is none of ours."""
    return next((origin for origin in origins if host.lower() in _host_names(origin)), origins[0])


def _host_names(origin: Origin) -> tuple[str, str]:
    return origin.host, origin.host + {"http": ":80", "https": ":443"}[origin.scheme]


def check_origin(
    method: str, headers: Mapping[str, str], origins: tuple[Origin, ...], *, is_websocket: bool
) -> None:
    """What changes something, and every WebSocket, comes from a page of ours.

    A program without an Origin header may write, since it carries no browser's cookie; a WebSocket always needs one.
    """
    found = headers.get("Origin")
    if method in _SAFE_METHODS and not is_websocket:
        return
    if (
        found is None
        and not is_websocket
        and headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
    ):
        return
    if found not in {origin.url for origin in origins}:
        raise WrongOrigin(
            "the request comes from a page of another site", hint="open the portal by its own address"
        )


def check_session_id(text: str) -> str:
    """The session's id, if it can be one."""
    if not _SESSION.fullmatch(text):
        raise NotFound("nothing is served here")
    return text


def read_ticket(protocols: str) -> str | None:
    """The one ticket among the offered subprotocols; None unless `binary` is offered as well."""
    offered = [part.strip() for part in protocols.split(",")]
    tickets = [part.removeprefix(TICKET_PREFIX) for part in offered if part.startswith(TICKET_PREFIX)]
    if "binary" not in offered or len(tickets) != 1 or not _TICKET.fullmatch(tickets[0]):
        return None
    return tickets[0]
