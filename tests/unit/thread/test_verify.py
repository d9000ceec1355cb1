"""A run repeated from its record alone, and judged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from instantiator.dataset import add_dataset
from instantiator.dataset.errors import DatasetChanged
from instantiator.engine import Engine
from instantiator.image.build import Workshop
from instantiator.image.errors import ImageDiffers
from instantiator.image.fetch import Mirrors
from instantiator.job.spec import JobEnd, JobResult, JobSpec
from instantiator.progress import Silent
from instantiator.thread.errors import CannotRepeat, InputWrong, VerifyCancelled
from instantiator.thread.judge import judge_folder
from instantiator.thread.plan import GivenInput
from instantiator.thread.run import FinishedRun
from instantiator.thread.start import Shelf
from instantiator.thread.verify import Repeater, Verified, read_record, replace_inputs, verify_run
from provenance.compare import Grade
from provenance.digest import Digest
from provenance.errors import ObjectMissing, ObjectRotten
from provenance.record import Record, RecordedInput
from provenance.verdict import verdict_from_bytes
from tests.examples import MIDAS_IMAGE, digest_of
from tests.fakes import FakeBackend, FakeProcess
from tests.unit.thread.examples import GOOD, LOCK, NOON, Desk, make_desk, program


class FakeEngine:
    """An engine that holds MIDAS."""

    def has_image(self, image: str, name: str, layers: tuple[str, ...] = ()) -> bool:
        return (image, name) == (MIDAS_IMAGE.id, LOCK.image_name)


def repeater_of(desk: Desk, run: Callable[[FakeProcess], int] = GOOD) -> Repeater:
    """What repeats runs of a desk; `run` is what the program does this time."""
    backend = FakeBackend({"/thaw/script": run})
    workshop = Workshop(
        vault=desk.bench.vault,
        engine=cast(Engine, FakeEngine()),
        scratch=desk.bench.runs_dir.parent / "scratch",
    )
    return Repeater(
        bench=replace(desk.bench, backend=backend),
        workshop=workshop,
        mirrors=Mirrors(debian="file:///nowhere"),
        trees_dir=desk.bench.runs_dir.parent / "trees",
    )


def verify(
    desk: Desk,
    record: Record,
    run: Callable[[FakeProcess], int] = GOOD,
    *,
    cancel: threading.Event | None = None,
    instead: Mapping[str, RecordedInput] | None = None,
) -> Verified:
    """Verify a record; `run` is what the program does this time."""
    return verify_run(
        record,
        repeater_of(desk, run),
        Silent(),
        cancel=cancel or threading.Event(),
        hear=lambda _content: None,
        instead=instead,
    )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_desk(tmp_path)


@pytest.fixture
def first(desk: Desk) -> FinishedRun:
    return desk.run()


def test_a_run_that_gives_the_same_bytes_is_identical(desk: Desk, first: FinishedRun) -> None:
    verified = verify(desk, first.record)
    assert (verified.verdict.grade, verified.verdict.reason) == (Grade.IDENTICAL, "")
    assert verified.repeat.record.repeats == first.run


def test_the_verdict_is_kept_and_can_be_read_again(desk: Desk, first: FinishedRun) -> None:
    verified = verify(desk, first.record)
    assert verdict_from_bytes(desk.bench.vault.read_bytes(verified.digest)) == verified.verdict
    (row,) = desk.bench.store.verdicts(first.run)
    assert (row.grade, row.repeated_by, row.verdict) == ("identical", verified.repeat.run, verified.digest)


def test_a_line_the_rule_ignores_makes_no_difference(desk: Desk, first: FinishedRun) -> None:
    later = program({"flat.txt": b"# made tomorrow\n1 2 3\n", "logs/a.log": b"fine\n"})
    verdict = verify(desk, first.record, later).verdict
    assert [(output.path, output.grade) for output in verdict.outputs] == [
        ("flat.txt", Grade.IDENTICAL),
        ("logs/a.log", Grade.IDENTICAL),
    ]


def test_one_changed_value_is_different_and_is_named(desk: Desk, first: FinishedRun) -> None:
    wrong = program({"flat.txt": b"# made today\n1 2 4\n", "logs/a.log": b"fine\n"})
    verdict = verify(desk, first.record, wrong).verdict
    (flat,) = [output for output in verdict.outputs if output.path == "flat.txt"]
    assert (verdict.grade, flat.rule) == (Grade.DIFFERENT, "text")
    assert "1 2 4" in str(flat.comparison.differences[0])


def test_an_output_that_is_not_there_is_missing(desk: Desk, first: FinishedRun) -> None:
    less = program({"flat.txt": b"# made today\n1 2 3\n"})
    verdict = verify(desk, first.record, less).verdict
    assert (verdict.grade, verdict.outputs[1].grade) == (Grade.MISSING, Grade.MISSING)


def test_an_output_more_is_different(desk: Desk, first: FinishedRun) -> None:
    files = {"flat.txt": b"# made today\n1 2 3\n", "logs/a.log": b"fine\n", "logs/b.log": b"?"}
    assert verify(desk, first.record, program(files)).verdict.grade is Grade.DIFFERENT


def test_a_repeat_that_ends_otherwise_is_different_whatever_its_outputs_say(
    desk: Desk, first: FinishedRun
) -> None:
    files = {"flat.txt": b"# made today\n1 2 3\n", "logs/a.log": b"fine\n"}
    verdict = verify(desk, first.record, program(files, status=3)).verdict
    assert verdict.grade is Grade.DIFFERENT
    assert verdict.reason == (
        "the run completed with exit status 0, "
        "its repeat failed with exit status 3: exit status 3, expected 0"
    )


def test_a_failed_run_that_fails_alike_is_identical(tmp_path: Path) -> None:
    fails = program({"flat.txt": b"1"}, says="*** ERR no flat\n")
    desk = make_desk(tmp_path, fails)
    assert verify(desk, desk.run().record, fails).verdict.grade is Grade.IDENTICAL


def test_a_cancelled_repeat_is_no_verdict(desk: Desk, first: FinishedRun) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(VerifyCancelled) as stop:
        verify(desk, first.record, cancel=cancel)
    assert stop.value.hint == f"verify it again: thaw verify {first.run}"
    assert desk.bench.store.verdicts(first.run) == ()


def test_a_repeat_whose_engine_was_lost_is_no_verdict(desk: Desk, first: FinishedRun) -> None:
    class Lost(FakeBackend):
        def execute(self, job: JobSpec, **_rest: object) -> JobResult:
            return JobResult(end=JobEnd.ENGINE_LOST, exit_status=None, message="it went away", wall_s=0)

    repeater = repeater_of(desk)
    lost = replace(repeater, bench=replace(repeater.bench, backend=Lost({})))
    with pytest.raises(CannotRepeat, match="interrupted: it went away"):
        verify_run(first.record, lost, Silent(), cancel=threading.Event(), hear=lambda _content: None)
    assert desk.bench.store.verdicts(first.run) == ()


def spoil(desk: Desk, digest: Digest, *, gone: bool = False) -> None:
    """Flip a bit of an object, or remove it."""
    path = desk.bench.vault.path(digest)
    content = path.read_bytes()
    path.unlink()
    if not gone:
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


@pytest.mark.parametrize(
    ("content", "use"),
    [
        (b"SIMPLE  =                    T", "input frame, file m31.fits of dataset m31-1991@1"),
        (b"# made today\n1 2 3\n", "output result, file flat.txt"),
    ],
)
def test_one_flipped_bit_stops_a_repeat_and_names_object_and_user(
    desk: Desk, first: FinishedRun, content: bytes, use: str
) -> None:
    spoil(desk, digest_of(content))
    with pytest.raises(ObjectRotten) as refusal:
        verify(desk, first.record)
    assert digest_of(content)[7:] in str(refusal.value)
    assert f"run {first.run}: {use}" in str(refusal.value)


def test_a_missing_script_stops_a_repeat(desk: Desk, first: FinishedRun) -> None:
    assert first.record.job.script is not None
    spoil(desk, first.record.job.script, gone=True)
    with pytest.raises(ObjectMissing, match=f"run {first.run}: script"):
        verify(desk, first.record)


def test_a_record_that_names_another_image_than_its_lock_is_refused(desk: Desk, first: FinishedRun) -> None:
    forged = replace(first.record, image="sha256:" + 64 * "f")
    with pytest.raises(ImageDiffers, match="its lock names"):
        verify(desk, forged)


def test_a_repeat_on_other_data_is_different_even_where_its_outputs_are_the_same(
    desk: Desk, first: FinishedRun, tmp_path: Path
) -> None:
    (tmp_path / "m33").mkdir()
    (tmp_path / "m33/m31.fits").write_bytes(b"SIMPLE  =                    F")
    shelf = shelf_of(desk)
    instead = replace_inputs(first.record, (f"frame={tmp_path / 'm33'}",), shelf)
    verdict = verify(desk, first.record, instead=instead).verdict
    assert verdict.grade is Grade.DIFFERENT
    assert verdict.reason.startswith("repeated on other data: frame is m33@1 (sha256:")
    assert {output.grade for output in verdict.outputs} == {Grade.IDENTICAL}


@pytest.fixture
def on_reference(desk: Desk, tmp_path: Path) -> FinishedRun:
    """A run on a dataset whose bytes the vault does not have."""
    large = tmp_path / "large"
    large.mkdir()
    (large / "m31.fits").write_bytes(b"a very large frame")
    bench = desk.bench
    dataset = add_dataset(large, vault=bench.vault, store=bench.store, now=NOON, keep=False)
    tree = bench.vault.read_tree(dataset.digest)
    return replace(desk, frame=GivenInput(dataset=dataset.reference, tree=tree, source=large)).run()


def test_a_run_on_a_reference_is_repeated_on_the_files_where_they_are(
    desk: Desk, on_reference: FinishedRun, tmp_path: Path
) -> None:
    assert not desk.bench.vault.has(digest_of(b"a very large frame"))
    repeater = repeater_of(desk)
    verified = verify_run(
        on_reference.record, repeater, Silent(), cancel=threading.Event(), hear=lambda _content: None
    )
    assert verified.verdict.grade is Grade.IDENTICAL
    backend = cast(FakeBackend, repeater.bench.backend)
    assert backend.executed[-1].mounts[0].source == tmp_path / "large"


def test_a_reference_that_changed_stops_a_repeat(
    desk: Desk, on_reference: FinishedRun, tmp_path: Path
) -> None:
    (tmp_path / "large/m31.fits").write_bytes(b"a very large flame")
    with pytest.raises(DatasetChanged):
        verify(desk, on_reference.record)


def shelf_of(desk: Desk) -> Shelf:
    """The shelf of a desk; nothing has to be brought."""
    folder = desk.bench.runs_dir.parent
    return Shelf(
        vault=desk.bench.vault,
        store=desk.bench.store,
        trees_dir=folder / "trees",
        scratch=folder / "scratch",
        bring=lambda _source, _lock: None,
    )


def test_the_only_input_need_not_be_named(desk: Desk, first: FinishedRun) -> None:
    instead = replace_inputs(first.record, (str(desk.frame.source),), shelf_of(desk))
    assert instead["frame"].digest == first.record.inputs[0].digest


@pytest.mark.parametrize("given", [("frame={}", "frame={}"), ("{}", "{}")])
def test_an_input_given_twice_is_refused(desk: Desk, first: FinishedRun, given: tuple[str, ...]) -> None:
    texts = tuple(text.format(desk.frame.source) for text in given)
    with pytest.raises(InputWrong, match="is given twice"):
        replace_inputs(first.record, texts, shelf_of(desk))


def test_an_input_the_run_did_not_have_is_refused(desk: Desk, first: FinishedRun) -> None:
    flats = replace(first.record.inputs[0], name="flats")
    record = replace(first.record, inputs=(*first.record.inputs, flats))
    with pytest.raises(InputWrong) as refusal:
        replace_inputs(record, ("darks=m31",), shelf_of(desk))
    assert refusal.value.hint == "write INPUT=DATASET; its inputs: frame, flats"


def test_the_record_of_an_unfinished_run_is_not_there_yet(desk: Desk, first: FinishedRun) -> None:
    row = replace(desk.bench.store.run(first.run), record=None)
    with pytest.raises(CannotRepeat) as refusal:
        read_record(row, desk.bench.vault)
    assert refusal.value.hint == f"wait for it: thaw show {first.run}"


def test_files_on_disk_are_judged_without_running_anything(desk: Desk, first: FinishedRun) -> None:
    verdict = judge_folder(first.record, first.out, desk.bench.vault)
    assert (verdict.grade, verdict.repeated_by) == (Grade.IDENTICAL, "")
    assert len(desk.backend.executed) == 1


def test_one_changed_byte_of_a_delivered_file_is_found(desk: Desk, first: FinishedRun) -> None:
    (first.out / "logs/a.log").write_bytes(b"fine!\n")
    (first.out / "extra.txt").write_text("nobody declared it")
    verdict = judge_folder(first.record, first.out, desk.bench.vault)
    assert [(output.path, output.grade) for output in verdict.outputs] == [
        ("flat.txt", Grade.IDENTICAL),
        ("logs/a.log", Grade.DIFFERENT),
    ]


def test_a_folder_that_is_not_there_is_refused(desk: Desk, first: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(InputWrong, match="no such folder"):
        judge_folder(first.record, tmp_path / "nowhere", desk.bench.vault)


def test_a_rotten_expected_output_is_not_taken_for_a_difference(desk: Desk, first: FinishedRun) -> None:
    spoil(desk, digest_of(b"fine\n"))
    with pytest.raises(ObjectRotten, match=r"output logs, file logs/a\.log"):
        judge_folder(first.record, first.out, desk.bench.vault)
