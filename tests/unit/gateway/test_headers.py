"""Headers: whose cookies go where, what is not passed on, and what logs may show."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from vnc_gateway.errors import NotFound
from vnc_gateway.headers import (
    describe_security,
    drop_portal_cookies,
    forward_request,
    forward_response,
    limit_cookie,
)
from vnc_gateway.log import JsonLines, mask_path
from vnc_gateway.settings import Origin
from vnc_gateway.static import find_novnc_file

SITE = Origin(scheme="https", host="thaw.example.org")
PLAIN = Origin(scheme="http", host="127.0.0.1:8080")


def send(*headers: tuple[str, str], lab: bool = False) -> dict[str, str]:
    return dict(forward_request(headers, origin=SITE, host=SITE.host, client="192.0.2.7", lab=lab))


def test_what_belongs_to_the_hop_or_pretends_to_be_ours_is_not_passed_on() -> None:
    hop = [
        ("Connection", "close, X-Secret"),
        ("X-Secret", "1"),
        ("Transfer-Encoding", "chunked"),
        ("TE", "trailers"),
    ]
    lies = [
        ("X-Forwarded-For", "10.0.0.1"),
        ("X_Forwarded_For", "10.0.0.1"),
        ("Forwarded", "for=x"),
        ("X-Thaw-User", "root"),
    ]
    assert send(*hop, *lies, ("Accept", "*/*")) == {
        "Accept": "*/*",
        "Host": "thaw.example.org",
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "thaw.example.org",
    }


def test_a_lab_never_sees_the_portals_cookie() -> None:
    cookies = "thaw=secret; _xsrf=2; __Host-thaw=secret; THAW-session=x"
    assert drop_portal_cookies(cookies) == "_xsrf=2"
    assert "Cookie" not in send(("Cookie", "thaw=secret"), lab=True)
    assert send(("Cookie", "thaw=secret"))["Cookie"] == "thaw=secret"


def test_a_labs_cookie_is_held_to_the_labs_path() -> None:
    assert limit_cookie("a=1; Path=/; Domain=x; Secure", "s1") == "a=1; Secure; Path=/lab/s1/"
    assert limit_cookie("thaw=stolen", "s1") is None
    answered = [("Set-Cookie", "a=1"), ("Service-Worker-Allowed", "/")]
    kept = forward_response(answered, origin=PLAIN, lab="s1")
    assert list(kept.items()) == [("Set-Cookie", "a=1; Path=/lab/s1/")]


def test_a_cookie_set_behind_tls_is_sent_over_tls_alone() -> None:
    answered = [("Set-Cookie", "thaw=x; HttpOnly"), ("Set-Cookie", "theme=dark; secure; Path=/")]
    kept = forward_response(answered, origin=SITE, lab=None)
    assert kept.getall("Set-Cookie") == ["thaw=x; HttpOnly; Secure", "theme=dark; secure; Path=/"]
    assert forward_response(answered, origin=PLAIN, lab=None).getall("Set-Cookie")[0] == "thaw=x; HttpOnly"


def test_the_portals_pages_run_no_inline_script_and_are_framed_by_nobody() -> None:
    policy = describe_security(SITE, None)["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "wss://thaw.example.org" in policy


def test_a_labs_page_reaches_only_its_own_path() -> None:
    policy = describe_security(SITE, "s1")["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert (
        directives["connect-src"]
        == "https://thaw.example.org/lab/s1/ wss://thaw.example.org/lab/s1/ data: blob:"
    )
    assert "'self'" not in policy
    assert "allow-popups" not in directives["sandbox"]


def test_a_log_line_shows_neither_query_nor_token() -> None:
    assert mask_path("/share/abcdefghijklmnopqrstuvwxyz012345?token=x") == "/share/***"
    assert mask_path("/ws/20261120-154949-k3f9") == "/ws/20261120-154949-k3f9"


def test_a_log_line_is_json_with_its_fields() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "viewer joins", (), None)
    record.session = "s1"
    line = json.loads(JsonLines().format(record))
    assert (line["event"], line["level"], line["session"]) == ("viewer joins", "info", "s1")


@pytest.mark.parametrize(
    "path", ["package.json", "core", "docs/x.js", "core/../package.json", "core/.x.js", "core/x.txt"]
)
def test_only_novncs_modules_are_served(path: str, tmp_path: Path) -> None:
    for name in ("package.json", "docs/x.js", "core/.x.js", "core/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(NotFound):
        find_novnc_file(tmp_path, tuple(path.split("/")))


def test_a_link_out_of_novncs_folder_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "package/core").mkdir(parents=True)
    (tmp_path / "secret.js").touch()
    (tmp_path / "package/core/x.js").symlink_to(tmp_path / "secret.js")
    with pytest.raises(NotFound):
        find_novnc_file(tmp_path / "package", ("core", "x.js"))
