"""A real display behind the gateway, read by a VNC client that is not noVNC."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import asyncvnc
import pytest

from tests.integration.gateway_fixtures import Running, run_gateway
from vnc_gateway.errors import NovncMissing
from vnc_gateway.novnc import PACKAGE, ensure_novnc, locked_version


@contextmanager
def run_xvnc(path: Path) -> Iterator[str]:
    """A TigerVNC display on a unix socket alone, with a root window of one colour."""
    program = shutil.which("Xvnc")
    assert program, "Xvnc is not installed: apt-get install tigervnc-standalone-server"
    number = 500 + os.getpid() % 400
    options = ["-geometry", "320x200", "-depth", "24", "-SecurityTypes", "None", "-rfbunixpath", str(path)]
    options += ["-rfbport", "-1", "-AlwaysShared", "-UseBlacklist=0", "-nolisten", "tcp", "-br"]
    command = [program, f":{number}", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f":{number}"
    finally:
        process.terminate()
        process.wait(10)


@asynccontextmanager
async def bridge_to_tcp(gateway: Running) -> AsyncIterator[int]:
    """A TCP port on which a plain VNC client finds what the gateway serves over a WebSocket."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with gateway.join(gateway.portal.issue()) as there:

            async def send() -> None:
                while data := await reader.read(65536):
                    await there.send_bytes(data)

            sending = asyncio.ensure_future(send())
            async for message in there:
                if message.type is aiohttp.WSMsgType.BINARY:
                    writer.write(message.data)
                if sending.done():
                    break
            sending.cancel()
        writer.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def test_a_vnc_client_that_is_not_novnc_reads_the_screen(tmp_path: Path) -> None:
    async def read_screen() -> None:
        async with run_gateway(tmp_path, display=None) as gateway, bridge_to_tcp(gateway) as port:
            async with asyncvnc.connect("127.0.0.1", port) as client:
                pixels = await asyncio.wait_for(client.screenshot(), 20)
                client.mouse.move(10, 10)
                await client.drain()
            assert pixels.shape == (200, 320, 4)
            assert pixels[100, 100].tolist() == [0, 0, 0, 255]

    with run_xvnc(tmp_path / "rfb.sock"):
        asyncio.run(read_screen())


def test_fifty_viewers_at_once_all_get_through_xvncs_short_backlog(tmp_path: Path) -> None:
    async def join(gateway: Running, number: int) -> bytes:
        async with gateway.join(gateway.portal.issue(f"ticket-number-{number:06}")) as there:
            return (await there.receive(15)).data  # type: ignore[no-any-return]

    async def crowd() -> None:
        async with run_gateway(tmp_path, "--max-per-user", "50", display=None) as gateway:
            greetings = await asyncio.gather(*(join(gateway, number) for number in range(50)))
            assert greetings == [b"RFB 003.008\n"] * 50

    with run_xvnc(tmp_path / "rfb.sock"):
        asyncio.run(crowd())


@pytest.mark.network
def test_novnc_is_installed_at_the_locked_release_and_mended_if_changed(tmp_path: Path) -> None:
    package = ensure_novnc(tmp_path)
    assert (package, locked_version()) == (tmp_path / PACKAGE, "1.7.0")
    module = package / "core/rfb.js"
    right = module.read_bytes()
    module.write_bytes(right + b"\n// changed\n")
    ensure_novnc(tmp_path)
    assert module.read_bytes() == right


def test_without_npm_it_is_said_where_novnc_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NovncMissing, match="npm is not installed"):
        ensure_novnc(tmp_path / "novnc")
