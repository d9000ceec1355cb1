"""Outputs handed over: all of them into a folder of their own, or none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from instantiator.thread.deliver import deliver_outputs, refuse_taken
from instantiator.thread.errors import OutputFolderTaken
from instantiator.thread.run import FinishedRun
from tests.unit.thread.examples import make_desk


@pytest.fixture
def finished(tmp_path: Path) -> FinishedRun:
    run = make_desk(tmp_path / "state").run()
    (run.out / "undeclared.tmp").write_text("no output")
    return run


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("target", ["results", "new/folders/results"])
def test_the_declared_outputs_are_copied_with_their_folders(
    finished: FinishedRun, tmp_path: Path, target: str
) -> None:
    assert deliver_outputs(finished, tmp_path / target) == tmp_path / target
    assert listing(tmp_path / target) == ["flat.txt", "logs/a.log"]
    assert (tmp_path / target / "logs/a.log").read_bytes() == b"fine\n"


def test_without_a_target_they_stay_in_the_runs_own_folder(finished: FinishedRun) -> None:
    assert deliver_outputs(finished, None) == finished.out


def test_an_empty_folder_is_a_target(finished: FinishedRun, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refuse_taken(tmp_path / "empty")
    deliver_outputs(finished, tmp_path / "empty")
    assert listing(tmp_path / "empty") == ["flat.txt", "logs/a.log"]


@pytest.mark.parametrize("kind", ["file", "folder", "hidden"])
def test_a_folder_that_holds_something_is_refused_before_anything_runs(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "results"
    if kind == "file":
        target.write_text("precious")
    else:
        target.mkdir()
        (target / (".hidden" if kind == "hidden" else "flat.txt")).write_text("precious")
    with pytest.raises(OutputFolderTaken) as refusal:
        refuse_taken(target)
    assert refusal.value.where == str(target)


def test_a_folder_filled_meanwhile_keeps_its_files_and_gets_none(
    finished: FinishedRun, tmp_path: Path
) -> None:
    target = tmp_path / "results"
    target.mkdir()
    (target / "theirs.txt").write_text("of another run")
    with pytest.raises(OSError, match="not empty"):
        deliver_outputs(finished, target)
    assert listing(target) == ["theirs.txt"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_delivery_that_breaks_off_leaves_nothing(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    copy = shutil.copyfile

    def break_off(source: Path, target: Path) -> object:
        if source.name == "a.log":
            raise error
        return copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", break_off)
    with pytest.raises(type(error)):
        deliver_outputs(finished, tmp_path / "results")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]
