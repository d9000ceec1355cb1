"""The recipes of programs Debian has kept: built as their locks say, run on real data, judged by known numbers."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instantiator.image.lock import lock_from_yaml
from tests.end_to_end.conftest import REPOSITORY, Thaw

pytestmark = pytest.mark.docker
VERSIONS = {
    "eso-midas": "22.02pl1.0",
    "fv": "5.5.2",
    "iraf": "2.17",
    "saoimage-ds9": "8.4.1",
    "skycat": "3.1.2",
}
WINDOWS = {
    "eso-midas": "window-xmm",
    "fv": "ngc1316",
    "iraf": "window-m51",
    "saoimage-ds9": "xmm-psr-j0030",
    "skycat": "ngc1316-optical",
}
"""The smoke test of each one's window."""
NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")


def folder_of(name: str) -> Path:
    return REPOSITORY / "recipes" / name / VERSIONS[name]


M51 = folder_of("iraf") / "data/m51/m51.fits"
LIGHT_CURVE = folder_of("fv") / "data/grs1915-asm/rate.fit"


@pytest.fixture(scope="module")
def built(thaw: Thaw) -> dict[str, Any]:
    """What `thaw recipe build` said of each.

    An engine that holds none of them, as in CI, gets all built from nothing; one that has them, by the very
    image IDs of the locks, is not kept busy for minutes.
    """
    return {name: thaw.ok("recipe", "build", name) for name in VERSIONS}


def numbers_of(text: str, beginning: str) -> list[float]:
    """The numbers of the one line that begins so, behind what it begins with."""
    (line,) = [line for line in text.splitlines() if line.startswith(beginning)]
    return [float(number) for number in NUMBER.findall(line.removeprefix(beginning))]


@pytest.mark.parametrize("name", VERSIONS)
def test_the_image_of_a_recipe_is_the_one_its_committed_lock_names(
    thaw: Thaw, built: dict[str, Any], name: str
) -> None:
    lock = lock_from_yaml((folder_of(name) / "recipe.lock.yaml").read_text(), where="lock")
    assert lock.image is not None
    assert built[name]["image"] == lock.image.id
    assert thaw.ok("recipe", "lock", name, "--check")["locked"] is True


@pytest.mark.parametrize("name", VERSIONS)
def test_a_recipe_lints_clean_and_stands_in_the_catalogue(thaw: Thaw, name: str) -> None:
    assert thaw.ok("recipe", "lint", name)["findings"] == []
    entries = {entry["name"]: entry for entry in thaw.ok("list")["recipes"]}
    assert len(entries[name]["guis"]) == 1


@pytest.mark.parametrize(
    ("name", "tests"),
    [
        ("eso-midas", ["xmm-psr-j0030"]),
        ("iraf", ["imstat-m51", "daofind-m51"]),
    ],
)
def test_every_smoke_test_gives_what_it_must_and_repeats_identically(
    thaw: Thaw, built: dict[str, Any], name: str, tests: list[str]
) -> None:
    chosen = [word for test in tests for word in ("--smoke", test)]
    tested = thaw.ok("recipe", "test", name, *chosen)["tests"]
    assert [(t["name"], t["passed"], t["verdict"]) for t in tested] == [(t, True, "identical") for t in tests]


@pytest.mark.parametrize("name", WINDOWS)
def test_every_window_comes_and_looks_as_it_must(thaw: Thaw, built: dict[str, Any], name: str) -> None:
    (tested,) = thaw.ok("recipe", "test", name, "--smoke", WINDOWS[name])["tests"]
    assert (tested["passed"], tested["verdict"]) == (True, "equivalent"), tested
    record = thaw.ok("show", tested["run"])
    assert (record["kind"], record["state"]) == ("session", "completed")
    assert not [output for output in record["outputs"] if ".cache" in output["path"]]


