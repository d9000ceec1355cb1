from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instantiator.queue.model import Event
from instantiator.web.following import log_text, steps_of

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"\x1b[1A\x1b[1M> Line:  475", "> Line:  475"),
        (b"\x1b[31;1mred\x1b[0m", "red"),
        (b"a [1] b", "a [1] b"),
        (b"\xff", "\ufffd"),
    ],
)
def test_a_log_is_shown_without_what_only_a_terminal_understands(printed: bytes, shown: str) -> None:
    assert log_text(printed) == shown


def test_the_steps_are_those_of_the_last_attempt_and_a_running_one_has_its_seconds() -> None:
    def event(number: int, **data: object) -> Event:
        return Event(number=number, when=NOON + timedelta(seconds=number), name="step", data=data)

    told = (
        event(1, step="image", status="begun"),
        event(2, step="image", status="failed", detail="no engine", seconds=1.0),
        event(3, step="image", status="begun"),
        event(4, step="image", status="done", detail="b404", seconds=1.0),
        event(5, step="run", status="begun"),
    )
    assert steps_of(told, NOON + timedelta(seconds=8)) == [
        {"name": "image", "state": "done", "detail": "b404", "seconds": 1.0},
        {"name": "run", "state": "running", "detail": "", "seconds": 3.0},
    ]
