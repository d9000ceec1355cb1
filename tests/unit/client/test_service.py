"""Which service is meant, and where a token may go."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from instantiator.client.errors import LoginsUnsafe, ServiceNotNamed, ServiceRefused, TokenMissing
from instantiator.client.service import (
    Logins,
    Service,
    check_url,
    find_service,
    logins_file,
    named_url,
    read_logins,
    write_logins,
)
from instantiator.secret import Secret

HOME_SERVICE = Service(url="https://thaw.example.org", token=Secret("thaw_home"))
LOGINS = Logins().add(HOME_SERVICE)


def test_logins_are_kept_readable_for_their_user_alone(tmp_path: Path) -> None:
    write_logins(tmp_path, LOGINS)
    assert stat.S_IMODE(logins_file(tmp_path).stat().st_mode) == 0o600
    assert read_logins(tmp_path) == LOGINS
    logins_file(tmp_path).chmod(0o644)
    with pytest.raises(LoginsUnsafe):
        read_logins(tmp_path)


def test_an_empty_variable_means_this_host_and_none_means_the_login() -> None:
    assert named_url(LOGINS, {"THAW_URL": ""}) is None
    assert named_url(LOGINS, {}) == HOME_SERVICE.url
    assert named_url(LOGINS.drop(HOME_SERVICE.url), {}) is None


def test_a_token_goes_to_its_own_service_alone() -> None:
    assert find_service(None, None, LOGINS, {"THAW_TOKEN": "thaw_other"}) == HOME_SERVICE
    with pytest.raises(TokenMissing):
        find_service("https://other.example.org", None, LOGINS, {})
    named = find_service(
        None, None, LOGINS, {"THAW_URL": "https://other.example.org/", "THAW_TOKEN": "thaw_o"}
    )
    assert named == Service(url="https://other.example.org", token=Secret("thaw_o"))


def test_without_any_service_that_is_told() -> None:
    with pytest.raises(ServiceNotNamed):
        find_service(None, "thaw_x", Logins(), {})


@pytest.mark.parametrize(
    "url",
    [
        "http://thaw.example.org",
        "thaw.example.org",
        "ftp://thaw.example.org",
        "https://me:pw@thaw.example.org",
        "http://127.0.0.1:8765/login?token=x",
        "https://thaw.example.org:port",
    ],
)
def test_addresses_a_token_may_not_be_sent_to_are_refused(url: str) -> None:
    with pytest.raises(ServiceRefused):
        check_url(url)


def test_this_host_may_be_asked_over_plain_http() -> None:
    assert check_url("http://127.0.0.1:8765/") == "http://127.0.0.1:8765"