@pytest.mark.parametrize("name", ["fv", "skycat"])
def test_a_window_that_shows_something_else_fails_its_smoke_test(
    thaw: Thaw, built: dict[str, Any], tmp_path: Path, name: str
) -> None:
    copied = tmp_path / "recipes" / name / VERSIONS[name]
    shutil.copytree(folder_of(name), copied)
    shutil.copy(folder_of("saoimage-ds9") / "screenshot.png", copied / "screenshot.png")
    answer = replace(thaw, recipes=tmp_path / "recipes")("recipe", "test", name)
    (tested,) = answer.data["tests"]
    assert (answer.status, tested["passed"], tested["verdict"]) == (4, False, "different")
    assert "WRONG: the screen is 0." in tested["findings"][-1]


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("eso-midas", {"parameter-file": ["FORGR01.KEY", "FORGRdrs.KEY"], "log": ["FORGR01.LOG"]}),
        ("iraf", {"parameter-file": [".iraf/uparm/tvdisply.par"], "log": ["display.log"]}),
        ("skycat", {"parameter-file": [], "log": [".skycat/log"]}),
    ],
)
def test_a_session_lists_the_parameter_files_and_logs_the_program_really_wrote(
    thaw: Thaw, built: dict[str, Any], name: str, files: dict[str, list[str]]
) -> None:
    (tested,) = thaw.ok("recipe", "test", name, "--smoke", WINDOWS[name])["tests"]
    shown = thaw.ok("session", "show", tested["run"])["files"]
    for role, paths in files.items():
        assert [file["path"] for file in shown.get(role, [])] == paths, shown


def test_midas_finds_the_counts_of_the_xmm_image_and_its_brightest_pixels(
    thaw: Thaw, built: dict[str, Any], tmp_path: Path
) -> None:
    results = tmp_path / "results"
    thaw.ok("run", "eso-midas", "image-statistics", "-d", "xmm-psr-j0030", "-o", str(results))
    raw, smoothed = (results / "statistics.txt").read_text(), (results / "smoothed.txt").read_text()
    assert numbers_of(raw, "total intensity:") == [56181]
    assert numbers_of(raw, "minimum, maximum:") == [0, 190]
    assert numbers_of(raw, "mean, standard_deviation:") == [2.085714e-01, 8.520866e-01]
    assert numbers_of(raw, "# of pixels used =") == [519 * 519, 1, 1, 519, 519]
    assert "at pixel (1,1),(242,248)" in raw
    assert numbers_of(smoothed, "minimum, maximum:") == [0, 75.11974]
    assert "at pixel (1,1),(240,245)" in smoothed


def test_iraf_and_midas_measure_the_same_image_alike(
    thaw: Thaw, built: dict[str, Any], tmp_path: Path
) -> None:
    thaw.ok("run", "iraf", "imstat", "-d", str(M51), "-o", str(tmp_path / "iraf"))
    thaw.ok("run", "eso-midas", "image-statistics", "-d", str(M51), "-o", str(tmp_path / "midas"))
    row = (tmp_path / "iraf/statistics.txt").read_text().splitlines()[-1]
    pixels, mean, _median, _mode, deviation, _skew, _kurtosis, least, most = map(float, row.split())
    assert (pixels, mean, deviation, least, most) == (512 * 512, 108.3, 131.3, -1, 19936)
    by_midas = (tmp_path / "midas/statistics.txt").read_text()
    assert numbers_of(by_midas, "mean, standard_deviation:") == pytest.approx([mean, deviation], abs=0.05)
    assert numbers_of(by_midas, "minimum, maximum:") == [least, most]


def test_a_higher_threshold_finds_fewer_of_the_same_stars(
    thaw: Thaw, built: dict[str, Any], tmp_path: Path
) -> None:
    found = {}
    for threshold in ("5", "50"):
        given = ("-p", "sigma=20", "-p", f"threshold={threshold}", "-o", str(tmp_path / threshold))
        thaw.ok("run", "iraf", "daofind", "-d", str(M51), *given)
        rows = (tmp_path / threshold / "stars.coo").read_text().splitlines()
        found[threshold] = {tuple(row.split()[:2]) for row in rows if not row.startswith("#")}
    assert len(found["5"]) == 119
    assert found["50"]
    assert found["50"] < found["5"]


@pytest.mark.parametrize(
    ("thread", "words"),
    [
        (("eso-midas", "image-statistics"), "MIDAS says: (ERR)"),
        (("iraf", "imstat"), "no pixel was measured"),
    ],
)
def test_a_file_that_holds_no_image_ends_in_a_failed_run_that_says_so(
    thaw: Thaw, built: dict[str, Any], thread: tuple[str, str], words: str
) -> None:
    failed = thaw("run", *thread, "-d", str(LIGHT_CURVE))
    assert (failed.status, failed.data["state"]) == (1, "failed")
    assert words in failed.data["message"]
