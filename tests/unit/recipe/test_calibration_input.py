"""An input that is a calibration: a directory, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from instantiator.recipe.errors import RecipeInvalid
from instantiator.recipe.load import load_recipe
from tests.unit.recipe.samples import MIDAS

FRAME = "image: {type: fits, help: the raw image}"


def write(tmp_path: Path, frame: str) -> Path:
    folder = tmp_path / "midas/22SEP"
    (folder / "data/m31").mkdir(parents=True)
    (folder / "data/m31/frame.fits").write_bytes(b"SIMPLE")
    assert FRAME in MIDAS
    (folder / "recipe.yaml").write_text(MIDAS.replace(FRAME, frame))
    return folder


def test_a_directory_may_be_a_calibration(tmp_path: Path) -> None:
    folder = write(tmp_path, "image: {type: directory, help: flat fields, calibration: flats}")
    (thread,) = load_recipe(folder).threads
    assert thread.inputs[0].calibration == "flats"


def test_a_file_is_no_calibration(tmp_path: Path) -> None:
    folder = write(tmp_path, "image: {type: fits, help: flat field, calibration: flats}")
    with pytest.raises(RecipeInvalid, match="is for type directory, not fits"):
        load_recipe(folder)
