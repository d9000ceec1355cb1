"""A GUI of kind `web` for real: a program behind its unix socket, through `thaw serve`, with a browser's cookies."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from provenance.record import record_from_bytes
from provenance.vault import Vault
from tests.end_to_end.conftest import Thaw
from tests.end_to_end.serving import (
    Service,
    Visitor,
    home_others_can_reach,
    install_scripts,
    recipe_with_guis,
    serving,
)

pytestmark = [pytest.mark.docker, pytest.mark.network]
RECIPE = "rosetta-eps/9.3.35"

# What a web lab is at its least: HTTP and WebSocket on the socket it is told, and a diary of the headers it saw.
LAB = r"""
import base64, hashlib, json, os, socketserver, struct
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
class Lab(socketserver.StreamRequestHandler):
    def handle(self):
        method, path, _ = self.rfile.readline().decode().split()
        headers = {}
        while (line := self.rfile.readline().strip()):
            name, _, value = line.decode().partition(":")
            headers[name.strip().lower()] = value.strip()
        with open("/work/saw.jsonl", "a") as diary:
            diary.write(json.dumps({"method": method, "path": path, "headers": headers}) + "\n")
        if headers.get("upgrade", "").lower() == "websocket":
            return self.echo(headers["sec-websocket-key"])
        body = self.rfile.read(int(headers.get("content-length", 0)))
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while (size := int(self.rfile.readline(), 16)):
                body += self.rfile.read(size)
                self.rfile.readline()
        page = b"<!doctype html><title>A lab</title><script src=page.js></script>"
        script = ("text/javascript; charset=utf-8", PAGE.encode())
        kinds = {"page.js": script, "echo": ("application/octet-stream", body)}
        kind, content = kinds.get(path.split("/")[-1], ("text/html", page))
        lines = ["HTTP/1.1 200 OK", "Content-Type: " + kind, "Content-Length: %d" % len(content), "Connection: close"]
        lines += ["Set-Cookie: lab=1; Path=/", "Set-Cookie: thaw-1=stolen; Path=/"]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + content)
    def echo(self, key):
        accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
        self.wfile.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: " + accept + "\r\n\r\n").encode())
        while True:
            first, second = self.rfile.read(2)
            size = second & 127
            if size > 125:
                size = int.from_bytes(self.rfile.read(2 if size == 126 else 8), "big")
            mask = self.rfile.read(4)
            data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(size)))
            head = bytes([first, size]) if size < 126 else bytes([first, 126]) + struct.pack(">H", size)
            self.wfile.write(head + data)
            if first & 15 == 8:
                return
PAGE = '''
const seen = {}, own = location.pathname;
const reach = async (path) => { try { return (await fetch(path)).status; } catch { return "refused"; } };
(async () => {
  seen.portal = await reach("/api/sessions");
  seen.other = await reach("/lab/" + new URLSearchParams(location.search).get("other") + "/");
  seen.own = await reach(own + "echo");
  seen.cookie = document.cookie;
  seen.opener = window.opener === null;
  const socket = new WebSocket("ws://" + location.host + own + "ws");
  socket.onopen = () => socket.send("grüße");
  socket.onmessage = (event) => { seen.echo = event.data; document.title = JSON.stringify(seen); };
})();
'''
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
place = os.environ["THAW_WEB_SOCKET"]
if os.path.lexists(place):
    os.unlink(place)
if os.path.exists("/work/elsewhere"):
    os.symlink(open("/work/elsewhere").read().strip(), place)
    import time
    time.sleep(600)
