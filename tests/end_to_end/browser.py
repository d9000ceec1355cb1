"""A real Chromium in front of the real `thaw serve`: what the end-to-end tests of the portal share."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from tests.end_to_end.conftest import REPOSITORY, THAW, Thaw

SCRIPTS = REPOSITORY / "tests/browser"
Picture = NDArray[numpy.float64]
"""Rows of grey, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """A Chromium driven line by line; `tab` and `as_user` choose the page and whose cookies it has."""

    process: subprocess.Popen[str]

    def __call__(self, act: str, **asked: Any) -> Any:
        """Do one act of tests/browser/driver.mjs and give its answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        if "as_user" in asked:
            asked["as"] = asked.pop("as_user")
        self.process.stdin.write(json.dumps({"act": act, **asked}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the browser is gone at {act!r} {asked}"
        told = json.loads(line)
        assert "error" not in told, f"{act} {asked}: {told['error']}"
        return told["answer"]

    def grey(self, file: Path) -> Picture:
        """A picture file in grey."""
        seen = self("grey", tab="reader", as_user="reader", file=str(file))
        bytes_ = numpy.frombuffer(base64.b64decode(seen["grey"]), dtype=numpy.uint8)
        return bytes_.reshape(seen["height"], seen["width"]).astype(numpy.float64) / 255

    def screen(self, file: Path, **where: Any) -> Picture:
        """What the program's screen shows now, kept in `file` too."""
        self("screen", file=str(file), **where)
        return self.grey(file)


@dataclass(slots=True, kw_only=True)
class Service:
    """A running `thaw serve`."""

    thaw: Thaw
    port: int
    process: subprocess.Popen[str]
    login: str

    @property
    def base(self) -> str:
        """The portal's origin."""
        return f"http://127.0.0.1:{self.port}"

    def start_again(self) -> None:
        """A new service on the same state folder and port, after the old one died."""
        self.process, self.login = _start(self.thaw, self.port)

    def gateways(self) -> list[int]:
        """The process ids of gateways that are the service's own children."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", "vnc_gateway --portal"],
            capture_output=True,
            text=True,
            check=False,
        )
        return [int(word) for word in found.stdout.split()]

    def gateway(self) -> int:
        """The process id of the gateway."""
        (found,) = self.gateways()
        return found

    def has_gateway_besides(self, former: int) -> bool:
        """Whether another gateway runs."""
        return any(one != former for one in self.gateways())

    def show(self, session: str) -> Any:
        """`thaw session show`."""
        return self.thaw.ok("session", "show", session)

    def container(self, session: str, part: str) -> str:
        """The id of a session's `application` or `display`, which may have come from the pool."""
        told = json.loads((self.thaw.home / "sessions" / session / "session.json").read_text())
        return str(told["backstage"][f"{part}_container"])


def containers(home: Path, *more: str) -> list[str]:
    """The ids of the containers of sessions of that home."""
    filters = [f"label=thaw.home={home.resolve()}", "label=thaw.session", *more]
    asked = ["docker", "ps", "-aq", *(word for one in filters for word in ("--filter", one))]
    asked.append("--no-trunc")
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()


def install_scripts(folder: Path) -> Path:
    """The browser scripts, with playwright-core at the locked release beside them."""
    for path in SCRIPTS.iterdir():
        shutil.copy(path, folder)
    settings = {**os.environ, "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1"}
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, env=settings, check=True, capture_output=True, timeout=300)
    return folder


@contextmanager
def chromium(scripts: Path) -> Iterator[Browser]:
    """A Chromium, ended with the body."""
    process = subprocess.Popen(
        ["node", "driver.mjs"], cwd=scripts, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Browser(process=process)
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


@contextmanager
def serving(thaw: Thaw) -> Iterator[Service]:
    """`thaw serve`, as users start it; it ends in order on SIGTERM."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process, login = _start(thaw, port)
    service = Service(thaw=thaw, port=port, process=process, login=login)
    try:
        yield service
    finally:
        for one in thaw.ok("sessions")["sessions"]:
            thaw("session", "stop", one["id"])
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0
    assert containers(thaw.home) == []
    assert not (thaw.home / "serve/portal.sock").exists()


def _start(thaw: Thaw, port: int) -> tuple[subprocess.Popen[str], str]:
    command = [str(THAW), "serve", "--port", str(port)]
    with thaw.home.with_name("serve.log").open("a") as log:
        process = subprocess.Popen(
            command, env=thaw.environment(), stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdout is not None
    told = process.stdout.readline()
    assert told, f"the service did not start: {thaw.home.with_name('serve.log')}"
    login = told.split()[-1]
    process.stdout.close()
    return process, login


def wait_until(happened: Callable[[], bool], *, within_s: float = 30) -> None:
    """Fails where something does not happen."""
    end = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < end, f"did not happen within {within_s} s"
        time.sleep(0.1)
