"""A recipe is read from its folder, with the types and the digest it is promised to have."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from instantiator.recipe.errors import RecipeInvalid, RecipeUnknown
from instantiator.recipe.load import find_recipe, find_recipes, load_recipe
from instantiator.recipe.model import CompareRule, InputType, ParameterType, Recipe
from provenance.digest import TreeEntry, digest_bytes, make_tree
from tests.unit.recipe.samples import MIDAS, change, load, write_recipe

RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.fixture
def midas(tmp_path: Path) -> Recipe:
    return load(tmp_path)


def test_a_recipe_knows_its_identity(midas: Recipe) -> None:
    assert (midas.id, midas.title, midas.licence) == ("midas/22SEP", "ESO-MIDAS", "GPL-2.0-or-later")


def test_what_is_left_out_takes_the_default_of_the_model(midas: Recipe) -> None:
    assert (midas.architecture, midas.mission, midas.threads[0].time_limit_s) == ("amd64", (), 3600)


def test_named_mappings_become_values_that_carry_their_name(midas: Recipe) -> None:
    (flatfield,) = midas.threads
    assert [parameter.name for parameter in flatfield.parameters] == ["gain", "mode", "start"]
    assert (flatfield.inputs[0].name, flatfield.inputs[0].type) == ("image", InputType.FITS)


def test_a_parameter_has_its_default_in_its_own_type(midas: Recipe) -> None:
    gain, mode, start = midas.threads[0].parameters
    assert (gain.type, gain.default, gain.minimum) == (ParameterType.FLOAT, 1.0, 0.1)
    assert (mode.default, start.default) == ("median", None)


def test_a_smoke_test_has_its_parameters_in_their_own_types(midas: Recipe) -> None:
    assert midas.smoke[0].parameters == {"gain": 2.0}
    assert isinstance(midas.smoke[0].parameters["gain"], float)


def test_a_comparison_keeps_its_options(tmp_path: Path) -> None:
    recipe = load(
        tmp_path, change("{rule: fits}", "{rule: table, delimiter: ',', rtol: 1e-6, columns: [flux]}")
    )
    rule = recipe.threads[0].outputs[0].compare
    assert rule == CompareRule(rule="table", options={"delimiter": ",", "rtol": 1e-6, "columns": ("flux",)})


def test_durations_and_sizes_become_seconds_and_mebibytes(tmp_path: Path) -> None:
    text = change(
        "    command: [flat",
        "    time_limit: 10 min\n    resources: {memory: 2 GiB, disk: 512MiB}\n    command: [flat",
    )
    thread = load(tmp_path, text).threads[0]
    assert (thread.time_limit_s, thread.resources.memory_mb, thread.resources.disk_mb) == (600, 2048, 512)


def test_a_version_is_the_text_that_stands_there(tmp_path: Path) -> None:
    folder = write_recipe(tmp_path, change("version: 22SEP", "version: 9.10"), version="9.10")
    assert load_recipe(folder).version == "9.10"


def test_an_argument_that_looks_like_a_number_stays_text(tmp_path: Path) -> None:
    recipe = load(tmp_path, change("[flat, ", "[flat, -n, 010, 1e3, "))
    assert recipe.threads[0].command[1:4] == ("-n", "010", "1e3")


def test_every_value_knows_its_line(tmp_path: Path) -> None:
    recipe = load(tmp_path)
    lines = MIDAS.splitlines()
    assert "flatfield:" in lines[recipe.threads[0].location.line - 1]
    assert "gain: {type" in lines[recipe.threads[0].parameters[0].location.line - 1]
    assert "output: flat" in lines[recipe.smoke[0].expect[0].location.line - 1]


def test_a_path_that_was_not_written_is_found_at_the_nearest_part(midas: Recipe) -> None:
    written = midas.at("threads.flatfield")
    assert midas.at("threads.flatfield.environment.HOME") == written
    assert midas.at("guis").line == 1


def test_aliases_give_what_stands_at_their_anchor(tmp_path: Path) -> None:
    text = change(
        "{rule: fits}}",
        "&dated {rule: fits}}\n      weight: {path: w.fits, media_type: image/fits, compare: *dated}",
    )
    first, second = load(tmp_path, text).threads[0].outputs
    assert first.compare == second.compare == CompareRule(rule="fits")


def test_the_digest_is_that_of_the_tree_of_the_files_that_count(tmp_path: Path) -> None:
    recipe = load(tmp_path)
    entries = {"recipe.yaml": MIDAS.encode(), "data/m31/m31.fits": b"SIMPLE  ="}
    tree = make_tree(TreeEntry(path=p, digest=digest_bytes(c), size=len(c)) for p, c in entries.items())
    assert recipe.digest == tree.digest


@pytest.mark.parametrize("path", ["README.md", "recipe.lock.yaml", "notes/plan.txt"])
def test_files_that_change_no_run_do_not_change_the_digest(tmp_path: Path, path: str) -> None:
    before = load(tmp_path).digest
    file = tmp_path / "recipes/midas/22SEP" / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("new")
    assert load(tmp_path).digest == before


@pytest.mark.parametrize("path", ["files/patch.diff", "smoke/expected.csv", "data/m31/more.fits"])
def test_files_that_can_change_a_run_change_the_digest(tmp_path: Path, path: str) -> None:
    before = load(tmp_path).digest
    file = tmp_path / "recipes/midas/22SEP" / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("new")
    assert load(tmp_path).digest != before


def test_times_do_not_change_the_digest_but_the_executable_bit_does(tmp_path: Path) -> None:
    before = load(tmp_path).digest
    file = tmp_path / "recipes/midas/22SEP/data/m31/m31.fits"
    os.utime(file, (0, 0))
    assert load(tmp_path).digest == before
    file.chmod(0o755)
    assert load(tmp_path).digest != before


def test_a_symbolic_link_in_a_recipe_is_refused(tmp_path: Path) -> None:
    folder = write_recipe(tmp_path)
    (folder / "data/m31/passwd").symlink_to("/etc/passwd")
    with pytest.raises(RecipeInvalid, match=r"data/m31/passwd is no plain file"):
        load_recipe(folder)


def test_the_newest_version_of_a_recipe_is_found_by_its_name(tmp_path: Path) -> None:
    for version in ("9.9", "9.10", "9.10rc1"):
        write_recipe(tmp_path, version=version)
    assert find_recipe(tmp_path / "recipes", "midas").name == "9.10"
    assert find_recipe(tmp_path / "recipes", "midas/9.9").name == "9.9"


def test_recipes_are_listed_by_name_and_from_old_to_new(tmp_path: Path) -> None:
    for name, version in (("midas", "22SEP"), ("midas", "95NOV"), ("iraf", "2.17"), ("iraf", "2.9")):
        write_recipe(tmp_path, name=name, version=version)
    (tmp_path / "recipes/notes").mkdir()
    found = [f"{folder.parent.name}/{folder.name}" for folder in find_recipes(tmp_path / "recipes")]
    assert found == ["iraf/2.9", "iraf/2.17", "midas/95NOV", "midas/22SEP"]


@pytest.mark.parametrize(
    ("asked", "near"),
    [("mdas", "midas"), ("MIDAS", "midas"), ("midas/22SEPT", "midas/22SEP"), ("../midas", "midas")],
)
def test_an_unknown_recipe_is_refused_with_the_nearest_name(tmp_path: Path, asked: str, near: str) -> None:
    write_recipe(tmp_path)
    with pytest.raises(RecipeUnknown) as caught:
        find_recipe(tmp_path / "recipes", asked)
    assert f"did you mean {near!r}?" in caught.value.message


def test_a_folder_without_a_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeUnknown, match="No such file"):
        load_recipe(tmp_path / "recipes/none/1")


@pytest.mark.parametrize("folder", find_recipes(RECIPES), ids=lambda f: f"{f.parent.name}/{f.name}")
def test_every_recipe_of_the_catalogue_loads(folder: Path) -> None:
    assert load_recipe(folder).id == f"{folder.parent.name}/{folder.name}"


def test_a_real_recipe_loads_in_milliseconds() -> None:
    folder = find_recipe(RECIPES, "rosetta-eps")
    load_recipe(folder)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        load_recipe(folder)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.015
