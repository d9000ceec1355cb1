"""A real Thaw for the end-to-end tests: one state folder, fetched and built once, and the `thaw` command itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from instantiator.engine.guard import owner_is_alive

REPOSITORY = Path(__file__).parents[2]
RECIPE = REPOSITORY / "recipes/rosetta-eps/9.3.35"
THAW = Path(sys.executable).with_name("thaw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command answered: exit status, the data on stdout, the words on stderr."""

    status: int
    data: Any
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thaw:
    """The `thaw` command with a state folder and recipes of its own; `before` runs in front of it (`unshare -n`)."""

    home: Path
    recipes: Path = REPOSITORY / "recipes"
    settings: Mapping[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    cwd: Path = REPOSITORY

    def environment(self) -> dict[str, str]:
        """The environment of the command: this user's own Thaw settings stay outside."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("THAW_")}
        return {**clean, "THAW_HOME": str(self.home), "THAW_RECIPES": str(self.recipes), **self.settings}

    def __call__(self, *arguments: str, timeout: float = 900) -> Answer:
        """Run `thaw ARGUMENTS --json` to its end."""
        done = subprocess.run(
            [*self.before, str(THAW), *arguments, "--json"],
            env=self.environment(),
            cwd=self.cwd,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        data = json.loads(done.stdout) if done.stdout.strip() else None
        return Answer(status=done.returncode, data=data, words=done.stderr)

    def ok(self, *arguments: str) -> Any:
        """The data of a command that has to succeed."""
        answer = self(*arguments)
        assert answer.status == 0, answer.words
        return answer.data

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The command in a process group of its own, for tests that kill it."""
        return subprocess.Popen(
            [str(THAW), *arguments],
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


@pytest.fixture(scope="session")
def thaw(tmp_path_factory: pytest.TempPathFactory) -> Thaw:
    """The real thing, with the image of rosetta-eps fetched and built from nothing."""
    made = Thaw(home=tmp_path_factory.mktemp("thaw") / "home")
    made.ok("recipe", "build", "rosetta-eps", "--force")
    return made


@pytest.fixture
def own_thaw(thaw: Thaw, tmp_path: Path) -> Thaw:
    """A Thaw a test may damage: it has the same bytes, in files of its own."""
    home = tmp_path / "home"
    (home / "vault").mkdir(parents=True)
    shutil.copytree(thaw.home / "vault/objects", home / "vault/objects")
    return replace(thaw, home=home)


PROBES = {
    "sleep": {
        "title": "sleeps",
        "parameters": {"seconds": {"type": "int", "default": 600, "help": "how long"}},
        "script": {
            "language": "sh",
            "text": "echo started > {{ out }}/said; echo started; exec sleep {{ params.seconds }}\n",
        },
        "outputs": {"said": {"path": "said", "media_type": "text/plain", "compare": {"rule": "text"}}},
    },
    "hog": {
        "title": "takes more memory than it may",
        "script": {
            "language": "python",
            "text": "hog = []\nwhile True:\n    hog.append(bytearray(1 << 22))\n",
        },
        "outputs": {"none": {"path": "none", "media_type": "text/plain", "required": False}},
        "resources": {"memory": "64 MiB"},
    },
    "overrun": {
        "title": "takes longer than it may",
        "command": ["sleep", "600"],
        "outputs": {"none": {"path": "none", "media_type": "text/plain", "required": False}},
        "time_limit": "2 s",
    },
}


@pytest.fixture(scope="session")
def probe_recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipes with threads that misbehave: the same lock answers, since threads are no part of an image."""
    recipes = tmp_path_factory.mktemp("probes") / "recipes"
    folder = recipes / "rosetta-eps/9.3.35"
    shutil.copytree(RECIPE, folder)
    text = (folder / "recipe.yaml").read_text()
    threads = yaml.safe_dump(PROBES, sort_keys=False).replace("\n", "\n  ").rstrip()
    (folder / "recipe.yaml").write_text(text.replace("threads:\n", f"threads:\n  {threads}\n", 1))
    return recipes


@pytest.fixture
def probing(thaw: Thaw, probe_recipes: Path) -> Thaw:
    """The real Thaw with the misbehaving threads."""
    return replace(thaw, recipes=probe_recipes)


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a scenario of the recipe, to be changed."""

    def copy(name: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(RECIPE / "data" / name, folder)
        return folder

    return copy


@pytest.fixture(autouse=True)
def no_container_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test: the engine holds no container whose Thaw is dead. Somebody else's living one may be there."""
    yield
    end = time.monotonic() + 10
    while leftovers() and time.monotonic() < end:
        time.sleep(0.1)
    assert leftovers() == [], request.node.name


def leftovers() -> list[str]:
    """The names of containers that a dead Thaw left."""
    listed = subprocess.run(
        [
            "docker",
            "ps",
            "-a",
            "--filter",
            "label=thaw.owner",
            "--format",
            '{{.Names}} {{.Label "thaw.owner"}}',
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    owners = [line.split() for line in listed.stdout.splitlines()]
    return [name for name, owner in owners if not owner_is_alive(owner)]
