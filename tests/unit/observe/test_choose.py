"""Which observer is chosen, and what is said of it; events as the kernel writes them; processes by their groups."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from instantiator.observe import ObservedContainer, choose_observer
from instantiator.observe.fanotify import Event, Happened, parse_events
from instantiator.observe.model import ObservationFailed
from instantiator.observe.polling import PollingObserver
from instantiator.observe.processes import ContainerProcesses
from instantiator.observe.watching import FanotifyObserver

CONTAINER = 64 * "c"


def test_fanotify_is_taken_where_it_works() -> None:
    choice = choose_observer(why_not=lambda: "")
    assert isinstance(choice.observer, FanotifyObserver)
    assert not choice.is_degraded


def test_else_polling_and_the_reason_is_told() -> None:
    choice = choose_observer(why_not=lambda: "fanotify_init: Operation not permitted")
    assert isinstance(choice.observer, PollingObserver)
    assert choice.is_degraded
    assert "Operation not permitted" in choice.why


def test_an_observation_by_polling_says_that_it_is_degraded() -> None:
    observer = choose_observer(why_not=lambda: "no right").observer
    observer.start(ObservedContainer(container_id=CONTAINER))
    seen = observer.stop()
    assert (seen.mechanism, seen.files_read) == ("polling", ())
    assert any(limit.startswith("degraded") for limit in seen.limits)


def test_events_are_read_as_the_kernel_writes_them() -> None:
    written = struct.pack("=IBBHQii", 24, 3, 0, 24, 0x1020, 9, 4711)
    overflow = struct.pack("=IBBHQii", 24, 3, 0, 24, 0x4000, -1, 0)
    assert list(parse_events(written + overflow)) == [
        Event(Happened.OPEN | Happened.OPEN_EXEC, 9, 4711),
        Event(Happened.OVERFLOW, -1, 0),
    ]


def test_another_version_of_events_is_refused() -> None:
    with pytest.raises(ObservationFailed, match="version 4: expected 3"):
        list(parse_events(struct.pack("=IBBHQii", 24, 4, 0, 24, 0x20, 9, 1)))


def test_the_engines_own_processes_are_no_programs_whatever_they_are_called(tmp_path: Path) -> None:
    group = tmp_path / "cgroup/pids/docker" / CONTAINER
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text("10\n11\n12\n13\n14\n")
    for pid, name in ((10, "docker-init"), (11, "runc:[2:INIT]"), (12, "osve"), (14, "6")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "root").symlink_to("/" if name == "6" else tmp_path)
        (tmp_path / str(pid) / "comm").write_text(f"{name}\n")
    processes = ContainerProcesses(CONTAINER, cgroups=tmp_path / "cgroup", proc=tmp_path)
    assert (processes.pids(), processes.programs()) == ((10, 11, 12, 13, 14), (12,))
