"""Recipes whose software is awaited: the image up to the deposit, and every refusal, with nothing half-done left.

No file here stands in for the software: what is handed in is wrong on purpose, and refused.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.curate.build import up_to_deposit
from instantiator.image.lock import read_lock
from instantiator.recipe.load import load_recipe
from tests.end_to_end.conftest import REPOSITORY, Thaw

pytestmark = pytest.mark.docker
SAS = REPOSITORY / "recipes/xmm-sas/22.1.0"
SAS_BYTES = 1_534_501_526
DRAFTS = ("herschel-hipe", "iso-ia", "exosat-ia", "lisapf-ltpda")


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Thaw:
    """A Thaw with nothing in it but the committed recipes."""
    return Thaw(home=tmp_path_factory.mktemp("waiting") / "home")


@pytest.fixture
def own(tmp_path: Path) -> Thaw:
    """One whose recipes and state a test may change."""
    shutil.copytree(SAS, tmp_path / "recipes/xmm-sas/22.1.0")
    return Thaw(home=tmp_path / "home", recipes=tmp_path / "recipes")


def kept_by(thaw: Thaw) -> list[str]:
    """Every file of a vault, objects and what is on the way to be one; but not the file that says what it is."""
    files = (path for path in (thaw.home / "vault").rglob("*") if path.is_file())
    return [str(path) for path in files if path.name != "VERSION"]


def variables_of(image: str) -> Mapping[str, str]:
    """The environment as a program in the image is given it."""
    command = ["docker", "run", "--rm", "--network", "none", image, "env"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def sas_image(waiting: Thaw) -> str:
    """The image of xmm-sas up to its deposits: built by `thaw recipe build`, unless the engine has this lock's."""
    name = up_to_deposit(read_lock(load_recipe(SAS))).image_name
    found = subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False)
    if found.returncode != 0:
        waiting.ok("recipe", "lock", "xmm-sas")
        assert waiting.ok("recipe", "build", "xmm-sas", "--up-to-deposit")["name"] == name
    return name


def test_the_image_up_to_the_deposit_has_the_environment_that_setsas_would_set(sas_image: str) -> None:
    assert "up-to-deposit" in sas_image
    found, root = variables_of(sas_image), "/opt/sas/xmmsas_22.1.0-a8f2c2afa-20250304"
    assert found["SAS_DIR"] == found["SAS_PATH"] == root
    assert found["PATH"] == f"{root}/binextra:{root}/bin:{root}/bin/devel:/usr/local/bin:/usr/bin:/bin"
    assert found["LD_LIBRARY_PATH"] == f"{root}/libextra:{root}/lib"
    assert found["PYTHONPATH"] == f"{root}/lib/python"
    assert (found["SAS_SUPRESS_WARNING"], found["SAS_PERL"]) == ("1", "/usr/bin/perl")


