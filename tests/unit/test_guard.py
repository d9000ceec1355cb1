"""The guard of the unit tests does guard them."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.filterwarnings("error")


def test_a_unit_test_cannot_connect_to_an_address() -> None:
    with socket.socket() as outgoing, pytest.raises(AssertionError, match="connects to"):
        outgoing.connect(("127.0.0.1", 9))


def test_a_unit_test_cannot_connect_by_way_of_asyncio() -> None:
    async def connect() -> None:
        await asyncio.open_connection("127.0.0.1", 9)

    with pytest.raises(AssertionError, match=r"connects to|looks up"):
        asyncio.run(connect())


def test_a_unit_test_cannot_fetch_a_url() -> None:
    with pytest.raises(AssertionError, match="looks up"):
        urllib.request.urlopen("http://archive.example.org/m31.fits")


def test_a_unit_test_can_use_a_unix_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "rfb.sock"))
        server.listen()
        client.connect(str(tmp_path / "rfb.sock"))


def test_a_unit_test_does_not_see_the_real_state_folder(default_state_folder: Path) -> None:
    with pytest.raises(AssertionError, match="real state folder"):
        (default_state_folder / "settings.toml").read_text()
    with pytest.raises(AssertionError, match="real state folder"):
        default_state_folder.mkdir(parents=True)
    with pytest.raises(AssertionError, match="real state folder"):
        sqlite3.connect(default_state_folder / "store.sqlite")


def test_every_test_has_a_state_folder_of_its_own(tmp_path: Path) -> None:
    assert Path(os.environ["THAW_HOME"]).is_relative_to(tmp_path)


@pytest.fixture
def default_state_folder() -> Path:
    import platformdirs

    return platformdirs.user_data_path("thaw")
