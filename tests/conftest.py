"""What holds for every test: a state folder of its own; and, for unit tests, no network and no real state."""

from __future__ import annotations

import difflib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
UNIT = TESTS / "unit"
GOLDEN = TESTS / "golden"
_PATH_EVENTS = (
    "open",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.listdir",
    "os.scandir",
    "sqlite3.connect",
)
_LOOK_UP_EVENTS = ("socket.getaddrinfo", "socket.gethostbyname")
_INTERNET = (socket.AF_INET, socket.AF_INET6)


class Forbidden(AssertionError):
    """A unit test reached outside itself. No OSError, so that no code under test swallows it."""


class _Guard:
    """Sees every file, folder and socket that Python opens, and refuses some while a unit test runs.

    An audit hook and not patched functions: it also sees what asyncio, sqlite3 and C code do.
    A hook cannot be taken away again, so it asks each time whether it is on.
    """

    def __init__(self) -> None:
        self.is_on = False
        self.real_state: tuple[str, ...] = ()
        self.allowed = ""

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if not self.is_on:
            return
        if event == "socket.connect":
            _refuse_internet(args[0], args[1])
        elif event in _LOOK_UP_EVENTS:
            raise Forbidden(f"a unit test looks up a host: {args[0]!r}")
        elif event in _PATH_EVENTS:
            self._refuse_real_state(args[0])

    def _refuse_real_state(self, path: object) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        text = _absolute(path)
        within = any(f"{text}/".startswith(f"{folder}/") for folder in self.real_state)
        if within and not f"{text}/".startswith(f"{self.allowed}/"):
            raise Forbidden(f"a unit test reaches for the real state folder: {text}")


def _absolute(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    return os.path.abspath(os.fsdecode(path))  # noqa: PTH100  # resolve() opens files: the guard would ask itself


def _refuse_internet(connecting: object, address: object) -> None:
    if isinstance(connecting, socket.socket) and connecting.family in _INTERNET:
        raise Forbidden(f"a unit test connects to {address!r}: the network is for tests/integration")


_guard = _Guard()
sys.addaudithook(_guard)


def _real_state_folders() -> tuple[str, ...]:
    import platformdirs

    named = os.environ.get("THAW_HOME")
    folders = [platformdirs.user_data_path("thaw"), *([Path(named)] if named else [])]
    return tuple(_absolute(folder) for folder in folders)


_REAL_STATE = _real_state_folders()


def pytest_configure() -> None:
    """Ctrl-C is what it is in a terminal, also for what tests start: a shell's background jobs ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew; review them with git diff"
    )


@pytest.fixture(autouse=True)
def own_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test, and every process it starts, has a state folder of its own, and no other THAW_ setting."""
    for name in [name for name in os.environ if name.startswith("THAW_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "thaw-home"
    monkeypatch.setenv("THAW_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def no_outside_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Unit tests have no network and do not see the real state folder; tests elsewhere do as they need."""
    _guard.real_state, _guard.allowed = _REAL_STATE, _absolute(tmp_path)
    _guard.is_on = request.node.path.is_relative_to(UNIT)
    yield
    _guard.is_on = False


@pytest.fixture
def check_golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`check_golden("name.txt", found)`: the whole text is the golden file's, or the difference is shown."""
    updating = bool(request.config.getoption("--update-golden"))

    def check(name: str, found: str) -> None:
        path = GOLDEN / name
        if updating:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(found, encoding="utf-8")
        expected = path.read_text(encoding="utf-8")
        lines = difflib.unified_diff(
            expected.splitlines(), found.splitlines(), f"golden/{name}", "found", lineterm=""
        )
        assert found == expected, "\n".join(lines)

    return check
