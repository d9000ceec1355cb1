"""The evidence beside an image: whole files, and the same for the same lock."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from instantiator.image.evidence import render_dockerfile, render_evidence, render_packages, render_sbom
from instantiator.image.lock import Lock
from tests.examples import MIDAS_LOCK, eps_lock

LOCKS = pytest.mark.parametrize(("name", "lock"), [("midas", MIDAS_LOCK), ("rosetta-eps", eps_lock())])


@LOCKS
def test_the_whole_dockerfile_is_as_reviewed(
    name: str, lock: Lock, check_golden: Callable[[str, str], None]
) -> None:
    check_golden(f"{name}/Dockerfile", render_dockerfile(lock))


@LOCKS
def test_the_whole_package_list_is_as_reviewed(
    name: str, lock: Lock, check_golden: Callable[[str, str], None]
) -> None:
    check_golden(f"{name}/packages.tsv", render_packages(lock))


@LOCKS
def test_the_whole_bill_of_materials_is_as_reviewed(
    name: str, lock: Lock, check_golden: Callable[[str, str], None]
) -> None:
    bill = json.loads(render_sbom(lock))
    bill.pop("$schema")  # where the library says the schema lies is the library's affair
    check_golden(f"{name}/sbom.cdx.json", json.dumps(bill, indent=1, sort_keys=True) + "\n")


def test_the_evidence_of_the_same_lock_is_the_same_bytes() -> None:
    assert render_evidence(MIDAS_LOCK, b"{}") == render_evidence(replace(MIDAS_LOCK), b"{}")


def test_the_evidence_is_a_file_for_each_thing_one_may_ask() -> None:
    assert sorted(render_evidence(MIDAS_LOCK, b"{}")) == [
        "Dockerfile",
        "manifest.json",
        "packages.tsv",
        "recipe.lock.yaml",
        "sbom.cdx.json",
    ]


def test_every_line_of_a_step_stays_a_line_of_its_own() -> None:
    assert "\ncd /opt/midas\n./configure --prefix='/usr/local'\nmake install\nEND\n" in render_dockerfile(
        MIDAS_LOCK
    )


def test_a_value_of_the_environment_is_not_expanded() -> None:
    assert r'ENV PROMPT="it' in render_dockerfile(MIDAS_LOCK)
    assert r's \"\$MIDASHOME\" \\o/"' in render_dockerfile(MIDAS_LOCK)
