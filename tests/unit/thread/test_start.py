"""From what a user typed to a plan: every mistake is found before anything runs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.dataset import add_dataset
from instantiator.image.lock import Lock, LockedSource
from instantiator.job.spec import ImageDigest
from instantiator.recipe.model import InputType, Recipe, RecipeDataset, Thread
from instantiator.thread.errors import InputWrong
from instantiator.thread.plan import Environment
from instantiator.thread.start import Shelf, Started, assign_datasets, start_thread
from provenance.errors import ThawError
from tests.examples import FLATFIELD, HERE, MIDAS_IMAGE, midas_recipe, sha256
from tests.unit.thread.examples import LOCK, NOON, Desk, make_desk

ONE_INPUT = replace(FLATFIELD, inputs=(replace(FLATFIELD.inputs[0], type=InputType.DIRECTORY),))


def shelf_of(desk: Desk, brought: list[str] | None = None) -> Shelf:
    """The shelf of a desk; `brought` hears which sources were asked for."""
    folder = desk.bench.runs_dir.parent

    def bring(source: LockedSource, _lock: Lock) -> None:
        (brought if brought is not None else []).append(source.name)

    return Shelf(
        vault=desk.bench.vault,
        store=desk.bench.store,
        trees_dir=folder / "trees",
        scratch=folder / "scratch",
        bring=bring,
    )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_desk(tmp_path)


def start(
    desk: Desk,
    datasets: Mapping[str, str | Path],
    *,
    thread: Thread = FLATFIELD,
    recipe: Recipe | None = None,
    lock: Lock = LOCK,
    shelf: Shelf | None = None,
) -> Started:
    """Start a thread of MIDAS with the datasets a user named."""
    environment = Environment(lock=lock, lock_digest=lock.digest, image=ImageDigest(MIDAS_IMAGE.id))
    chosen = recipe or midas_recipe(Path("/recipes/midas/22SEP"))
    return start_thread(
        chosen, thread, environment, shelf or shelf_of(desk), datasets=datasets, parameters={"sigma": "2.5"}
    )


def test_a_path_becomes_a_dataset_and_an_input(desk: Desk) -> None:
    started = start(desk, {"frame": str(desk.frame.source / "m31.fits")})
    (recorded,) = started.plan.inputs
    assert (recorded.dataset, recorded.files, recorded.mount) == ("m31.fits@1", 1, "/in/frame")
    assert [path.name for path in started.sources["frame"].iterdir()] == ["m31.fits"]
    assert started.plan.parameters["sigma"] == 2.5


def test_a_name_goes_before_a_folder_of_that_name_beside_the_user(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = desk.bench
    add_dataset(desk.frame.source, vault=bench.vault, store=bench.store, now=NOON, name="m31")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "m31").mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    declared = replace(FLATFIELD.inputs[0], type=InputType.DIRECTORY, must_contain=("m31.fits",))
    thread = replace(FLATFIELD, inputs=(declared, FLATFIELD.inputs[1]))
    started = start(desk, {"frame": "m31"}, thread=thread)
    assert started.plan.inputs[0].dataset == "m31@1"


def test_a_folder_that_lacks_what_is_needed_is_refused_before_it_is_hashed(desk: Desk) -> None:
    declared = replace(FLATFIELD.inputs[0], type=InputType.DIRECTORY, must_contain=("session.json", "*.fits"))
    with pytest.raises(InputWrong) as refusal:
        start(desk, {"frame": str(desk.frame.source)}, thread=replace(FLATFIELD, inputs=(declared,)))
    assert refusal.value.message == "the folder is no raw frame: it lacks session.json"
    assert desk.bench.store.datasets() == ()


def test_an_input_the_thread_does_not_have_is_refused(desk: Desk) -> None:
    with pytest.raises(InputWrong) as refusal:
        start(desk, {"darks": "m31"})
    assert refusal.value.hint == "its inputs: frame, flats"


def test_a_wrong_parameter_is_told_before_a_dataset_is_touched(desk: Desk) -> None:
    environment = Environment(lock=LOCK, lock_digest=LOCK.digest, image=ImageDigest(MIDAS_IMAGE.id))
    with pytest.raises(ThawError, match="sigma"):
        start_thread(
            midas_recipe(Path("/recipes/midas/22SEP")),
            FLATFIELD,
            environment,
            shelf_of(desk),
            datasets={"frame": str(desk.frame.source)},
            parameters={"sigma": "many"},
        )
    assert desk.bench.store.datasets() == ()


def test_a_dataset_of_the_recipe_is_registered_on_its_first_use(desk: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "recipe/data/m31"
    folder.mkdir(parents=True)
    (folder / "m31.fits").write_bytes(b"SIMPLE  =                    T")
    own = RecipeDataset(
        location=HERE, name="m31", title="M 31", origin="La Silla, 1991\n", licence="CC0-1.0", path="data/m31"
    )
    recipe = replace(midas_recipe(tmp_path / "recipe"), datasets=(own,))
    assert start(desk, {"frame": "m31"}, recipe=recipe).plan.inputs[0].dataset == "m31@1"
    (dataset,) = desk.bench.store.datasets()
    assert (dataset.title, dataset.origin, dataset.licence) == ("M 31", "La Silla, 1991", "CC0-1.0")


def test_the_source_of_a_dataset_is_brought_where_the_vault_lacks_it(desk: Desk, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("m31.fits", b"SIMPLE  =                    T")
    content = packed.getvalue()
    desk.bench.vault.put_bytes(content)
    own = RecipeDataset(location=HERE, name="m31", title="M 31", origin="La Silla", source="frames")
    source = LockedSource(name="frames", file="f.zip", sha256=sha256(content), size=len(content))
    brought: list[str] = []
    start(
        desk,
        {"frame": "m31"},
        recipe=replace(midas_recipe(tmp_path / "recipe"), datasets=(own,)),
        lock=replace(LOCK, sources=(*LOCK.sources, source)),
        shelf=shelf_of(desk, brought),
    )
    assert brought == ["frames"]


@pytest.mark.parametrize(
    ("given", "assigned"),
    [
        ((), {}),
        (("m31",), {"frame": "m31"}),
        (("frame=m31",), {"frame": "m31"}),
        (("/data/a=b/m31",), {"frame": "/data/a=b/m31"}),
        (("frame=/data/a=b",), {"frame": "/data/a=b"}),
    ],
)
def test_the_dataset_of_the_only_input_need_not_name_it(
    given: tuple[str, ...], assigned: Mapping[str, str]
) -> None:
    assert assign_datasets(ONE_INPUT, given) == assigned


def test_of_several_inputs_each_is_named() -> None:
    assert assign_datasets(FLATFIELD, ("flats=f@2", "frame=m31")) == {"flats": "f@2", "frame": "m31"}


@pytest.mark.parametrize("given", [("m31",), ("darks=m31",)])
def test_a_dataset_that_could_be_for_either_input_is_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(InputWrong, match="It has: frame, flats"):
        assign_datasets(FLATFIELD, given)


@pytest.mark.parametrize("given", [("m31", "m33"), ("frame=m31", "frame=m33"), ("m31", "frame=m33")])
def test_two_datasets_for_one_input_are_refused_naming_both(given: tuple[str, ...]) -> None:
    with pytest.raises(InputWrong, match="given twice: m31 and m33"):
        assign_datasets(ONE_INPUT, given)


def test_a_thread_without_inputs_takes_no_dataset() -> None:
    with pytest.raises(InputWrong, match="It has: none"):
        assign_datasets(replace(FLATFIELD, inputs=()), ("m31",))
