"""A run leaves one Thaw and is repeated by another that has neither its bytes nor its recipe."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from astropy.io import votable
from prov.model import ProvDocument

from tests.crate_checker import check_crate
from tests.end_to_end.conftest import REPOSITORY, Thaw

SFT2 = ("run", "rosetta-eps", "simulate", "-d", "eps-bepicolombo-2015", "-p", "output_step=120")


@pytest.fixture(scope="module")
def run(thaw: Thaw) -> str:
    return str(thaw.ok(*SFT2)["run"])


@pytest.fixture(scope="module")
def crate(thaw: Thaw, run: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with the image, and with all the image is made of."""
    target = tmp_path_factory.mktemp("crate") / "run.zip"
    thaw.ok("export", run, "--with-image", "--with-packages", "-o", str(target))
    return target


@pytest.fixture
def empty(thaw: Thaw, tmp_path: Path) -> Thaw:
    """Another Thaw: an empty vault, no recipes, no network."""
    (tmp_path / "no-recipes").mkdir()
    return replace(thaw, home=tmp_path / "other", recipes=tmp_path / "no-recipes", before=("unshare", "-n"))


def test_a_crate_is_repeated_by_a_thaw_that_has_nothing_else(empty: Thaw, run: str, crate: Path) -> None:
    imported = empty.ok("import", str(crate))
    assert (imported["run"], imported["datasets"]) == (run, ["eps-bepicolombo-2015@1"])
    assert empty.ok("verify", run)["verdict"] == "identical"
    assert "10.2514/6.2010-2167" in empty.ok("cite", run)["citation"]


def test_an_imported_crate_has_the_bytes_to_build_the_very_image_offline(empty: Thaw, crate: Path) -> None:
    empty.ok("import", str(crate), "--no-image")
    rebuilt = replace(empty, recipes=REPOSITORY / "recipes").ok("recipe", "rebuild", "rosetta-eps")
    assert rebuilt["identical"] is True


def test_the_image_in_a_crate_is_the_run_s(thaw: Thaw, run: str, crate: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(crate) as archive:
        archive.extract("image.oci.tar", tmp_path)
    inspected = subprocess.run(
        ["skopeo", "inspect", "--raw", f"oci-archive:{tmp_path}/image.oci.tar"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(inspected.stdout)["config"]["digest"] == thaw.ok("show", run)["image"]


def test_the_crate_of_a_real_run_passes_the_validator(thaw: Thaw, run: str, tmp_path: Path) -> None:
    thaw.ok("export", run, "-o", str(tmp_path / "crate"))
    checked = check_crate(tmp_path / "crate", tmp_path / "cache")
    assert (checked.executed > 80, checked.issues) == (True, ())


def test_a_crate_with_a_flipped_byte_is_refused(thaw: Thaw, empty: Thaw, run: str, tmp_path: Path) -> None:
    thaw.ok("export", run, "-o", str(tmp_path / "crate"))
    output = tmp_path / "crate/outputs/eps_output/power_avg.out"
    output.write_bytes(output.read_bytes().replace(b"5.100", b"5.300", 1))
    refused = empty("import", str(tmp_path / "crate"))
    assert refused.status == 1
    assert "outputs/eps_output/power_avg.out" in refused.words
    assert empty.ok("runs")["runs"] == []


def test_other_tools_read_every_document(thaw: Thaw, run: str, tmp_path: Path) -> None:
    for how in ("prov-json", "prov-n", "prov-graph", "ivoa"):
        thaw.ok("export", run, "--format", how, "-o", str(tmp_path / how))
    read = ProvDocument.deserialize(str(tmp_path / "prov-json"), format="json")
    assert any(str(record.identifier) == f"run:{run}" for record in read.get_records())
    content = io.BytesIO((tmp_path / "ivoa").read_bytes())
    assert votable.parse(content, verify="exception").get_table_by_id("Activity").array["name"][0] == (
        "rosetta-eps/9.3.35 simulate"
    )
    assert (tmp_path / "prov-n").read_text().startswith("document")
    assert (tmp_path / "prov-graph").read_bytes().startswith(b"<svg")
