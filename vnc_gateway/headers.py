"""Headers: what every answer carries, what is not passed on, and whose cookies go where. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from multidict import CIMultiDict

from vnc_gateway.settings import Origin

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "expect",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    )
)
_TOLD_BY_US = frozenset(
    ("forwarded", "x-real-ip", "x-http-method-override", "x-original-url", "x-rewrite-url")
)
_SET_BY_US = frozenset(("server", "date", "access-control-allow-origin", "access-control-allow-credentials"))
_PORTAL_COOKIES = ("thaw", "__host-thaw", "__secure-thaw")
_COMMON = {
    "Server": "thaw",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers would send `Origin: null` with our own forms
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Permitted-Cross-Domain-Policies": "none",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(),"
    " clipboard-read=(self), clipboard-write=(self), fullscreen=(self)",
}


def describe_security(origin: Origin, lab: str | None) -> Mapping[str, str]:
    """The security headers of an answer of the portal, of noVNC and of ours; or of the lab of session `lab`."""
    policy = _write_portal_policy(origin) if lab is None else _write_lab_policy(origin, lab)
    strict = {"Strict-Transport-Security": "max-age=31536000"} if origin.scheme == "https" else {}
    # Another opener policy than the portal's on purpose: the browser cuts a lab off from the page it came from.
    opener = "same-origin" if lab is None else "same-origin-allow-popups"
    return {
        **_COMMON,
        **strict,
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": opener,
    }


def _write_portal_policy(origin: Origin) -> str:
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data: blob:;"
        f" media-src 'self' blob:; connect-src 'self' {origin.websocket_url}; worker-src 'self';"
        " manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _write_lab_policy(origin: Origin, lab: str) -> str:
    """A lab's page runs programs of its user's choice: it loads and asks only below its own path."""
    own = f"{origin.url}/lab/{lab}/"
    sockets = f"{origin.websocket_url}/lab/{lab}/"
    return (
        f"default-src {own}; script-src {own} 'unsafe-inline' 'unsafe-eval' blob:;"
        f" style-src {own} 'unsafe-inline'; img-src {own} data: blob:; font-src {own} data:;"
        f" connect-src {own} {sockets} data: blob:; worker-src {own} blob:; frame-src {own} blob: data:;"
        f" form-action {own}; object-src 'none'; base-uri {own}; frame-ancestors {own};"
        " sandbox allow-scripts allow-same-origin allow-forms allow-modals allow-downloads"
    )


def forward_request(
    headers: Iterable[tuple[str, str]], *, origin: Origin, host: str, client: str, lab: bool
) -> CIMultiDict[str]:
    """The headers an upstream is sent: none that belongs to the hop, none that pretends to be ours."""
    received = CIMultiDict(headers)
    connection = _named_by_connection(received.getall("Connection", []))
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in received.items():
        low = name.lower().replace("_", "-")
        if low in _HOP_BY_HOP | _TOLD_BY_US | connection or low.startswith(("x-forwarded-", "x-thaw-")):
            continue
        if low == "host":
            continue
        if low == "cookie" and lab:
            value = drop_portal_cookies(value)
        if "_" not in name and value:
            kept.add(name, value)
    kept["Host"] = host
    kept["X-Forwarded-For"] = client
    kept["X-Forwarded-Proto"] = origin.scheme
    kept["X-Forwarded-Host"] = host
    return kept


def forward_response(
    headers: Iterable[tuple[str, str]], *, origin: Origin, lab: str | None
) -> CIMultiDict[str]:
    """The headers a browser is sent of an upstream's answer; what was set over TLS goes over TLS alone."""
    received = CIMultiDict(headers)
    left_out = _HOP_BY_HOP | _SET_BY_US | _named_by_connection(received.getall("Connection", []))
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in received.items():
        low = name.lower()
        if low in left_out or (lab is not None and low in ("service-worker-allowed", "clear-site-data")):
            continue
        if low == "set-cookie" and lab is not None:
            limited = limit_cookie(value, lab)
            if limited is None:
                continue
            value = limited
        if low == "set-cookie" and origin.scheme == "https":
            value = secure_cookie(value)
        kept.add(name, value)
    return kept


def secure_cookie(header: str) -> str:
    """A Set-Cookie with `Secure`: the portal and labs speak plain HTTP, and do not know about the TLS in front."""
    attributes = {part.strip().lower() for part in header.split(";")[1:]}
    return header if "secure" in attributes else f"{header}; Secure"


def drop_portal_cookies(header: str) -> str:
    """A Cookie header without the portal's own cookies."""
    pairs = (pair.strip() for pair in header.split(";"))
    return "; ".join(pair for pair in pairs if pair and not _is_portal_cookie(pair.partition("=")[0]))


def limit_cookie(header: str, lab: str) -> str | None:
    """A lab's Set-Cookie, valid below the lab's own path alone; None if it carries a name of the portal's."""
    first, *attributes = (part.strip() for part in header.split(";"))
    if _is_portal_cookie(first.partition("=")[0]) or first.lower().startswith("__host-"):
        return None
    kept = [a for a in attributes if a and a.partition("=")[0].strip().lower() not in ("path", "domain")]
    return "; ".join([first, *kept, f"Path=/lab/{lab}/"])


def _is_portal_cookie(name: str) -> bool:
    return name.strip().lower().startswith(_PORTAL_COOKIES)


def _named_by_connection(values: Iterable[str]) -> frozenset[str]:
    return frozenset(token.strip().lower() for value in values for token in value.split(","))