def test_the_image_up_to_the_deposit_has_what_sas_asks_of_a_system_and_no_sas(sas_image: str) -> None:
    script = (
        "ldconfig -p | grep -c libcurl-gnutls.so.4; for name in ds9 xmgrace xterm with-sas lay-out-odf python3;"
        " do command -v $name || exit 1; done; perl -MSwitch -MShell -MCGI -e 1 || exit 1; test ! -e /opt/sas"
    )
    command = [
        "docker",
        "run",
        "--rm",
        "--network",
        "none",
        sas_image,
        "sh",
        "-c",
        f"PATH=$PATH:/sbin; {script}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "1"), done.stdout + done.stderr


def test_an_observation_is_laid_out_with_the_files_of_the_tar_within_it(
    sas_image: str, tmp_path: Path
) -> None:
    (tmp_path / "ODF").mkdir()
    (tmp_path / "ODF/manifest").write_text("1")
    (tmp_path / "inner.fit").write_text("2")
    subprocess.run(["tar", "-C", tmp_path, "-cf", tmp_path / "ODF/0070.TAR", "inner.fit"], check=True)
    mount = f"{tmp_path}/ODF:/in/odf:ro"
    script = "cd /tmp && lay-out-odf /in/odf && ls ODF"
    command = ["docker", "run", "--rm", "--network", "none", "-v", mount, sas_image, "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["inner.fit", "manifest"]


@pytest.mark.parametrize("name", ["xmm-sas", "integral-osa"])
def test_a_recipe_that_waits_lints_clean_and_its_lock_names_no_image(waiting: Thaw, name: str) -> None:
    assert waiting.ok("recipe", "lint", name)["findings"] == []
    assert waiting.ok("recipe", "lock", name, "--check")["locked"] is True
    (folder,) = (REPOSITORY / "recipes" / name).iterdir()
    assert read_lock(load_recipe(folder)).image is None


@pytest.mark.parametrize("name", DRAFTS)
def test_a_draft_says_what_is_missing_and_has_no_error(waiting: Thaw, name: str) -> None:
    findings = waiting.ok("recipe", "lint", name)["findings"]
    assert {finding["severity"] for finding in findings} <= {"advice"}
    (folder,) = (REPOSITORY / "recipes" / name).iterdir()
    assert load_recipe(folder).missing


def test_a_scientist_is_told_which_file_is_awaited(waiting: Thaw) -> None:
    ccf = waiting.home.parent / "ccf"
    ccf.mkdir()
    (ccf / "EPN_BADPIX_0001.CCF").write_bytes(b"SIMPLE  =                    T")
    waiting.ok("dataset", "add", "ccf", str(ccf), "--as-of", "2026-07-27")
    data = ["--dataset", f"odf={ccf}"]
    for command in (
        ["run", "xmm-sas", "odf-prepare", *data, "--calibration", "ccf=2026-07-27"],
        ["recipe", "build", "xmm-sas"],
    ):
        answer = waiting(*command)
        assert answer.status == 1
        assert '"code": "deposit-missing"' in answer.words
        assert (
            "xmm-sas/22.1.0 waits for the deposit 'heasoft': the file heasoft-6.36-env.tar.gz" in answer.words
        )
        assert "hand it in: thaw vault deposit xmm-sas heasoft FILE" in answer.words
    assert waiting.ok("runs")["runs"] == []


def test_a_missing_calibration_date_is_said_before_anything_else(own: Thaw, tmp_path: Path) -> None:
    ccf = tmp_path / "ccf"
    ccf.mkdir()
    (ccf / "EPN_BADPIX_0001.CCF").write_bytes(b"SIMPLE  =                    T")
    made = own.ok("dataset", "add", "ccf", str(ccf), "--as-of", "2026-07-27")
    assert (made["reference"], made["kept"]) == ("ccf.2026-07-27@1", True)
    for wanted in ([], ["--calibration", "ccf=2026-07-28"]):
        answer = own("run", "xmm-sas", "odf-prepare", "--dataset", f"odf={ccf}", *wanted)
        assert answer.status == 1
        assert '"code": "calibration-missing"' in answer.words
        assert "registered dates: 2026-07-27" in answer.words
    answer = own(
        "run", "xmm-sas", "epic-image", "--dataset", f"events={ccf}", "--calibration", "ccf=2026-07-27"
    )
    assert (answer.status, "needs no calibration 'ccf'" in answer.words) == (1, True)


def test_an_archive_that_cannot_be_reached_is_one_message(own: Thaw) -> None:
    alone = replace(own, before=("unshare", "-rn"))
    answer = alone("dataset", "add", "xmm:0999999999")
    assert (answer.status, '"code": "archive-unreachable"' in answer.words) == (1, True), answer.words
    assert "the XMM-Newton Science Archive did not give xmm:0999999999" in answer.words
    wrong = alone("dataset", "add", "xmm:123")
    assert (wrong.status, "expected its ten digits" in wrong.words) == (1, True)
    assert alone.ok("dataset", "list")["datasets"] == []


def test_a_truncated_archive_is_refused_by_its_size(own: Thaw, tmp_path: Path) -> None:
    file = tmp_path / "sas.tgz"
    file.touch()
    os.truncate(file, SAS_BYTES - 1)
    answer = own("vault", "deposit", "xmm-sas", "sas", str(file))
    assert (answer.status, '"code": "deposit-wrong"' in answer.words) == (1, True)
    assert "has 1,534,501,525 bytes: the deposit 'sas' has 1,534,501,526" in answer.words
    assert kept_by(own) == []


def test_an_archive_of_the_right_size_and_the_wrong_bytes_is_refused(own: Thaw, tmp_path: Path) -> None:
    file = tmp_path / "sas.tgz"
    file.touch()
    os.truncate(file, SAS_BYTES)
    answer = own("vault", "deposit", "xmm-sas", "sas", str(file))
    assert (answer.status, '"code": "deposit-wrong"' in answer.words) == (1, True)
    assert "expected sha256:f8085d71b0231b9b21fc7a4545746c948f4bc5920d7fa7cce953b2b560bed88c" in answer.words
    assert kept_by(own) == []


def test_an_archive_that_grows_while_it_is_read_is_refused(own: Thaw, tmp_path: Path) -> None:
    file, lock = tmp_path / "heasoft.tar.gz", own.recipes / "xmm-sas/22.1.0/recipe.lock.yaml"
    file.touch()
    os.truncate(file, 256 << 20)
    before, done = lock.read_bytes(), threading.Event()

    def grow() -> None:
        with file.open("ab") as stream:
            while not done.wait(0.002):
                stream.write(b"more")
                stream.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    answer = own("vault", "deposit", "xmm-sas", "heasoft", str(file))
    done.set()
    writer.join()
    assert (answer.status, '"code": "source-changed"' in answer.words) == (1, True), answer.words
    assert kept_by(own) == []
    assert lock.read_bytes() == before
