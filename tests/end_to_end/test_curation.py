"""Curation and preservation for real: the curators' page word by word; a recipe carried to an empty machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.conftest import REPOSITORY, THAW, Thaw

pytestmark = pytest.mark.docker
EPS = "rosetta-eps/9.3.35"


@pytest.fixture
def curating(thaw: Thaw, tmp_path: Path) -> Thaw:
    """The real Thaw with a copy of the recipes it may change."""
    clone = tmp_path / "clone"
    shutil.copytree(REPOSITORY / "recipes", clone / "recipes")
    shutil.copy(REPOSITORY / "catalog.yaml", clone / "catalog.yaml")
    return replace(thaw, recipes=clone / "recipes", cwd=clone)


@pytest.mark.network
def test_the_curators_page_followed_word_by_word_publishes_a_program(curating: Thaw) -> None:
    page = (REPOSITORY / "docs/curators.md").read_text()
    commands = "".join(re.findall(r"(?ms)^```sh\n(.*?)^```$", page))
    before_retiring, retiring = commands.split("thaw recipe retire", 1)
    environment = {**curating.environment(), "PATH": f"{THAW.parent}:{os.environ['PATH']}"}
    for text in (before_retiring, f"thaw recipe retire{retiring}"):
        done = subprocess.run(
            ["sh", "-eu"],
            input=text,
            env=environment,
            cwd=curating.cwd,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        if text is before_retiring:
            entries = {one["name"]: one for one in curating.ok("list")["recipes"]}
            assert (entries["fitsverify"]["status"], entries["fitsverify"]["threads"]) == (
                "verified",
                ["verify"],
            )
    assert "fitsverify" not in {one["name"] for one in curating.ok("list")["recipes"]}
    retired = {one["name"]: one for one in curating.ok("list", "--retired")["recipes"]}["fitsverify"]
    assert (retired["status"], retired["superseded_by"]) == ("verified", "eso-midas")
    run = curating.ok("run", "fitsverify", "verify", "-d", "xmm-psr-j0030", "-p", "errors_only=true")
    assert run["state"] == "completed"


def verified_run(thaw: Thaw, *run: str) -> str:
    """A run of a thread that was repeated and found identical."""
    made = thaw.ok("run", *run)
    assert thaw.ok("verify", made["run"])["verdict"] == "identical"
    return str(made["run"])


def exported(thaw: Thaw, name: str, packaging: str, target: Path) -> dict[str, Any]:
    data: dict[str, Any] = thaw.ok("preserve", "export", name, "-o", str(target), "--as", packaging)
    return data


@pytest.mark.parametrize(
    ("name", "run", "packaging"),
    [
        ("rosetta-eps", ("simulate", "-d", "eps-bepicolombo-2015"), "ocfl"),
        ("eso-midas", ("image-statistics", "-d", "xmm-psr-j0030"), "bag"),
    ],
)
def test_a_recipe_carried_to_an_empty_machine_builds_and_verifies_from_it_alone(
    thaw: Thaw, tmp_path: Path, name: str, run: tuple[str, ...], packaging: str
) -> None:
    thaw.ok("recipe", "lock", name)
    run_id = verified_run(thaw, name, *run)
    written = exported(thaw, name, packaging, tmp_path / "carried")
    assert written["run"] == run_id
    recipes = tmp_path / "empty/recipes"
    empty = Thaw(home=tmp_path / "empty/home", recipes=recipes, before=("unshare", "-n"), cwd=tmp_path)
    taken = empty.ok("preserve", "import", str(tmp_path / "carried"))
    assert (taken["new"], taken["rebuilt"], taken["verdict"]) == (True, written["image"], "identical")
    assert taken["added"] == written["objects"]
    assert empty.ok("vault", "audit")["sound"] is True
    assert empty.ok("recipe", "lock", name, "--check")["locked"] is True
    again = empty.ok("preserve", "import", str(tmp_path / "carried"), "--no-check")
    assert (again["new"], again["added"]) == (False, 0)


def test_a_damaged_export_leaves_nothing_behind(thaw: Thaw, tmp_path: Path) -> None:
    target = tmp_path / "carried"
    exported(thaw, "rosetta-eps", "bag", target)
    victim = max((target / "data/objects").rglob("*"), key=lambda path: path.stat().st_size)
    victim.chmod(0o644)
    with victim.open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"rot")
    empty = Thaw(home=tmp_path / "empty/home", recipes=tmp_path / "empty/recipes")
    answer = empty("preserve", "import", str(target))
    assert answer.status == 1
    assert "preserve-refused" in answer.words
    assert empty.ok("vault", "status")["objects"] == 0
    assert not (tmp_path / "empty/recipes").exists()


def test_an_export_never_writes_over_a_folder(thaw: Thaw, tmp_path: Path) -> None:
    answer = thaw("preserve", "export", "rosetta-eps", "-o", str(tmp_path))
    assert (answer.status, list(tmp_path.iterdir())) == (1, [])


def rows_of(thaw: Thaw, *arguments: str) -> tuple[int, dict[str, Any]]:
    answer = thaw("catalog", "verify", "--no-rebuild", *arguments)
    return answer.status, {row["recipe"]: row for row in answer.data["recipes"]}


def only(curating: Thaw, *entries: dict[str, object]) -> None:
    """Leave rosetta-eps and these entries in the catalogue."""
    file = curating.cwd / "catalog.yaml"
    value = yaml.safe_load(file.read_text())
    value["recipes"] = [one for one in value["recipes"] if one["name"] == "rosetta-eps"] + list(entries)
    file.write_text(yaml.safe_dump(value))


def test_the_catalogue_is_verified_and_what_waits_is_never_green(curating: Thaw) -> None:
    only(
        curating,
        {"name": "xmm-sas", "version": "22.1.0", "title": "SAS", "awaits": ["sas: sas.tgz"]},
        {"name": "hipe", "version": "15", "title": "HIPE", "missing": ["its installer"]},
    )
    status, rows = rows_of(curating, "--all")
    assert (status, {name: row["status"] for name, row in rows.items()}) == (
        0,
        {EPS: "verified", "hipe/15": "draft", "xmm-sas/22.1.0": "awaiting deposit"},
    )
    assert (rows[EPS]["smoke"], rows["hipe/15"]["smoke"]) == ("passed", "-")
    shown = {one["name"]: one["status"] for one in curating.ok("list")["recipes"]}
    assert shown == {"rosetta-eps": "verified", "hipe": "draft", "xmm-sas": "awaiting deposit"}
    assert rows_of(curating, "--all", "--resume")[1][EPS]["skipped"] is True


def test_a_smoke_test_that_comes_out_otherwise_ends_with_4(curating: Thaw, tmp_path: Path) -> None:
    only(curating)
    file = curating.recipes / EPS / "recipe.yaml"
    file.write_text(file.read_text().replace("values_compared: 1130", "values_compared: 1131"))
    status, rows = rows_of(curating, "rosetta-eps")
    assert (status, rows[EPS]["smoke"], rows[EPS]["status"]) == (4, "failed", "built")
    assert any("1130 of 1131" in finding for finding in rows[EPS]["findings"])


def test_verifying_may_be_killed_and_goes_on(curating: Thaw, own_thaw: Thaw) -> None:
    only(curating)
    killed = replace(curating, home=own_thaw.home)
    process = killed.start("catalog", "verify", "--all", "--no-rebuild")
    time.sleep(2.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    status, rows = rows_of(killed, "--all", "--resume", "--hours", "1")
    assert (status, rows[EPS]["smoke"], rows[EPS]["status"]) == (0, "passed", "verified")
    assert rows[EPS]["skipped"] is False


def test_an_audit_is_written_down(thaw: Thaw, tmp_path: Path) -> None:
    thaw.ok("vault", "audit", "--report", str(tmp_path / "audit.json"))
    told = json.loads((tmp_path / "audit.json").read_text())
    assert (told["sound"], told["users"][EPS] > 100, told["objects"] > 100) == (True, True, True)
