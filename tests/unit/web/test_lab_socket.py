"""A web lab's socket, held by the portal and by the gateway: the socket itself, and nothing a link leads to."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from instantiator.web.lab_socket import admit_gateway
from instantiator.web.portal import NotFound
from vnc_gateway.dial import hold_lab
from vnc_gateway.errors import LabDown


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    """A lab's socket, with somebody who listens."""
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        yield path


def put_nothing(place: Path, lab: Path) -> None:
    """What the program has not made yet."""


def put_link(place: Path, lab: Path) -> None:
    place.symlink_to(lab)


def put_file(place: Path, lab: Path) -> None:
    place.write_text("no socket")


def put_folder(place: Path, lab: Path) -> None:
    place.mkdir()


def put_pipe(place: Path, lab: Path) -> None:
    os.mkfifo(place)


WRONG = pytest.mark.parametrize("put", [put_nothing, put_link, put_file, put_folder, put_pipe])
Put = Callable[[Path, Path], None]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_gateways_group_may_connect_and_nobody_else_more(lab: Path) -> None:
    admit_gateway(lab, os.getgid())
    found = lab.lstat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid, found.st_uid) == (0o660, os.getgid(), os.getuid())


def test_without_a_group_of_the_gateways_nothing_is_changed(lab: Path) -> None:
    admit_gateway(lab, None)
    assert stat.S_IMODE(lab.lstat().st_mode) == 0o600


@WRONG
def test_what_is_no_socket_is_neither_admitted_nor_changed(tmp_path: Path, lab: Path, put: Put) -> None:
    put(tmp_path / "place", lab)
    before = [(path, path.stat().st_mode) for path in sorted(tmp_path.iterdir())]
    with pytest.raises(NotFound, match="has no socket"):
        admit_gateway(tmp_path / "place", os.getgid())
    assert [(path, path.stat().st_mode) for path in sorted(tmp_path.iterdir())] == before


@WRONG
def test_the_gateway_holds_no_link_and_no_file(tmp_path: Path, lab: Path, put: Put) -> None:
    put(tmp_path / "place", lab)
    with pytest.raises(LabDown), hold_lab(tmp_path / "place"):
        pass


def test_what_is_held_leads_to_the_same_socket_whatever_is_put_in_its_place(
    tmp_path: Path, lab: Path
) -> None:
    other = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        listener.bind(str(other))
        listener.listen()
        with hold_lab(lab) as held:
            lab.rename(tmp_path / "moved.sock")
            lab.symlink_to(other)
            caller.connect(str(held))
            listener.settimeout(0.05)
            with pytest.raises(TimeoutError):
                listener.accept()
        assert not held.exists()


def test_no_descriptor_is_left_open(lab: Path) -> None:
    before = open_descriptors()
    admit_gateway(lab, None)
    with suppress(NotFound):
        admit_gateway(lab.parent, None)
    with suppress(LabDown), hold_lab(lab.parent):
        pass
    assert open_descriptors() == before