Server(place, Lab).serve_forever()
"""


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thaw]:
    """A Thaw with a recipe whose GUI is a web lab."""
    lab = {"title": "A lab", "kind": "web", "command": ["python3", "-u", "-c", LAB]}
    guis = f"guis: {json.dumps({'lab': lab}, ensure_ascii=True)}\n"
    recipes = recipe_with_guis(tmp_path_factory.mktemp("labs"), RECIPE, guis)
    with home_others_can_reach() as home:
        made = Thaw(home=home, recipes=recipes)
        made.ok("recipe", "build", "rosetta-eps")
        yield made


@pytest.fixture(scope="module")
def service(labs: Thaw) -> Iterator[Service]:
    with serving(labs) as running:
        yield running


@pytest.fixture(scope="module")
def ada(service: Service) -> Visitor:
    return service.log_in()


@pytest.fixture(scope="module")
def lab(ada: Visitor) -> str:
    return ada.open(RECIPE, "lab", workspace="first")


@pytest.fixture(scope="module")
def page_scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_scripts(tmp_path_factory.mktemp("browser"))


def saw(service: Service, visitor: Visitor, session: str) -> list[Any]:
    """The headers the lab wrote down of each request."""
    diary = visitor.get(f"/api/sessions/{session}/files/content", params={"path": "saw.jsonl"})
    return [json.loads(line) for line in diary.text.splitlines()]


def test_a_lab_is_reached_below_its_path_and_never_sees_the_portals_cookie(
    service: Service, ada: Visitor, lab: str
) -> None:
    page = ada.get(f"/lab/{lab}/")
    assert (page.status_code, "<title>A lab</title>" in page.text) == (200, True)
    posted = ada.send("POST", f"/lab/{lab}/echo", content=bytes(range(256)) * 4096)
    assert posted.content == bytes(range(256)) * 4096
    first, *asked = saw(service, ada, lab)
    assert (first["path"], [one["path"] for one in asked]) == ("/", [f"/lab/{lab}/", f"/lab/{lab}/echo"])
    assert ada.cookie[1] not in json.dumps(asked) and "thaw" not in asked[0]["headers"].get("cookie", "")


def test_a_labs_cookie_stays_with_the_lab(service: Service, ada: Visitor, lab: str) -> None:
    answer = ada.get(f"/lab/{lab}/")
    assert answer.headers.get_list("Set-Cookie") == [f"lab=1; Path=/lab/{lab}/"]
    ada.get(f"/lab/{lab}/")
    assert saw(service, ada, lab)[-1]["headers"]["cookie"] == "lab=1"
    with_it = {"Cookie": "lab=1"}
    nobody = service.stranger()
    other = ada.open(RECIPE, "lab", workspace="second")
    assert nobody.get(f"{ada.base}/lab/{other}/", headers=with_it).status_code == 403
    assert nobody.get(f"{ada.base}/lab/{lab}/", headers=with_it).status_code == 403
    assert nobody.get(f"{ada.base}/api/sessions", headers=with_it).status_code == 401
    grace = service.log_in("grace")
    assert grace.get(f"/lab/{lab}/").status_code == 403
    assert grace.get("/lab/20200101-000000-xxxx/").text == grace.get(f"/lab/{lab}/").text


def test_a_labs_websocket_carries_text_and_bytes(service: Service, ada: Visitor, lab: str) -> None:
    async def talk(origin: str) -> list[Any]:
        headers = {"Origin": origin, "Cookie": "=".join(ada.cookie)}
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{ada.base}/lab/{lab}/ws", headers=headers) as there,
        ):
            await there.send_str("Grüße")
            await there.send_bytes(b"\0\xff" * 20000)
            return [(await there.receive(10)).data for _ in range(2)]

    assert asyncio.run(talk(ada.base)) == ["Grüße", b"\0\xff" * 20000]
    assert "cookie" not in saw(service, ada, lab)[-1]["headers"]
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        asyncio.run(talk("http://elsewhere.example"))


def test_a_lab_in_a_browser_reaches_its_own_path_alone(
    service: Service, ada: Visitor, lab: str, page_scripts: Path
) -> None:
    other = next(one["id"] for one in ada.get("/api/sessions").json()["sessions"] if one["id"] != lab)
    command = ["node", "lab.mjs", service.login_url(), lab, other]
    done = subprocess.run(command, cwd=page_scripts, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen == {
        "portal": "refused",
        "other": "refused",
        "own": 200,
        "cookie": "lab=1",
        "opener": True,
        "echo": "grüße",
    }


def test_a_lab_that_puts_a_link_for_its_socket_reaches_no_other(
    service: Service, ada: Visitor, lab: str
) -> None:
    """A lab's program may write beside its socket: a link there to another lab's socket leads nowhere."""
    second = next(one["id"] for one in ada.get("/api/sessions").json()["sessions"] if one["id"] != lab)
    theirs = next(service.thaw.home.glob(f"sessions/{lab}/**/web.sock"))
    ours = next(service.thaw.home.glob(f"sessions/{second}/**/web.sock"))
    ours.unlink()
    ours.symlink_to(theirs)
    before = len(saw(service, ada, lab))
    assert ada.get(f"/lab/{second}/").status_code == 403
    assert len(saw(service, ada, lab)) == before


def test_a_lab_ends_with_a_record(service: Service, ada: Visitor, lab: str) -> None:
    ended = ada.send("POST", f"/api/sessions/{lab}/end").json()
    assert ended["state"] == "ended", ended
    record = record_from_bytes(Vault(service.thaw.home / "vault").read_bytes(ended["record"]))
    assert (record.kind, record.thread) == ("session", "lab")
    assert "saw.jsonl" in [output.path for output in record.outputs]
    assert ada.get(f"/lab/{lab}/").status_code == 403
