"""Smoke tests: a real run's outputs looked at, and repeated."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.curate.smoke import SmokeBench, SmokeResult, look_at_output, run_smoke_tests
from instantiator.image.lock import lock_to_json
from instantiator.job.spec import ImageDigest
from instantiator.progress import Silent
from instantiator.recipe.model import CompareRule, Expectation, Recipe, RecipeDataset, SmokeTest
from instantiator.thread.errors import SmokeUnknown, VerifyCancelled
from instantiator.thread.plan import Environment
from provenance.digest import canonical_json, digest_bytes
from tests.examples import HERE, MIDAS_IMAGE, midas_recipe
from tests.fakes import FakeProcess
from tests.unit.curate.door import FakeDoor
from tests.unit.thread.examples import GOOD, LOCK, Desk, make_desk, program
from tests.unit.thread.test_verify import repeater_of, shelf_of

FLAT = Expectation(location=HERE, output="result", contains=("1 2 3",))
SMOKE = SmokeTest(
    location=HERE,
    name="m31",
    title="a frame of 1991 is flat",
    thread="flatfield",
    inputs={"frame": "m31-1991"},
    expect=(FLAT,),
)


@pytest.fixture
def midas(tmp_path: Path) -> Recipe:
    folder = tmp_path / "recipes/midas/22SEP"
    (folder / "data/m31").mkdir(parents=True)
    (folder / "data/m31/m31.fits").write_bytes(b"SIMPLE  =                    T")
    dataset = RecipeDataset(location=HERE, name="m31-1991", title="M 31", origin="ESO", path="data/m31")
    return replace(midas_recipe(folder), datasets=(dataset,), smoke=(SMOKE, replace(SMOKE, name="again")))


def smoke_bench(desk: Desk, run: Callable[[FakeProcess], int]) -> SmokeBench:
    """A smoke bench on a desk."""
    digest = desk.bench.vault.put_bytes(canonical_json(lock_to_json(LOCK)))
    environment = Environment(lock=LOCK, lock_digest=digest, image=ImageDigest(MIDAS_IMAGE.id))
    return SmokeBench(
        environment=environment,
        shelf=shelf_of(desk),
        repeater=repeater_of(desk, run),
        sessions=FakeDoor(desk.bench.runs_dir),
    )


def smoke(
    recipe: Recipe,
    desk: Desk,
    run: Callable[[FakeProcess], int] = GOOD,
    *,
    names: tuple[str, ...] = (),
    cancel: threading.Event | None = None,
) -> tuple[SmokeResult, ...]:
    """Run smoke tests of a recipe on a desk."""
    stop = cancel or threading.Event()
    return run_smoke_tests(recipe, smoke_bench(desk, run), Silent(), names=names, cancel=stop)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_desk(tmp_path / "state")


def test_a_run_that_is_as_expected_and_repeats_has_passed(midas: Recipe, desk: Desk) -> None:
    results = smoke(midas, desk)
    assert [(result.name, result.is_passed, result.verdict) for result in results] == [
        ("m31", True, "identical"),
        ("again", True, "identical"),
    ]
    assert results[0].findings == ("as expected: flat.txt says '1 2 3'",)


def test_only_those_asked_for_are_run(midas: Recipe, desk: Desk) -> None:
    assert [result.name for result in smoke(midas, desk, names=("again",))] == ["again"]


def test_an_unknown_test_names_those_there_are(midas: Recipe, desk: Desk) -> None:
    with pytest.raises(SmokeUnknown) as refusal:
        smoke(midas, desk, names=("m33", "m31"))
    assert (refusal.value.message, refusal.value.hint) == (
        "midas/22SEP has no smoke test m33",
        "it has: m31, again",
    )


def test_a_run_that_fails_is_a_failed_test_and_the_next_is_run_all_the_same(
    midas: Recipe, desk: Desk
) -> None:
    results = smoke(midas, desk, program({"flat.txt": b"nothing"}, status=1))
    assert [result.is_passed for result in results] == [False, False]
    assert results[0].findings == (
        "WRONG: the run is failed: exit status 1, expected 0",
        "WRONG: flat.txt says '1 2 3'",
    )


def test_a_missing_output_is_wrong(midas: Recipe, desk: Desk) -> None:
    (result, _) = smoke(midas, desk, program())
    assert "WRONG: output 'result' is missing" in result.findings


def test_a_run_that_is_as_expected_and_does_not_repeat_has_failed(midas: Recipe, desk: Desk) -> None:
    count = iter(range(100))

    def fickle(process: FakeProcess) -> int:
        return program({"flat.txt": f"1 2 3 {next(count)}\n".encode()})(process)

    (result, _) = smoke(midas, desk, fickle)
    assert (result.is_passed, result.verdict) == (False, "different")


def test_data_that_changed_since_it_was_registered_is_tested_as_it_is_now(midas: Recipe, desk: Desk) -> None:
    smoke(midas, desk, names=("m31",))
    (midas.folder / "data/m31/m31.fits").write_bytes(b"SIMPLE  =                    T, and new")
    (result,) = smoke(midas, desk, names=("m31",))
    assert desk.bench.store.run(result.run).inputs == {"frame": "m31-1991@2"}


def test_a_cancelled_test_has_neither_passed_nor_failed(midas: Recipe, desk: Desk) -> None:
    cancel = threading.Event()

    def stop(process: FakeProcess) -> int:
        cancel.set()
        process.wait(1)
        return 0

    with pytest.raises(VerifyCancelled, match="smoke test m31 was cancelled"):
        smoke(midas, desk, stop, cancel=cancel)
    assert len(desk.bench.store.runs(10)) == 1


def look(expectation: Expectation, folder: Path, content: bytes) -> list[tuple[bool, str]]:
    """What is found of an output with this content."""
    file = folder / "flat.txt"
    file.write_bytes(content)
    return list(look_at_output(expectation, folder, file))


def test_an_output_is_compared_with_its_digest(tmp_path: Path) -> None:
    expectation = Expectation(location=HERE, output="result", sha256=digest_bytes(b"1 2 3"))
    assert look(expectation, tmp_path, b"1 2 3") == [(True, f"flat.txt: {digest_bytes(b'1 2 3')}")]
    assert look(expectation, tmp_path, b"1 2 4")[0][0] is False


def test_an_output_is_compared_with_a_file_of_the_recipe_by_a_rule(tmp_path: Path) -> None:
    (tmp_path / "expected.csv").write_text("a,b\n1,2.00\n")
    rule = CompareRule(rule="table", options={"delimiter": ","})
    expectation = Expectation(location=HERE, output="result", file="expected.csv", compare=rule)
    ((is_right, text),) = look(expectation, tmp_path, b"a,b\n1,2.0\n")
    assert (is_right, text.startswith("flat.txt against expected.csv: ")) == (True, True)
    ((is_right, _),) = look(expectation, tmp_path, b"a,b\n1,2.1\n")
    assert not is_right


def test_every_line_it_must_hold_is_looked_for(tmp_path: Path) -> None:
    expectation = Expectation(location=HERE, output="result", contains=("MIDAS 22SEP", "no errors"))
    assert look(expectation, tmp_path, b"\xff MIDAS 22SEP\n3 errors") == [
        (True, "flat.txt says 'MIDAS 22SEP'"),
        (False, "flat.txt says 'no errors'"),
    ]
