"""The session page in a real Chromium on a real session: keys, clipboard, screen, files, and the gateway's refusals."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import random
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import numpy
import pytest
from astropy.io import fits

from instantiator.users import Role, Thing, Users
from instantiator.users.sharing import share_with
from instantiator.web.previews import encode_png
from tests.end_to_end.conftest import Thaw
from tests.end_to_end.serving import (
    Service,
    Visitor,
    home_others_can_reach,
    install_scripts,
    recipe_with_guis,
    serving,
    wait_until,
)

pytestmark = [pytest.mark.docker, pytest.mark.network]
RECIPE = "eso-midas/22.02pl1.0"
TERMINAL = {
    "title": "A terminal that keeps what is typed",
    "command": [
        *("xterm", "-u8", "-fullscreen", "-T", "terminal", "-e", "sh", "-c"),
        "echo fromtheprogram; stty raw -echo; exec cat > /work/typed",
    ],
    "window_class": "XTerm",
    "resources": {"disk": "8 GiB"},
}
LATE = {
    "title": "A program whose window does not come",
    "command": ["sh", "-c", "echo waiting for a window; xterm -e sleep 600 & exec sleep 600"],
    "window_class": "NotThis",
}
LARGE = 2 * 1024**3
FLAT_MB = 64
"""How much the service or the gateway may grow while 2 GB pass: pieces of 4 MiB, and what Python keeps of them."""
NAMES = ("new\nline.txt", "rtl\u202egnp.exe", "mark\u200f.txt", "quo\"te's.txt", "satellite-🛰.txt")


@pytest.fixture(scope="module")
def terminals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thaw]:
    """A Thaw whose ESO-MIDAS has a plain terminal too."""
    guis = f"guis: {json.dumps({'terminal': TERMINAL, 'late': LATE})}\n"
    recipes = recipe_with_guis(tmp_path_factory.mktemp("terminals"), RECIPE, guis)
    with home_others_can_reach() as home:
        made = Thaw(home=home, recipes=recipes)
        made.ok("recipe", "build", "eso-midas")
        made.ok("display", "build")
        yield made


@pytest.fixture(scope="module")
def service(terminals: Thaw) -> Iterator[Service]:
    with serving(terminals) as running:
        yield running


@pytest.fixture(scope="module")
def ada(service: Service) -> Visitor:
    return service.log_in()


@pytest.fixture(scope="module")
def session(ada: Visitor) -> str:
    return ada.open(RECIPE, "terminal", workspace="page")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_scripts(tmp_path_factory.mktemp("browser"))


def drive(scripts: Path, *arguments: str) -> Any:
    done = subprocess.run(
        ["node", "session.mjs", *arguments],
        cwd=scripts,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def workspace(service: Service, ada: Visitor) -> Path:
    """The program's own files, as the program sees them."""
    (found,) = service.thaw.home.glob("workspaces/*/*/page")
    return found


# The files pane.


def test_names_of_any_signs_are_listed_escaped_and_downloaded(
    service: Service, ada: Visitor, session: str
) -> None:
    folder = workspace(service, ada)
    for name in NAMES:
        (folder / name).write_text(name)
    entries = ada.get(f"/api/sessions/{session}/files").json()["entries"]
    shown = {one["name"]: one["shown"] for one in entries}
    assert set(NAMES) <= set(shown)
    assert not any(sign in text for text in shown.values() for sign in "\n\u202e\u200f")
    for name in NAMES:
        got = ada.get(f"/api/sessions/{session}/files/content", params={"path": name})
        assert (got.text, "\n" in got.headers["Content-Disposition"]) == (name, False)
        assert got.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "path", ["../session.json", "/etc/passwd", "a/../../x", "leak", "way/passwd", "..", ".", "a\0b"]
)
def test_no_path_leads_out_of_the_workspace(service: Service, ada: Visitor, session: str, path: str) -> None:
    folder = workspace(service, ada)
    for name, target in (("leak", "/etc/passwd"), ("way", "/etc")):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(target)
    base = f"/api/sessions/{session}/files"
    for answer in (
        ada.get(f"{base}/content", params={"path": path}),
        ada.get(f"{base}/preview", params={"path": path}),
        ada.send("PUT", f"{base}/upload", params={"path": f"{path}/x", "size": 1, "offset": 0}, content=b"x"),
    ):
        assert answer.status_code in (400, 404, 422), answer.text
        assert answer.json()["error"]["code"] in ("path-refused", "file-missing"), answer.text
        assert "root:" not in answer.text
    assert not Path("/etc/x").exists()


