"""The gate: format, lint, types, imports, and what may never be committed. `pytest` runs all of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def run_tool(*command: str) -> None:
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def committed_texts() -> list[tuple[Path, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    texts = []
    for file in files:
        try:
            texts.append((file.relative_to(ROOT), file.read_text()))
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    return texts


def test_the_code_is_formatted() -> None:
    run_tool("ruff", "format", "--check", ".")


def test_the_code_is_linted_and_every_public_thing_has_a_docstring() -> None:
    run_tool("ruff", "check", ".")


def test_the_types_hold() -> None:
    run_tool("mypy")


def test_imports_point_one_way() -> None:
    run_tool("lint-imports", "--no-cache")


# One file per outside system: whoever wants Docker, SQL or reprozip goes through its door.
DOORS = {
    "astropy": r"(provenance/compare/fits\w*|provenance/export/ivoa|instantiator/web/previews)\.py",
    "authlib": r"instantiator/web/oidc\.py",
    "bagit": r"(provenance/export/bag|instantiator/curate/preserve\w*(/\w+)?)\.py",
    "cyclonedx": r"instantiator/image/evidence\.py",
    "docker": r"instantiator/engine/sdk\.py",
    "elftools": r"instantiator/curate/new/elf\.py",
    "httpx": r"instantiator/client/drivers\.py",
    "jinja2": r"instantiator/(recipe/template|recipe/lint/\w+|image/evidence|web/pages|capsule/page)\.py",
    "joserfc": r"instantiator/web/oidc\.py",
    "ocfl": r"instantiator/curate/preserve/packaging\.py",
    "PIL": r"instantiator/curate/likeness\.py",
    "prometheus_client": r"instantiator/operate/metrics\.py",
    "prov": r"provenance/export/w3c\.py",
    "reprozip": r"instantiator/trace/inside\.py",
    "rocrate": r"provenance/export/crate\.py",
    "sqlite3": r"(provenance/store/(database|schema|runs|datasets|uses|store|queue)"
    r"|instantiator/(session/tickets|users/database|trace/inside))\.py",
    "websockify": r"instantiator/capsule/gui/relay\.py",
    "yaml": r"instantiator/(recipe/nodes|image/lock|catalog)\.py",
}


@pytest.mark.parametrize("system", sorted(DOORS))
def test_each_outside_system_has_one_door(system: str) -> None:
    imports = re.compile(rf"^\s*(import|from) {system}\b", re.MULTILINE)
    code = [
        (path, text) for path, text in committed_texts() if path.suffix == ".py" and path.parts[0] != "tests"
    ]
    users = [path.as_posix() for path, text in code if imports.search(text)]
    assert users, f"nobody imports {system}: take the rule away"
    assert [user for user in users if not re.fullmatch(DOORS[system], user)] == []


def test_no_module_is_too_long() -> None:
    code = [
        (path, text) for path, text in committed_texts() if path.suffix == ".py" and path.parts[0] != "tests"
    ]
    assert [str(path) for path, text in code if text.count("\n") > 400] == []


# Put together here so that this file does not hold what it forbids.
FORBIDDEN = {
    "a package registry's host": [
        ".".join(parts)
        for parts in (
            ("pypi", "org"),
            ("registry", "npmjs"),
            ("deb", "debian", "org"),
            ("snapshot", "debian", "org"),
            ("files", "pythonhosted"),
        )
    ],
    "a path of one machine": ["/" + "work/main", "/" + "work/shared", "/root/" + ".pyenv"],
}


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_nothing_committed_names(what: str) -> None:
    found = [
        (str(path), word) for path, text in committed_texts() for word in FORBIDDEN[what] if word in text
    ]
    assert found == []


def test_no_test_is_skipped() -> None:
    sign = re.compile(r"pytest\.skip|mark\.skip|mark\.xfail|importorskip")
    tests = [
        (path, text)
        for path, text in committed_texts()
        if path.parts[0] == "tests" and path.name != "test_gate.py"
    ]
    assert [str(path) for path, text in tests if sign.search(text)] == []
