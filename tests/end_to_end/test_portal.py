"""The portal in a real Chromium: `thaw serve` as users start it, gateway, real engine, real programs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import REPOSITORY, THAW, Thaw

pytestmark = [pytest.mark.docker, pytest.mark.network]
SCRIPTS = REPOSITORY / "tests/browser"


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The browser scripts, with playwright-core at the locked release beside them."""
    folder = tmp_path_factory.mktemp("browser")
    for name in ("package.json", "package-lock.json", "portal.mjs"):
        shutil.copy(SCRIPTS / name, folder)
    settings = {**os.environ, "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1"}
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder, env=settings, check=True, capture_output=True, timeout=300)
    return folder


@pytest.fixture
def portal(thaw: Thaw) -> Iterator[str]:
    """The running service's login address; it ends in order on SIGTERM."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(THAW), "serve", "--port", str(port)]
    service = subprocess.Popen(
        command, env=thaw.environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert service.stdout is not None
    yield service.stdout.readline().split()[-1]
    service.send_signal(signal.SIGTERM)
    assert service.wait(60) == 0
    service.stdout.close()
    assert not (thaw.home / "serve/portal.sock").exists()


def drive(scripts: Path, *arguments: str) -> Any:
    done = subprocess.run(
        ["node", "portal.mjs", *arguments],
        cwd=scripts,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_thread_is_run_and_verified_from_its_form(portal: str, scripts: Path, thaw: Thaw) -> None:
    seen = drive(scripts, "thread", portal)
    assert "has to be a whole number" in seen["mistake"]
    assert (seen["state"], seen["verdict"], seen["problems"]) == ("completed", "identical", [])
    assert seen["columns"] > 2
    title = "Experiment Planning System (EPS)"
    assert (title in seen["verifiedToday"], title in seen["neverVerified"]) == (True, False)
    assert "identical" in seen["evidence"]
    assert thaw.ok("show", seen["run"])["parameters"]["time_step"] == 60


def test_a_deep_link_leads_back_after_the_login(portal: str, scripts: Path) -> None:
    seen = drive(scripts, "link", portal)
    assert (seen["asked"], seen["led"]) == ("Log in", "/open/eso-midas/22.02pl1.0?gui=main")
    assert (seen["fromElsewhere"], seen["problems"]) == ("/runs?state=failed", [])


def test_a_window_is_opened_worked_in_and_ended(portal: str, scripts: Path, tmp_path: Path) -> None:
    seen = drive(scripts, "session", portal, str(tmp_path), "saoimage-ds9/8.4.1")
    assert seen["colours"] > 10
    assert (seen["sameBytes"], seen["backAfterReload"]) == (True, True)
    assert (seen["over"], seen["problems"]) == ("This session has ended", [])
