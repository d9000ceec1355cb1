"""A running `thaw serve` for end-to-end tests: logged in over HTTP as a browser is, its sessions opened and ended."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from instantiator.session.tickets import Right, RightKind, Tickets
from instantiator.users import Role, Users
from tests.end_to_end.conftest import REPOSITORY, THAW, Thaw

OVER = ("ended", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """One user's browser, as far as HTTP goes: cookie, guard, Origin."""

    base: str
    http: httpx.Client
    cookie: tuple[str, str]
    guard: str

    def get(self, path: str, **more: Any) -> httpx.Response:
        """A page or data."""
        return self.http.get(self.base + path, **more)

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request that changes something, as a page of ours makes it."""
        headers = {"Origin": self.base, "X-Guard": self.guard, **more.pop("headers", {})}
        return self.http.request(method, self.base + path, headers=headers, **more)

    def open(self, recipe: str, gui: str, *, workspace: str) -> str:
        """Open a GUI and wait until it is ready; the session's id."""
        form = {"gui": gui, "workspace": workspace, "geometry": "1000x700", "guard": self.guard}
        answer = self.send("POST", f"/open/{recipe}", data=form)
        assert answer.status_code == 303, answer.text
        session = answer.headers["Location"].rpartition("/")[2]
        wait_until(lambda: self.state(session)["state"] in ("ready", *OVER), within_s=120)
        assert self.state(session)["state"] == "ready", self.state(session)
        return session

    def state(self, session: str) -> Any:
        """A session as its page sees it."""
        return self.get(f"/api/sessions/{session}").json()

    def ticket(self, session: str, *, view_only: bool = False) -> str:
        """A ticket for one connection."""
        path = f"/api/sessions/{session}/ticket"
        return str(self.send("POST", path, json={"view_only": view_only}).json()["ticket"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One `thaw serve`."""

    base: str
    thaw: Thaw
    process: subprocess.Popen[str]
    visitors: list[httpx.Client] = field(default_factory=list)

    def login_url(self, user: str | None = None) -> str:
        """An address that logs a user in, once: this host's, or another who is made known first."""
        now = datetime.now(UTC)
        people = Users(self.thaw.home / "users.sqlite").people
        if user is not None and people.find(user) is None:
            people.add(user, [Role.SCIENTIST], now=now)
        right = Right(
            kind=RightKind.TOKEN,
            user=user or getpass.getuser(),
            session="",
            view_only=False,
            expires=now + timedelta(hours=1),
        )
        return f"{self.base}/login?token={self.tickets().issue(right, now=now)}"

    def tickets(self) -> Tickets:
        """The rights the service gave out."""
        return Tickets(self.thaw.home / "serve/tickets.sqlite")

    def stranger(self) -> httpx.Client:
        """A browser without a login."""
        http = httpx.Client(timeout=60, trust_env=False)
        self.visitors.append(http)
        return http

    def log_in(self, user: str | None = None) -> Visitor:
        """A browser that is logged in."""
        http = self.stranger()
        assert http.get(self.login_url(user)).status_code == 303
        (cookie,) = http.cookies.items()
        guard = re.search(r'name="guard" content="([0-9a-f]+)"', http.get(self.base + "/").text)
        assert guard is not None
        return Visitor(base=self.base, http=http, cookie=cookie, guard=guard[1])


@contextmanager
def serving(thaw: Thaw) -> Iterator[Service]:
    """`thaw serve` as users start it; at the end its sessions are ended, and it ends in order."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [str(THAW), "serve", "--port", str(port)], env=thaw.environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip(), "thaw serve printed no address"
        service = Service(base=f"http://127.0.0.1:{port}", thaw=thaw, process=process)
        yield service
        for http in service.visitors:
            http.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()
        for one in thaw.ok("sessions")["sessions"]:
            thaw("session", "stop", one["id"])
    assert process.returncode == 0


@contextmanager
def home_others_can_reach() -> Iterator[Path]:
    """A state folder below folders anybody may pass, as on a real host: where this is root, the gateway is not."""
    with tempfile.TemporaryDirectory(prefix="thaw-") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder, "home")
        home.mkdir(mode=0o755)
        yield home


def install_scripts(folder: Path) -> Path:
    """The browser scripts, with playwright-core at the locked release beside them."""
    for file in (REPOSITORY / "tests/browser").iterdir():
        shutil.copy(file, folder)
    settings = {**os.environ, "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1"}
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, env=settings, check=True, capture_output=True, timeout=300)
    return folder


def recipe_with_guis(root: Path, recipe: str, guis: str) -> Path:
    """A folder of recipes with a copy of one that has other GUIs: its lock still answers, which knows no GUI.

    Its own GUIs, and the smoke tests that open them, are gone.
    """
    folder = root / recipe
    shutil.copytree(REPOSITORY / "recipes" / recipe, folder)
    text = (folder / "recipe.yaml").read_text()
    for key in ("guis", "smoke"):
        text = re.sub(rf"^{key}:\n(?:[ #].*\n|\n)*", "", text, flags=re.MULTILINE)
    (folder / "recipe.yaml").write_text(text.replace("threads:\n", f"{guis}\nthreads:\n", 1))
    return root


def wait_until(happened: Callable[[], bool], *, within_s: float = 30) -> None:
    """Wait for something; fails where it does not come."""
    end = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < end, f"did not happen within {within_s} s"
        time.sleep(0.05)
