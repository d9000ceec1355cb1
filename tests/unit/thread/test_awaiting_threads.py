"""The threads of recipes whose software is awaited: their scripts as reviewed, what they refuse, what they ask for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from instantiator.recipe.errors import ParameterInvalid
from instantiator.recipe.lint import run_checks
from instantiator.recipe.load import load_recipe
from instantiator.recipe.model import Recipe
from instantiator.recipe.parameters import parse_parameters
from instantiator.recipe.template import TemplateContext, render_script
from instantiator.thread.errors import InputWrong
from instantiator.thread.plan import INPUT_ROOT, OUT, SCRIPT, WORK, find_thread
from instantiator.thread.start import assign_calibrations

RECIPES = Path(__file__).parents[3] / "recipes"
FOLDERS = {"xmm-sas": "22.1.0", "integral-osa": "11.2"}
LOCKMAN = {"ra": "163.18", "dec": "57.48"}
CASES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("xmm-sas", "odf-prepare"): {},
    ("xmm-sas", "epic-reduce"): {"cameras": "mos"},
    ("xmm-sas", "epic-filter"): {"camera": "mos1"},
    ("xmm-sas", "epic-image"): {},
    ("xmm-sas", "epic-lightcurve"): LOCKMAN,
    ("xmm-sas", "epic-spectrum"): {"camera": "pn", **LOCKMAN},
    ("xmm-sas", "source-detect"): {},
    ("xmm-sas", "rgs-reduce"): {},
    ("xmm-sas", "om-reduce"): {"mode": "grism"},
    ("integral-osa", "ibis-image"): {},
    ("integral-osa", "ibis-spectrum"): {},
    ("integral-osa", "ibis-lightcurve"): {},
    ("integral-osa", "jemx-image"): {"unit": "2"},
    ("integral-osa", "spi-spectrum"): {"energies": "25.00,50.00,100.00,400.00"},
    ("integral-osa", "omc-photometry"): {},
}
REFUSED = [
    ("xmm-sas", "epic-filter", {"camera": "mos3"}),
    ("xmm-sas", "epic-filter", {}),
    ("xmm-sas", "epic-filter", {"camera": "pn", "energy_max": "20001"}),
    ("xmm-sas", "epic-lightcurve", {"ra": "361", "dec": "0"}),
    ("xmm-sas", "epic-spectrum", {"camera": "pn", "ra": "1", "dec": "-91"}),
    ("xmm-sas", "epic-image", {"pixel": "0"}),
    ("xmm-sas", "source-detect", {"likelihood": "nan"}),
    ("xmm-sas", "rgs-reduce", {"orders": "1; rm -r /"}),
    ("xmm-sas", "om-reduce", {"mode": "movie"}),
    ("integral-osa", "ibis-image", {"energy_min": "1"}),
    ("integral-osa", "jemx-image", {"unit": "3"}),
    ("integral-osa", "spi-spectrum", {"energies": "25.00"}),
    ("integral-osa", "spi-spectrum", {"energies": "25,$(id)"}),
]


def recipe_of(name: str) -> Recipe:
    """The committed recipe."""
    return load_recipe(RECIPES / name / FOLDERS[name])


# Each tells how it was called, and nothing more; those that later lines rely on leave the folder or file they need.
TASKS = (
    "arfgen", "atthkgen", "backscale", "cifbuild", "cp", "edetect_chain", "emproc", "epproc", "evselect",
    "ibis_science_analysis", "jemx_science_analysis", "lay-out-odf", "lay-out-osa", "mv", "odfingest", "og_create",
    "omc_science_analysis", "omfchain", "omgchain", "omichain", "rgsproc", "rmfgen", "specgroup",
    "spi_science_analysis", "tabgtigen",
)  # fmt: skip
LEFT = {
    "lay-out-odf": "/bin/mkdir -p ODF; : > ODF/0070_SUM.SAS",
    "lay-out-osa": "/bin/mkdir -p rep",
    "og_create": "/bin/mkdir -p obs/thaw",
}


def calls_of(script: str, folder: Path) -> str:
    """Every command line of a script with its last argument, as a shell makes them; no program is there to do it."""
    tools = folder / "tools"
    for path in (tools, folder / "work", folder / "out"):
        path.mkdir()
    for task in TASKS:
        tell = f'printf \'%s\' {task}; for word in "$@"; do printf " \'%s\'" "$word"; done; echo'
        (tools / task).write_text(f"#!/bin/sh\n{tell}\n{LEFT.get(task, '')}\n")
        (tools / task).chmod(0o755)
    search = f"{tools}:/usr/bin:/bin"
    done = subprocess.run(
        ["/bin/sh", "-s"], input=script, env={"PATH": search}, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.replace(f"{folder}/", "/")


def render(recipe: Recipe, name: str, values: Mapping[str, str], root: str = "") -> str:
    """The script of a thread, with its folders below `root`."""
    thread = find_thread(recipe, name)
    assert thread.script is not None
    context = TemplateContext(
        params=parse_parameters(thread, values),
        inputs={
            item.name: f"{INPUT_ROOT}/{item.name}" + ("/input.fits" if item.type == "fits" else "")
            for item in thread.inputs
        },
        out=f"{root}{OUT}",
        work=f"{root}{WORK}",
    )
    return render_script(thread.script, context)


def describe_thread(recipe: Recipe, name: str, values: Mapping[str, str], folder: Path) -> str:
    """What would be executed: the argv, the variables, the whole script, and every command line it comes to."""
    script = find_thread(recipe, name).script
    assert script is not None
    command = " ".join([*script.command, SCRIPT])
    variables = "".join(f"{key}={value}\n" for key, value in sorted(recipe.environment.items()))
    calls = calls_of(render(recipe, name, values, str(folder)), folder)
    return (
        f"== command\n{command}\n== environment\n{variables}== script\n{render(recipe, name, values)}"
        f"== command lines\n{calls}"
    )


@pytest.mark.parametrize(("name", "thread"), CASES)
def test_what_a_thread_would_execute_is_as_reviewed(
    name: str, thread: str, tmp_path: Path, check_golden: Callable[[str, str], None]
) -> None:
    text = describe_thread(recipe_of(name), thread, CASES[name, thread], tmp_path)
    check_golden(f"{name}/{thread}.txt", text)


@pytest.mark.parametrize("name", FOLDERS)
def test_every_thread_has_been_reviewed(name: str) -> None:
    threads = {(name, thread.name) for thread in recipe_of(name).threads}
    assert threads == {case for case in CASES if case[0] == name}


@pytest.mark.parametrize(("name", "thread", "values"), REFUSED)
def test_values_out_of_range_are_refused(name: str, thread: str, values: Mapping[str, str]) -> None:
    with pytest.raises(ParameterInvalid):
        parse_parameters(find_thread(recipe_of(name), thread), values)


@pytest.mark.parametrize(
    ("name", "calibrations"), [("xmm-sas", {"ccf"}), ("integral-osa", {"integral-ic", "integral-cat"})]
)
def test_a_thread_says_which_calibrations_it_needs(name: str, calibrations: set[str]) -> None:
    found = {item.calibration for thread in recipe_of(name).threads for item in thread.inputs}
    assert found - {""} == calibrations


def test_a_date_goes_to_the_input_that_is_the_calibration() -> None:
    thread = find_thread(recipe_of("integral-osa"), "ibis-image")
    assert assign_calibrations(thread, {"integral-ic": "2026-07-27"}) == {"ic": "integral-ic@2026-07-27"}
    with pytest.raises(InputWrong, match="needs no calibration 'ccf'"):
        assign_calibrations(thread, {"ccf": "2026-07-27"})


def test_a_recipe_that_waits_has_no_smoke_test_and_so_no_verdict() -> None:
    assert all(not recipe_of(name).smoke and recipe_of(name).deposits for name in FOLDERS)


def test_the_environment_of_sas_is_what_its_setup_script_would_set() -> None:
    root = "/opt/sas/xmmsas_22.1.0-a8f2c2afa-20250304"
    found = recipe_of("xmm-sas").environment
    assert found["SAS_DIR"] == found["SAS_PATH"] == root
    assert found["PATH"].split(":")[:3] == [f"{root}/binextra", f"{root}/bin", f"{root}/bin/devel"]
    assert found["LD_LIBRARY_PATH"] == f"{root}/libextra:{root}/lib"
    assert found["PYTHONPATH"] == f"{root}/lib/python"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_recipe_that_waits_for_its_software_lints_clean_without_smoke_tests(name: str) -> None:
    assert run_checks(recipe_of(name)) == ()
