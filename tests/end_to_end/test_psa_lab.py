"""The recipe psa-lab: a real JupyterLab in a real Chromium through the gateway, and tutorials that notice their rot."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from provenance.compare import Comparison, Grade, compare_files
from provenance.record import record_from_bytes
from provenance.vault import Vault
from tests.end_to_end.browser import Browser, chromium, install_scripts
from tests.end_to_end.conftest import REPOSITORY, Thaw
from tests.end_to_end.serving import Service, Visitor, home_others_can_reach, serving, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.network]
FOLDER = REPOSITORY / "recipes/psa-lab/4.6.6"
TUTORIALS = FOLDER / "files/opt/psa-lab/tutorials"
SMOKE = {"comet-colours", "virtis-times", "first-look"}
TYPED = "import os; print('files:', sorted(os.listdir('/in/comet_colours')), 'may write:', os.access('/in', os.W_OK))"
PRINTED = "files: ['colors.tab', 'colors.xml'] may write: False"


@pytest.fixture(scope="module")
def lab_thaw() -> Iterator[Thaw]:
    """A Thaw whose engine has the image of psa-lab."""
    with home_others_can_reach() as home:
        made = Thaw(home=home)
        made.ok("recipe", "build", "psa-lab")
        yield made


@pytest.fixture(scope="module")
def tutorial(lab_thaw: Thaw) -> Path:
    """The tutorial on comets as a run of today gives it."""
    given = "comet_colours=comet_colours"
    run = str(lab_thaw.ok("run", "psa-lab", "comet-colours", "--dataset", given)["run"])
    return lab_thaw.home / "runs" / run / "out/comet-colours.ipynb"


def judge(found: Path) -> Comparison:
    return compare_files("notebook", {"rtol": 1e-9}, expected=TUTORIALS / "comet-colours.ipynb", found=found)


def test_the_image_is_the_one_its_committed_lock_names_and_the_recipe_lints_clean(lab_thaw: Thaw) -> None:
    assert lab_thaw.ok("recipe", "lock", "psa-lab", "--check")["locked"] is True
    assert lab_thaw.ok("recipe", "lint", "psa-lab")["findings"] == []


def test_every_tutorial_gives_its_recorded_outputs(lab_thaw: Thaw) -> None:
    told = lab_thaw.ok("recipe", "test", "psa-lab")
    assert {test["name"]: test["verdict"] for test in told["tests"]} == dict.fromkeys(SMOKE, "identical")
    assert told["passed"] is True


def test_a_tutorial_is_compared_in_every_output_and_picture(tutorial: Path) -> None:
    comparison = judge(tutorial)
    assert comparison.grade is Grade.IDENTICAL
    assert (comparison.measures["cells_compared"], comparison.measures["images_compared"]) == (15, 1)
    assert comparison.measures["values_compared"] > 50


def test_a_tutorial_that_rots_is_noticed(tutorial: Path, tmp_path: Path) -> None:
    text = tutorial.read_text()
    assert text.count("0.4601") == 2, "in the table, as text and as HTML"
    rotten = tmp_path / "comet-colours.ipynb"
    rotten.write_text(text.replace("0.4601", "0.4602", 1))
    comparison = judge(rotten)
    assert (comparison.grade, comparison.differences_total) == (Grade.DIFFERENT, 1)
    assert "cell 12" in comparison.explanation and "0.4602" in comparison.explanation


def test_a_cell_that_fails_fails_the_run_and_is_kept(lab_thaw: Thaw, tmp_path: Path) -> None:
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "a",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
    }
    cells = [{**cell, "source": "import pandas"}, {**cell, "id": "b", "source": "pandas.no_such_thing"}]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    broken = tmp_path / "mine.ipynb"
    broken.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    answer = lab_thaw("run", "psa-lab", "notebook", "--dataset", f"notebook={broken}")
    assert (answer.status, answer.data["state"]) == (1, "failed")
    out = lab_thaw.home / "runs" / answer.data["run"] / "out/notebook.ipynb"
    (error,) = json.loads(out.read_text())["cells"][1]["outputs"]
    assert (error["output_type"], error["ename"]) == ("error", "AttributeError")


@pytest.fixture(scope="module")
def service(lab_thaw: Thaw) -> Iterator[Service]:
    with serving(lab_thaw) as running:
        yield running


@pytest.fixture(scope="module")
def ada(service: Service) -> Visitor:
    return service.log_in()


@pytest.fixture(scope="module")
def lab(ada: Visitor) -> str:
    """A session of the lab on the data of the tutorial."""
    asked = {"recipe": "psa-lab/4.6.6", "gui": "lab", "datasets": ["comet_colours"], "workspace": "comets"}
    answer = ada.send("POST", "/api/sessions", json=asked)
    assert answer.status_code in (200, 201, 202), answer.text
    session = str(answer.json()["id"])
    wait_until(lambda: ada.state(session)["state"] in ("ready", "failed"), within_s=120)
    assert ada.state(session)["state"] == "ready", ada.state(session)
    return session


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(install_scripts(tmp_path_factory.mktemp("scripts"))) as running:
        yield running


def content(ada: Visitor, session: str, path: str) -> str:
    """A file of the workspace as it is now, which may be half written."""
    return ada.get(f"/api/sessions/{session}/files/content", params={"path": path}).text


def test_a_cell_is_typed_run_and_saved_in_the_browser_and_the_record_lists_the_notebook(
    service: Service, ada: Visitor, lab: str, browser: Browser
) -> None:
    tutorial = "tutorials/comet-colours.ipynb"
    browser("goto", url=service.login_url())
    browser("goto", url=f"{service.base}/lab/{lab}/lab/tree/{tutorial}")
    browser("appear", on=".jp-NotebookPanel .jp-OutputArea img", timeout=120000)
    browser("appear", on=".jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=120000)
    browser("click", on=".jp-Cell:first-child .jp-RenderedMarkdown")
    for key in ("Escape", "b", "Enter"):
        browser("press", key=key)
    browser("type", text=TYPED)
    browser("press", key="Shift+Enter")
    browser("until", on=".jp-Cell:nth-child(2) .jp-OutputArea-output", text=PRINTED, timeout=120000)
    browser("press", key="Control+s")
    wait_until(lambda: PRINTED in content(ada, lab, tutorial), within_s=30)
    wait_until(lambda: content(ada, lab, tutorial).endswith("}\n"))
    assert len(json.loads(content(ada, lab, tutorial))["cells"]) == 16
    assert [text for text in browser("problems") if "Content Security Policy" not in text] == []

    ended = ada.send("POST", f"/api/sessions/{lab}/end").json()
    assert ended["state"] == "ended", ended
    record = record_from_bytes(Vault(service.thaw.home / "vault").read_bytes(ended["record"]))
    paths = [output.path for output in record.outputs]
    assert {tutorial, "tutorials/virtis-times.ipynb"} <= set(paths)
    assert [path for path in paths if re.search("secret|signature|runtime|cache", path)] == []
    assert record.job.environment["THAW_WEB_PATH"] == f"/lab/{lab}/"
    assert [item.mount for item in record.inputs] == ["/in/comet_colours"]