@pytest.mark.parametrize("path", ["../../../../etc/passwd", "%2e%2e/%2e%2e/session.json", "..%2f..%2fx"])
def test_no_address_leads_out_of_the_portal(ada: Visitor, session: str, path: str) -> None:
    host, port = ada.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        request = f"GET /api/sessions/{session}/files/{path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        plain.sendall(f"{request}Cookie: {'='.join(ada.cookie)}\r\nConnection: close\r\n\r\n".encode())
        answer = plain.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400"), answer[:200]
    assert b"request-refused" in answer


def test_the_page_shows_names_previews_and_downloads(
    service: Service, ada: Visitor, session: str, scripts: Path, tmp_path: Path
) -> None:
    folder = workspace(service, ada)
    fits.PrimaryHDU(numpy.arange(60 * 80, dtype=numpy.float32).reshape(60, 80)).writeto(folder / "field.fits")
    (folder / "plot.png").write_bytes(encode_png(numpy.full((40, 50), 128, dtype=numpy.uint8)))
    (folder / "notes.txt").write_text("seeing 0.8 arcsec\n")
    (folder / NAMES[0]).write_text("the one with a line break")
    seen = drive(scripts, "files", service.login_url(), session, str(tmp_path))
    assert (seen["field.fits"], seen["plot.png"], seen["notes.txt"]) == (80, 50, "seeing 0.8 arcsec\n")
    assert not any(sign in name for name in seen["names"] for sign in "\n\u202e\u200f")
    assert (tmp_path / "newline").read_text() == "the one with a line break"
    assert seen["problems"] == []


def test_two_gigabytes_arrive_whole_though_cut_off_and_reloaded(
    service: Service, ada: Visitor, session: str, scripts: Path, tmp_path: Path
) -> None:
    """The page sends them; the network fails once, then the tab is reloaded: each time it goes on where it stopped."""
    sent = tmp_path / "large.bin"
    make_large(sent)
    processes = (service.process.pid, gateway_of(service))
    with Watched(processes) as watched:
        seen = drive(scripts, "upload", service.login_url(), session, str(tmp_path))
    arrived = workspace(service, ada) / "large.bin"
    try:
        assert (seen["cut"], seen["reload"], seen["problems"]) == (True, True, [])
        assert seen["wentOn"] >= seen["before"] > 1_200_000_000
        assert digest(arrived) == digest(sent)
        assert max(watched.grown_mb) < FLAT_MB, watched.grown_mb
    finally:
        arrived.unlink(missing_ok=True)


def make_large(path: Path) -> None:
    """2 GiB, mostly holes, with noise where pieces begin and end."""
    noise = random.Random(1981)
    with path.open("wb") as file:
        file.truncate(LARGE)
        for place in range(0, LARGE, 32 * 1024**2):
            file.seek(max(0, place - 50_000))
            file.write(noise.randbytes(100_000))


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def gateway_of(service: Service) -> int:
    """The gateway's process: a child of the service."""
    pid = service.process.pid
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    (found,) = [child for child in children if b"vnc_gateway" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return found


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Watched:
    """How much processes grow while the body runs."""

    def __init__(self, processes: tuple[int, ...]) -> None:
        self._processes = processes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._first = [resident_mb(pid) for pid in processes]
        self.grown_mb = [0.0 for _ in processes]

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.1):
            now = [resident_mb(pid) for pid in self._processes]
            grown = [after - before for before, after in zip(self._first, now, strict=True)]
            self.grown_mb = [max(pair) for pair in zip(self.grown_mb, grown, strict=True)]


# The gateway's refusals.


