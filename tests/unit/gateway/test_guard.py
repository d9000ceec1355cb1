"""Which requests are looked at at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnc_gateway.errors import GatewayError, NotFound, RequestRefused, SettingsRefused, WrongHost, WrongOrigin
from vnc_gateway.guard import check_host, check_origin, check_public, find_origin, read_ticket, split_target
from vnc_gateway.settings import Origin, parse_listen, parse_origin

SITE = (Origin(scheme="https", host="thaw.example.org"),)
TICKET = "0123456789abcdef"


@pytest.mark.parametrize(
    "target",
    [
        "/internal/redeem",
        "/%69nternal/redeem",
        "/INTERNAL",
        "/internal%2Fredeem",
        "/internal?x",
        "/%49nternal/",
    ],
)
def test_internal_paths_are_not_found_however_they_are_written(target: str) -> None:
    with pytest.raises(NotFound):
        check_public(split_target(target))


@pytest.mark.parametrize(
    "target",
    [
        "/x/../internal/redeem",
        "//internal/redeem",
        "/%2e%2e/internal",
        "/./internal",
        "/%2Finternal",
        "/a/%2e%2e%2finternal",
        "http://portal/internal/redeem",
        "*",
        "/a%00b",
        "/%ff",
        "/novnc/core/../../etc/passwd",
    ],
)
def test_paths_that_two_servers_could_read_in_two_ways_are_refused(target: str) -> None:
    with pytest.raises(RequestRefused):
        split_target(target)


@given(st.text(max_size=60))
def test_no_path_leads_to_internal_once_the_portal_has_decoded_it(text: str) -> None:
    from urllib.parse import unquote

    try:
        segments = split_target(f"/{text}")
        check_public(segments)
    except GatewayError:
        return
    assert not unquote(f"/{text}".partition("?")[0]).startswith(("/internal", "//"))


def test_file_names_with_newlines_and_marks_stay_reachable() -> None:
    assert split_target("/api/files/a%0Ab%E2%80%AEc.fits?x=..") == ("api", "files", "a\nb\u202ec.fits")


@pytest.mark.parametrize(
    "host", [None, "", "evil.example", "thaw.example.org:8080", "thaw.example.org.evil.example"]
)
def test_another_host_name_is_refused(host: str | None) -> None:
    with pytest.raises(WrongHost):
        check_host(host, SITE)


@pytest.mark.parametrize("host", ["thaw.example.org", "THAW.example.org:443"])
def test_the_site_is_known_by_its_name_with_and_without_the_usual_port(host: str) -> None:
    check_host(host, SITE)


@pytest.mark.parametrize("origin", [None, "null", "http://thaw.example.org", "https://evil.example"])
def test_a_websocket_needs_the_sites_own_origin(origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    with pytest.raises(WrongOrigin):
        check_origin("GET", headers, SITE, is_websocket=True)


def test_a_foreign_page_may_not_write_but_a_program_may() -> None:
    check_origin("POST", {}, SITE, is_websocket=False)
    check_origin("POST", {"Origin": "https://thaw.example.org"}, SITE, is_websocket=False)
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        with pytest.raises(WrongOrigin):
            check_origin("POST", headers, SITE, is_websocket=False)


def test_the_ticket_is_the_only_one_among_the_subprotocols() -> None:
    assert read_ticket(f"binary, thaw.ticket.{TICKET}") == TICKET
    offers = [f"thaw.ticket.{TICKET}", "binary", "binary, thaw.ticket.", f"binary, thaw.ticket.{TICKET}/../x"]
    offers += [f"binary, thaw.ticket.{TICKET}, thaw.ticket.{TICKET}x"]
    assert [read_ticket(offer) for offer in offers] == [None] * 5


def test_addresses_are_read_as_browsers_write_them() -> None:
    assert parse_origin("https://Thaw.example.org:443/").url == "https://thaw.example.org"
    assert (parse_listen(":8080"), parse_listen("[::1]:80")) == (("127.0.0.1", 8080), ("::1", 80))


@pytest.mark.parametrize("text", ["thaw.example.org", "ftp://x", "https://x/path", "https://u@x", "https://"])
def test_what_is_no_address_of_a_site_is_refused(text: str) -> None:
    with pytest.raises(SettingsRefused, match="--origin"):
        parse_origin(text)


def test_the_site_asked_is_found_by_its_host_with_or_without_its_usual_port() -> None:
    inside = parse_origin("http://127.0.0.1:8765")
    sites = (inside, *SITE)
    hosts = ("thaw.example.org", "THAW.example.org:443", "127.0.0.1:8765", "elsewhere.example")
    assert [find_origin(host, sites) for host in hosts] == [*SITE, *SITE, inside, inside]
