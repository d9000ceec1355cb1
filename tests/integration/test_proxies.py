"""nginx and Caddy in front of the gateway, with the very configuration docs/gateway.md gives, through TLS."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pwd
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import uvicorn

from instantiator.session.tickets import Right, RightKind
from instantiator.web.app import create_app
from instantiator.web.portal import Portal
from tests.fakes_session import NOON
from tests.integration.gateway_fixtures import (
    GREETING,
    ROOT,
    SESSION,
    Running,
    free_port,
    run_gateway,
    start_gateway,
)
from tests.unit.web import conftest
from vnc_gateway.settings import Limits

DOCS = (ROOT / "docs/gateway.md").read_text()


def read_config(language: str) -> str:
    """The configuration the docs give."""
    [found] = re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)
    return str(found)


def changed(text: str, *changes: tuple[str, str]) -> str:
    """The text with what differs on a real host: names, ports and files, each of which must be there."""
    for old, new in changes:
        assert old in text, f"docs/gateway.md no longer has {old!r}"
        text = text.replace(old, new)
    return text


@dataclass(frozen=True, slots=True)
class Front:
    """A proxy that listens with TLS."""

    url: str
    trust: ssl.SSLContext

    def session(self) -> aiohttp.ClientSession:
        """A client that believes this proxy's certificate and no other."""
        connector = aiohttp.TCPConnector(ssl=self.trust)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def find_program(name: str) -> str:
    """Where a program is; Debian puts nginx where users do not look."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, f"{name} is not installed: .ci/host-setup tests"
    return found


@contextmanager
def run_unprivileged(
    command: list[str], folder: Path, certificate: Path, port: int, **environment: str
) -> Iterator[Front]:
    """A proxy as a user without rights, once it listens; its words are shown where it does not."""
    nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    for path in (folder, *folder.iterdir()) if nobody else ():
        shutil.chown(path, "nobody")
    said = folder / "said"
    with said.open("w") as log:
        process = subprocess.Popen(
            [find_program(command[0]), *command[1:]],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={**os.environ, **environment},
            user=nobody.pw_uid if nobody else None,
            group=nobody.pw_gid if nobody else None,
            extra_groups=[] if nobody else None,
        )
    try:
        trust = wait_for_tls(port, certificate, said)
        yield Front(f"https://localhost:{port}", trust)
    finally:
        process.terminate()
        process.wait(10)


def wait_for_tls(port: int, certificate: Path, said: Path) -> ssl.SSLContext:
    """What to trust, as soon as the proxy answers with it."""
    end = time.monotonic() + 20
    while True:
        try:
            trust = ssl.create_default_context(cafile=str(certificate))
            connection = ssl.get_server_certificate(("localhost", port), timeout=1)
            assert connection
            return trust
        except OSError as error:
            assert time.monotonic() < end, f"{error}\n{said.read_text()}"
            time.sleep(0.1)


@contextmanager
def run_nginx(port: int, gateway: int) -> Iterator[Front]:
    with open_folder() as folder:
        key, certificate = folder / "thaw.key", folder / "thaw.pem"
        signed = f"-x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout {key} -out {certificate}"
        command = ["openssl", "req", *signed.split(), "-addext", "subjectAltName=DNS:localhost"]
        subprocess.run(command, check=True, capture_output=True)
        site = changed(
            read_config("nginx"),
            ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            ("thaw.example.org", "localhost"),
            ("/etc/ssl/thaw.pem", str(certificate)),
            ("/etc/ssl/thaw.key", str(key)),
            ("http://127.0.0.1:8080", f"http://127.0.0.1:{gateway}"),
        )
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; {temporary}\n{site}}}\n"
        )
        command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
        with run_unprivileged(command, folder, certificate, port) as front:
            yield front


@contextmanager
def run_caddy(port: int, gateway: int) -> Iterator[Front]:
    with open_folder() as folder:
        site = changed(
            read_config("caddy"),
            ("thaw.example.org", f"https://localhost:{port}"),
            ("127.0.0.1:8080", f"127.0.0.1:{gateway}"),
        )
        options = ("admin off", "grace_period 1s", "auto_https disable_redirects", "skip_install_trust")
        store = f"storage file_system {folder}/store"
        (folder / "Caddyfile").write_text("\n".join(("{", *options, store, "}", site)))
        certificate = folder / "store/pki/authorities/local/root.crt"
        command = ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
        home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        with run_unprivileged(command, folder, certificate, port, **home) as front:
            yield front


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder another user can reach."""
    with tempfile.TemporaryDirectory(prefix="proxy-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


RunProxy = Callable[[int, int], AbstractContextManager[Front]]
real_portal = conftest.portal
PROXIES = pytest.mark.parametrize("run_proxy", [run_nginx, run_caddy], ids=["nginx", "caddy"])


def use(
    folder: Path, run_proxy: RunProxy, test: Callable[[Front, Running], Coroutine[None, None, None]]
) -> None:
    """Run a test's coroutine through a proxy in front of a gateway."""
    port = free_port()

    async def run() -> None:
        async with run_gateway(folder, "--origin", f"https://localhost:{port}") as gateway:
            with run_proxy(port, int(gateway.url.rpartition(":")[2])) as front:
                await asyncio.wait_for(test(front, gateway), 60)

    asyncio.run(run())


@PROXIES
def test_pages_come_over_tls_with_cookies_that_go_nowhere_else(tmp_path: Path, run_proxy: RunProxy) -> None:
    async def test(front: Front, gateway: Running) -> None:
        async with front.session() as browser, browser.get(f"{front.url}/recipes") as answer:
            assert (answer.status, await answer.text()) == (200, "portal: /recipes")
            assert answer.headers.getall("Set-Cookie") == [
                "thaw=ada; HttpOnly; Path=/; Secure",
                "theme=dark; Path=/; Secure",
            ]
            assert "max-age" in answer.headers["Strict-Transport-Security"]
            assert front.url.replace("https", "wss") in answer.headers["Content-Security-Policy"]
        [seen] = gateway.portal.requests
        assert (seen.headers["X-Forwarded-Proto"], seen.host) == ("https", front.url.removeprefix("https://"))

    use(tmp_path, run_proxy, test)


@PROXIES
def test_a_ticket_opens_a_display_through_tls_from_our_own_pages_alone(
    tmp_path: Path, run_proxy: RunProxy
) -> None:
    async def test(front: Front, gateway: Running) -> None:
        protocols = ("binary", f"thaw.ticket.{gateway.portal.issue()}")
        url = f"{front.url}/ws/{SESSION}"
        async with front.session() as browser:
            for foreign in ("https://evil.example", front.url.replace("https", "http")):
                with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                    await browser.ws_connect(url, protocols=protocols, origin=foreign)
            async with browser.ws_connect(url, protocols=protocols, origin=front.url) as there:
                assert await there.receive_bytes(timeout=10) == GREETING
                sent = os.urandom(300_000)
                await there.send_bytes(sent)
                got = b""
                while len(got) < len(sent):
                    got += await there.receive_bytes(timeout=10)
                assert got == sent

    use(tmp_path, run_proxy, test)


@PROXIES
def test_uploads_beyond_the_proxys_usual_limit_and_foreign_posts(tmp_path: Path, run_proxy: RunProxy) -> None:
    size = 8 << 20  # nginx refuses more than 1 MB where it is not told otherwise

    async def test(front: Front, gateway: Running) -> None:
        async with front.session() as browser:
            posting = browser.post(
                f"{front.url}/upload", data=io.BytesIO(bytes(size)), headers={"Origin": front.url}
            )
            async with posting as answer:
                assert (answer.status, await answer.json()) == (200, {"received": size})
            posting = browser.post(
                f"{front.url}/upload", data=b"x", headers={"Origin": "https://evil.example"}
            )
            async with posting as answer:
                assert answer.status == 403
        assert gateway.portal.received == size

    use(tmp_path, run_proxy, test)


@PROXIES
def test_events_are_not_held_back(tmp_path: Path, run_proxy: RunProxy) -> None:
    async def test(front: Front, gateway: Running) -> None:
        async with front.session() as browser, browser.get(f"{front.url}/events") as answer:
            started = time.monotonic()
            assert await answer.content.readany() == b"data: first\n\n"
            assert time.monotonic() - started < 0.4

    use(tmp_path, run_proxy, test)


def test_nginx_waits_longer_for_a_silent_display_than_the_gateway_does() -> None:
    waits = dict(re.findall(r"(proxy_(?:read|send)_timeout) (\d+)s;", read_config("nginx")))
    assert set(waits) == {"proxy_read_timeout", "proxy_send_timeout"}
    assert min(map(int, waits.values())) > Limits().idle_s


def test_caddy_is_given_no_limit_on_a_silent_display(tmp_path: Path) -> None:
    config = tmp_path / "Caddyfile"
    config.write_text(read_config("caddy"))
    command = [find_program("caddy"), "adapt", "--adapter", "caddyfile", "--config", str(config)]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "reverse_proxy" in made.stdout
    assert "timeout" not in json.dumps(json.loads(made.stdout))  # by itself Caddy sets none on a relay


@contextmanager
def serve_portal(portal: Portal, socket: Path) -> Iterator[None]:
    """The real portal on a unix socket."""
    config = uvicorn.Config(create_app(portal), uds=str(socket), log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@PROXIES
def test_logging_in_gives_a_cookie_for_tls_alone(
    tmp_path: Path, run_proxy: RunProxy, real_portal: Portal
) -> None:
    async def log_in(front: Front, token: str) -> tuple[int, str]:
        address = f"{front.url}/login?token={token}"
        async with front.session() as browser, browser.get(address, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Set-Cookie", "")

    port, soon = free_port(), NOON + timedelta(hours=1)
    right = Right(kind=RightKind.TOKEN, user="caroline", session="", view_only=False, expires=soon)
    socket = tmp_path / "portal.sock"
    with serve_portal(real_portal, socket):
        gateway, listens = start_gateway(tmp_path, socket, "--origin", f"https://localhost:{port}")
        try:
            with run_proxy(port, listens) as front:
                status, cookie = asyncio.run(log_in(front, real_portal.tickets.issue(right, now=NOON)))
        finally:
            gateway.terminate()
            gateway.wait(10)
            assert gateway.stdout is not None
            gateway.stdout.close()
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert status == 303
    assert {"httponly", "secure", "samesite=strict"} <= attributes