async def join(visitor: Visitor, session: str, ticket: str, *, origin: str = "", say: bytes = b"") -> Any:
    """Join a screen with a ticket, say something: what the close says, or the first bytes of the screen."""
    headers = {"Origin": origin or visitor.base}
    protocols = ("binary", f"thaw.ticket.{ticket}")
    address = f"{visitor.base}/ws/{session}"
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(address, headers=headers, protocols=protocols) as there,
    ):
        first = await there.receive(10)
        if first.type is aiohttp.WSMsgType.BINARY and say:
            await there.send_bytes(say)
            first = await there.receive(10)
        return first.data if first.type is aiohttp.WSMsgType.BINARY else (there.close_code, first.extra)


def test_only_an_own_unused_ticket_opens_the_screen(service: Service, ada: Visitor, session: str) -> None:
    used = ada.ticket(session)
    assert asyncio.run(join(ada, session, used)) == b"RFB 003.008\n"
    grace = service.log_in("grace")
    refused = grace.send("POST", f"/api/sessions/{session}/ticket", json={"view_only": False})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not-found")
    theirs = grace.open(RECIPE, "terminal", workspace="hers")
    for wrong in ("x" * 43, used, grace.ticket(theirs)):
        code, why = asyncio.run(join(ada, session, wrong))
        assert (code, why) == (
            4403,
            "this ticket does not open this session: reload the page to get a new one",
        )
    grace.send("POST", f"/api/sessions/{theirs}/end")


def test_another_sites_page_is_refused_and_uses_no_ticket_up(ada: Visitor, session: str) -> None:
    ticket = ada.ticket(session)
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        asyncio.run(join(ada, session, ticket, origin="https://elsewhere.example"))
    assert asyncio.run(join(ada, session, ticket)) == b"RFB 003.008\n"


def test_an_oversized_message_is_refused_with_the_limit(ada: Visitor, session: str) -> None:
    code, why = asyncio.run(join(ada, session, ada.ticket(session), say=bytes(2 << 20)))
    assert code == 1009, why


def test_a_viewer_that_does_not_read_costs_no_memory_and_stops_nobody(
    service: Service, ada: Visitor, session: str
) -> None:
    gateway = gateway_of(service)
    before = resident_mb(gateway)
    with slow_viewer(ada, session) as slow:
        whole = struct.pack(">BBHHHH", 3, 0, 0, 0, 1000, 700)
        slow.settimeout(0.2)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            try:
                slow.sendall(masked(whole * 50))
            except TimeoutError:
                break
        assert asyncio.run(join(ada, session, ada.ticket(session))) == b"RFB 003.008\n"
        assert resident_mb(gateway) - before < 64  # some hundred MB came in meanwhile, and were for nobody
    wait_until(lambda: ada.state(session)["state"] == "ready")


def slow_viewer(visitor: Visitor, session: str) -> socket.socket:
    """A viewer that has shaken hands, asks for raw pictures, and reads no more."""
    host, port = visitor.base.removeprefix("http://").split(":")
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    plain.settimeout(10)
    plain.connect((host, int(port)))
    key = base64.b64encode(os.urandom(16)).decode()
    plain.sendall(
        f"GET /ws/{session} HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {visitor.base}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Protocol: binary, thaw.ticket.{visitor.ticket(session)}\r\n\r\n".encode()
    )
    assert plain.recv(12) == b"HTTP/1.1 101"
    for said in (b"RFB 003.008\n", b"\x01", b"\x01", struct.pack(">BxHi", 2, 1, 0)):
        time.sleep(0.2)
        plain.recv(8192)
        plain.sendall(masked(said))
    return plain


def masked(data: bytes) -> bytes:
    """A binary frame as a browser sends it."""
    size = bytes([128 + len(data)]) if len(data) < 126 else bytes([254]) + struct.pack(">H", len(data))
    return b"\x82" + size + bytes(4) + data


def test_the_page_says_why_and_comes_back(
    service: Service, session: str, scripts: Path, tmp_path: Path
) -> None:
    seen = drive(scripts, "refused", service.login_url(), session, str(tmp_path))
    assert seen["words"].startswith("this ticket does not open this session"), seen
    assert "connecting again by itself" in seen["words"]
    assert (seen["back"], seen["problems"]) == (True, [])


