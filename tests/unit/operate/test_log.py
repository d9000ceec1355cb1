"""Logs: the gateway's keys, ids of what a line is about, and no secret ever."""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from instantiator.operate.log import JsonLines, LogSettingInvalid, Words, about, mask, read_form
from instantiator.session.tickets import Right, RightKind, Tickets
from instantiator.users import Scope, Users
from tests.fakes_session import NOON
from vnc_gateway.log import JsonLines as GatewayLines

RUN = "20261120-120000-k3f9"


def record(event: str, **extra: object) -> logging.LogRecord:
    made = logging.getLogger("thaw.test").makeRecord(
        "thaw.test", logging.INFO, __file__, 1, event, (), None, extra=extra
    )
    made.created = NOON.timestamp()
    return made


def read(made: logging.LogRecord) -> dict[str, object]:
    found = json.loads(JsonLines().format(made))
    assert isinstance(found, dict)
    return found


def test_a_line_is_what_the_gateway_writes() -> None:
    made = record("request", method="GET", path="/runs", status=200, seconds=0.01)
    assert read(made) == json.loads(GatewayLines().format(made))


def test_an_exception_is_in_the_same_line() -> None:
    made = record("it broke")
    try:
        raise ValueError("no such frame")
    except ValueError:
        made.exc_info = sys.exc_info()
    assert str(read(made)["exception"]).endswith("ValueError: no such frame")
    assert "\n" not in JsonLines().format(made)


def test_a_line_says_what_it_is_about() -> None:
    with about(request="r1", user=""), about(run=RUN):
        inside = read(record("a step"))
    assert (inside["request"], inside["run"], "user" in inside) == ("r1", RUN, False)
    assert "request" not in read(record("a step"))


def test_a_thread_that_executes_a_run_names_it() -> None:
    made: list[logging.LogRecord] = []
    thread = threading.Thread(target=lambda: made.append(record("a step")), name=f"run-{RUN}")
    thread.start()
    thread.join()
    assert read(made[0])["run"] == RUN


def test_people_get_words() -> None:
    assert Words().format(record("request", status=200)) == "12:00:00 info    request status=200"


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, str]:
    """One of each kind of secret, as the service gives them out."""
    users, tickets = Users(tmp_path / "users.sqlite"), Tickets(tmp_path / "tickets.sqlite")
    later = NOON + timedelta(hours=1)
    rights = {
        kind.value: Right(kind=kind, user="caroline", session="", view_only=False, expires=later)
        for kind in RightKind
    }
    given = {name: tickets.issue(right, now=NOON) for name, right in rights.items()}
    token = users.tokens.new("caroline", Scope, label="", expires=later, now=NOON).text
    users.close()
    return {**given, "api": token}


def test_no_secret_is_ever_in_a_line(secrets: dict[str, str]) -> None:
    ways = (
        "{}",
        "GET /login?token={} HTTP/1.1",
        "Authorization: Bearer {}",
        "Cookie: thaw-8765={}; other=1",
        "Sec-WebSocket-Protocol: binary, thaw.ticket.{}",
        "/watch/{}",
    )
    for name, secret in secrets.items():
        for way in ways:
            text = way.format(secret)
            for line in (
                JsonLines().format(record(text)),
                JsonLines().format(record("request", path=text)),
                Words().format(record(text)),
            ):
                assert secret not in line, (name, way)


def test_what_is_no_secret_stays_readable() -> None:
    told = f"run {RUN} of tycho gave sha256:{'ab' * 32}, state=completed, exit code=0"
    assert mask(told) == told
    assert mask("https://user:word@mirror.example/debian") == "https://****@mirror.example/debian"


@pytest.mark.parametrize(
    ("text", "is_terminal", "expected"),
    [
        ("", True, ("text", logging.INFO)),
        ("", False, ("json", logging.INFO)),
        ("text:debug", False, ("text", logging.DEBUG)),
        (":warning", False, ("json", logging.WARNING)),
    ],
)
def test_thaw_log_says_form_and_level(text: str, is_terminal: bool, expected: tuple[str, int]) -> None:
    assert read_form(text, is_terminal=is_terminal) == expected


@pytest.mark.parametrize("text", ["xml", "json:loud", "texts"])
def test_another_word_is_a_mistake_in_words(text: str) -> None:
    with pytest.raises(LogSettingInvalid, match="expected json or text"):
        read_form(text, is_terminal=False)
