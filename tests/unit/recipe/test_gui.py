"""What a recipe says of its GUIs: OpenGL, parameter files, logs, and the screen they have to show."""

from __future__ import annotations

from pathlib import Path

import pytest

from instantiator.recipe.lint import run_checks
from instantiator.recipe.model import OpenGl
from tests.unit.recipe.samples import GUI_TEST, WITH_GUI, change, line_of, load, mistakes_of


def test_a_gui_says_who_draws_opengl_and_which_files_are_its_parameters_and_logs(tmp_path: Path) -> None:
    (gui,) = load(tmp_path, WITH_GUI).guis
    assert (gui.opengl, gui.parameter_files, gui.logs) == (
        OpenGl.SOFTWARE,
        ("FORGR*.KEY",),
        ("FORGR*.LOG",),
    )


def test_a_smoke_test_of_a_gui_has_datasets_and_a_picture(tmp_path: Path) -> None:
    _, test = load(tmp_path, WITH_GUI).smoke
    assert (test.gui, test.thread, test.datasets) == ("midas", "", ("m31",))
    assert (test.reference, test.least_similarity) == ("screenshot.png", 0.8)


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        ("gui: midas", "gui: mida", "gui: mida", "names no gui: 'mida' (did you mean 'midas'?)"),
        ("[m31]", "[m32]", "[m32]", "smoke test 'window' names no dataset: 'm32' (did you mean 'm31'?)"),
        ("screenshot.png", "screen.png", "screen.png", "'reference' in smoke test 'window' does not exist"),
        ("reference: screenshot.png", "title: x", "window:", "key 'gui' in smoke test 'window' needs reference"),
        ("    gui: midas\n", "", "window:", "needs exactly one of thread, gui: found none"),
        (
            "reference: screenshot.png",
            "reference: screenshot.png\n    least_similarity: 1.5",
            "least_similarity",
            "from 0.1 to 1",
        ),
        ("gui: midas", "gui: midas\n    inputs: {image: m31}", "window:", "key 'inputs' in"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_smoke_test_of_a_gui_is_told(
    tmp_path: Path, old: str, new: str, at: str, message: str
) -> None:
    head, test = WITH_GUI.removesuffix(GUI_TEST), change(old, new, text=GUI_TEST)
    line = head.count("\n") + line_of(test, at)
    found = mistakes_of(tmp_path, head + test)
    assert [one for one in found if message in one and one.startswith(f"{line}:")], found


def test_a_picture_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    text = change("reference: screenshot.png", "reference: data/m31", text=WITH_GUI)
    assert ["has to be a file" in one for one in mistakes_of(tmp_path, text)] == [True]


def test_a_web_application_has_no_screen_to_compare(tmp_path: Path) -> None:
    text = change("window_class: XTerm", "kind: web", text=WITH_GUI)
    (told,) = mistakes_of(tmp_path, text)
    assert told.endswith("names the web application 'midas', which has no screen to compare")


@pytest.mark.parametrize(
    ("packages", "findings"),
    [
        ("[eso-midas]", ["opengl-without-driver"]),
        ("[eso-midas, libgl1-mesa-dri]", []),
        ("[eso-midas, 'libgl1-mesa-dri:i386']", []),
    ],
)
def test_the_drivers_are_among_the_packages_by_their_name(
    tmp_path: Path, packages: str, findings: list[str]
) -> None:
    recipe = load(tmp_path, change("[eso-midas]", packages, text=WITH_GUI))
    found = [finding.check for finding in run_checks(recipe) if finding.check.startswith("opengl")]
    assert found == findings