def test_the_page_says_in_words_what_trying_again_would_not_mend(
    service: Service, session: str, scripts: Path, tmp_path: Path
) -> None:
    seen = drive(scripts, "closed", service.login_url(), session, str(tmp_path))
    for code in ("1003", "1009", "4400"):
        title, words, button, *came_back = seen[code]
        assert (title, button) == ("Connection lost", "Connect now")
        assert "a defect of Thaw: please report it" in words
        assert f"code {code}: " in words
        assert came_back == [True, True]
    title, words, button, *came_back = seen["4408"]
    assert (title, button, came_back) == ("Are you still there?", "Go on", [True, True])
    assert words == "nothing moved here for a long time, so the screen was let go. Your program goes on."
    assert seen["problems"] == []


def test_a_window_that_has_not_come_is_told_beside_the_screen(
    service: Service, ada: Visitor, scripts: Path, tmp_path: Path
) -> None:
    session = ada.open(RECIPE, "late", workspace="late")
    state = ada.state(session)
    assert (state["state"], "no window with" in state["message"]) == ("ready", True)
    seen = drive(scripts, "late", service.login_url(), session, str(tmp_path))
    assert seen["told"] == state["message"]
    assert "waiting for a window" in seen["log"]
    assert (seen["dismissed"], seen["problems"]) == (True, [])
    ada.send("POST", f"/api/sessions/{session}/end")


def test_a_launch_shows_the_log_while_it_goes_on(
    service: Service, ada: Visitor, scripts: Path, tmp_path: Path
) -> None:
    """The late window's launch is watched from its first second: the program's lines are there before it is ready."""
    seen = drive(scripts, "launch", service.login_url(), "", f"{RECIPE}?gui=late")
    assert any(line.startswith("display │ ") for line in seen["lines"])
    assert any("program │ waiting for a window" in line for line in seen["lines"])
    assert seen["steps"] == ["image", "display", "application", "first frame"]
    assert (seen["state"], seen["problems"]) == ("launching", [])
    ada.send("POST", f"/api/sessions/{seen['session']}/end")


def test_whom_a_session_is_shared_with_looks_on_at_its_own_address(
    service: Service, ada: Visitor, session: str, scripts: Path, tmp_path: Path
) -> None:
    users = Users(service.thaw.home / "users.sqlite")
    users.people.add("william", [Role.SCIENTIST], now=datetime.now(UTC))
    william = service.log_in("william")
    assert william.get(f"/sessions/{session}").status_code == 404
    share_with(users, Thing.SESSION, session, "william")
    users.close()
    seen = drive(scripts, "look", service.login_url("william"), session, str(tmp_path))
    assert (seen["title"], seen["watched"], seen["tools"]) == (
        f"{TERMINAL['title']} (looking on)",
        True,
        0,
    )
    assert (seen["files"], seen["problems"]) == (404, [])
    typed = workspace(service, ada) / "typed"
    assert "they must not type" not in typed.read_text(errors="replace")


# The screen, keys and clipboard; at the end of it the session ends.


def test_a_scientist_works_in_the_page(service: Service, ada: Visitor, session: str, scripts: Path) -> None:
    home = service.thaw.home / "sessions" / session
    seen = drive(scripts, "work", service.login_url(), session, str(home))
    assert seen["german"] == "@€äéßz\r"
    assert seen["menu"] == "\x03\x1b\t\x1bOP\x1b[3;7~"
    assert (seen["panelIn"], seen["asyncIn"]) == (True, True)
    assert (seen["panelOut"], seen["asyncOut"]) == (True, True)
    assert seen["shot"] == seen["shotOfPart"] == ["PNG", *seen["screen"]]
    assert seen["full"] == [[True, "Leave fullscreen", True, "Fullscreen"]] * 3
    assert (seen["watched"], seen["watchUrl"], seen["watcherTyped"]) == (True, "", "")
    assert (seen["watcherFiles"], seen["stillMine"]) == (401, True)
    assert seen["left"].startswith(("7 h", "8 h")) and seen["soon"] and seen["leftSoon"] <= 120
    assert seen["soonOver"] and seen["leftExtended"] > 7 * 3600
    assert (seen["over"], seen["why"], seen["record"]) == (
        "This session has ended",
        "ended by its user",
        True,
    )
    assert seen["problems"] == []
