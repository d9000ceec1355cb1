"""What events of files come to."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from instantiator.observe.fanotify import Happened
from instantiator.observe.ledger import Ledger
from instantiator.observe.model import ObservedPath
from instantiator.observe.watching import Sightings

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RAW, TABLE, OSVE = "/data/in/raw.fits", "/work/table.fits", "/opt/osve/bin/osve"


class Clock:
    """A clock that goes on by a second each time it is looked at."""

    def __init__(self) -> None:
        self.seconds = -1

    def __call__(self) -> datetime:
        self.seconds += 1
        return NOON + timedelta(seconds=self.seconds)


def observe(*events: tuple[int, str], most: int = 10) -> Ledger:
    """The ledger after these events, in this order."""
    ledger = Ledger(Clock(), most)
    sightings = Sightings(ledger)
    for happened, path in events:
        sightings.see(happened, path)
    sightings.settle()
    return ledger


def names(found: tuple[ObservedPath, ...]) -> list[str]:
    return [seen.path for seen in found]


def test_a_file_opened_for_reading_is_read_from_when_it_was_opened() -> None:
    ledger = observe((Happened.OPEN, RAW), (Happened.ACCESS, RAW), (Happened.CLOSE_NOWRITE, RAW))
    assert ledger.read.paths() == (ObservedPath(path=RAW, times=1, first=NOON),)
    assert ledger.written.paths() == ()


def test_a_file_opened_for_writing_is_written_and_not_read() -> None:
    ledger = observe((Happened.OPEN, TABLE), (Happened.MODIFY, TABLE), (Happened.CLOSE_WRITE, TABLE))
    assert (names(ledger.read.paths()), names(ledger.written.paths())) == ([], [TABLE])


def test_a_file_updated_in_place_is_both() -> None:
    ledger = observe((Happened.OPEN, TABLE), (Happened.ACCESS, TABLE), (Happened.CLOSE_WRITE, TABLE))
    assert (names(ledger.read.paths()), names(ledger.written.paths())) == ([TABLE], [TABLE])


def test_events_the_kernel_put_together_say_the_same() -> None:
    ledger = observe((Happened.OPEN | Happened.ACCESS | Happened.CLOSE_NOWRITE, RAW))
    assert ledger.read.paths() == (ObservedPath(path=RAW, times=1, first=NOON),)


def test_a_file_still_open_at_the_end_counts_as_read() -> None:
    assert names(observe((Happened.OPEN, RAW)).read.paths()) == [RAW]


def test_a_file_not_closed_that_was_written_to_does_not_count_as_read() -> None:
    ledger = observe((Happened.OPEN, TABLE), (Happened.MODIFY, TABLE))
    assert (names(ledger.read.paths()), names(ledger.written.paths())) == ([], [TABLE])


def test_a_program_is_counted_and_its_loader_is_none() -> None:
    loader = "/lib64/ld-linux-x86-64.so.2"
    execution = Happened.OPEN | Happened.OPEN_EXEC
    ledger = observe((execution, OSVE), (execution, loader), (execution, OSVE))
    assert ledger.programs.paths() == (ObservedPath(path=OSVE, times=2, first=NOON),)


def test_beyond_the_bound_paths_are_counted_and_that_is_said() -> None:
    events = [(Happened.OPEN | Happened.CLOSE_WRITE, f"/work/{number:02}") for number in range(15)]
    seen = observe(*events).close("fanotify")
    assert len(seen.files_written) == 10
    assert seen.limits == ("5 more sightings of files written are not listed: only the first 10 paths are",)


def test_an_observation_is_canonical_json_whatever_the_names() -> None:
    seen = observe((Happened.CLOSE_NOWRITE, "/data/two\nlines"), (Happened.CLOSE_NOWRITE, "/data/caf\udce9"))
    written = seen.close("fanotify").to_json()
    assert written == {
        "mechanism": "fanotify",
        "files_read": [
            {"path": "/data/caf\\xe9", "times": 1, "first": "2026-11-20T12:00:01.000000Z"},
            {"path": "/data/two\nlines", "times": 1, "first": "2026-11-20T12:00:00.000000Z"},
        ],
        "files_written": [],
        "programs": [],
        "lost_events": 0,
        "limits": [],
    }
    json.dumps(written, ensure_ascii=False).encode()
