"""The whole catalogue on an empty machine: what can run is run and judged, the rest says what it waits for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.end_to_end.conftest import REPOSITORY, Thaw

pytestmark = [pytest.mark.docker, pytest.mark.network]

RUN_HERE = {
    "aladin",
    "eso-midas",
    "exosat-me",
    "fv",
    "iraf",
    "iso-gdl",
    "psa-lab",
    "rosetta-eps",
    "rosetta-spice",
    "saoimage-ds9",
    "skycat",
    "source-extractor",
    "stilts",
    "topcat",
}
AWAIT_A_DEPOSIT = {"integral-osa", "xmm-sas"}
DRAFTS = {"exosat-ia", "herschel-hipe", "iso-ia", "lisapf-ltpda"}


@pytest.fixture(scope="module")
def verified(thaw: Thaw) -> dict[str, Any]:
    """What `thaw catalog verify --all` said of each. An engine that lacks images gets them built, two at a time."""
    with ThreadPoolExecutor(2) as two:
        built = list(two.map(lambda name: thaw("recipe", "build", name, timeout=1800), sorted(RUN_HERE)))
    assert [answer.words for answer in built if answer.status != 0] == []
    answer = thaw("catalog", "verify", "--all", "--no-rebuild", timeout=2400)
    assert answer.status == 0, answer.words
    return {row["recipe"].partition("/")[0]: row for row in answer.data["recipes"]}


def test_every_mission_of_the_mandate_stands_in_the_catalogue(verified: dict[str, Any]) -> None:
    assert set(verified) == RUN_HERE | AWAIT_A_DEPOSIT | DRAFTS


@pytest.mark.parametrize("name", sorted(RUN_HERE))
def test_what_can_run_was_run_again_and_is_verified(verified: dict[str, Any], name: str) -> None:
    row = verified[name]
    assert (row["status"], row["smoke"], row["problem"]) == ("verified", "passed", ""), row


@pytest.mark.parametrize(("name", "status"), [
    *((name, "awaiting deposit") for name in sorted(AWAIT_A_DEPOSIT)),
    *((name, "draft") for name in sorted(DRAFTS)),
])  # fmt: skip
def test_what_cannot_run_says_what_it_waits_for_and_is_never_green(
    verified: dict[str, Any], name: str, status: str
) -> None:
    row = verified[name]
    assert (row["status"], row["smoke"], row["rebuild"], row["verified"]) == (status, "-", "-", None)
    assert row["details"] and all(detail.strip() for detail in row["details"])


def test_the_list_shows_what_was_verified(verified: dict[str, Any], thaw: Thaw) -> None:
    listed = {entry["name"]: entry["status"] for entry in thaw.ok("list")["recipes"]}
    assert {name: row["status"] for name, row in verified.items()} == listed


@pytest.mark.parametrize("name", sorted(RUN_HERE | AWAIT_A_DEPOSIT | DRAFTS))
def test_a_recipe_says_what_it_was_and_how_to_cite_it(name: str) -> None:
    (folder,) = (REPOSITORY / "recipes" / name).iterdir()
    words = (folder / "README.md").read_text()
    assert "cite" in words.lower() and len(words) > 400
