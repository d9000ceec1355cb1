"""The journal of evidence: added to, read back, and read past what a kill or a power cut left."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from instantiator.commands.common import Bench
from instantiator.commands.evidence import note
from instantiator.evidence import Evidence, EvidenceMisnamed, note_evidence, read_evidence

DS9 = Evidence(
    kind="rebuild",
    recipe="saoimage-ds9/8.4.1",
    image="sha256:be31af7c",
    when=datetime(2026, 11, 20, 12, tzinfo=UTC),
    grade="identical",
    seconds=61.25,
)


def file_of(home: Path) -> Path:
    return home / "vault/journal/evidence/saoimage-ds9-8.4.1.jsonl"


def test_what_was_noted_is_read_back_oldest_first(tmp_path: Path) -> None:
    later = replace(DS9, kind="verify", when=DS9.when + timedelta(days=1), grade="different", detail="run x")
    note_evidence(tmp_path, DS9)
    note_evidence(tmp_path, later)
    assert read_evidence(tmp_path, DS9.recipe) == (DS9, later)
    assert (DS9.is_good, later.is_good) == (True, False)
    assert file_of(tmp_path).read_bytes().startswith(b'{"detail":"","format":1,"grade":"identical"')


def test_nothing_was_noted_of_a_new_recipe(tmp_path: Path) -> None:
    assert read_evidence(tmp_path, "fv/5.5.2") == ()


def test_recipes_whose_files_have_one_name_are_told_apart(tmp_path: Path) -> None:
    for recipe in ("iraf-x11/2.17", "iraf/x11-2.17"):
        note_evidence(tmp_path, replace(DS9, recipe=recipe))
    assert [one.recipe for one in read_evidence(tmp_path, "iraf/x11-2.17")] == ["iraf/x11-2.17"]


@pytest.mark.parametrize("cut", [1, 40, -1])
def test_a_line_that_was_cut_is_left_out_and_named_and_the_next_is_whole(tmp_path: Path, cut: int) -> None:
    note_evidence(tmp_path, DS9)
    note_evidence(tmp_path, DS9)
    whole = file_of(tmp_path).read_bytes()
    line = len(whole) // 2
    file_of(tmp_path).write_bytes(whole[: line + cut] if cut > 0 else whole[:-10])
    note_evidence(tmp_path, DS9)
    problems: list[str] = []
    assert read_evidence(tmp_path, DS9.recipe, problems) == (DS9, DS9)
    assert [problem.split(": ")[0] for problem in problems] == [f"{file_of(tmp_path)}:2"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[]", "expected an object"),
        ('{"format": 2}', "format 2: expected 1"),
        ("\x00", "Expecting value"),
        ('{"format": 1, "kind": "guess"}', "kind 'guess'"),
    ],
)
def test_what_is_no_evidence_is_named_with_the_reason(
    tmp_path: Path, content: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    file_of(tmp_path).parent.mkdir(parents=True)
    file_of(tmp_path).write_text(content + "\n")
    with caplog.at_level(logging.WARNING):
        assert read_evidence(tmp_path, DS9.recipe) == ()
    assert why in caplog.text
    assert f"{file_of(tmp_path)}:1" in caplog.text


@pytest.mark.parametrize("recipe", ["ds9", "../x/1", "a/b/c", "a/../b", "/etc/passwd", "a/.."])
def test_only_a_recipes_name_names_a_file(tmp_path: Path, recipe: str) -> None:
    with pytest.raises(EvidenceMisnamed):
        note_evidence(tmp_path, replace(DS9, recipe=recipe))
    assert list(tmp_path.iterdir()) == []


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    noted = [replace(DS9, seconds=float(number)) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: note_evidence(tmp_path, one), noted))
    assert sorted(one.seconds for one in read_evidence(tmp_path, DS9.recipe)) == [float(n) for n in range(40)]


def test_a_command_notes_what_it_has_shown_and_how_long_it_took() -> None:
    bench, began = Bench(), time.monotonic() - 5
    note(bench, "rebuild", DS9.recipe, image=DS9.image, grade="different", began=began)
    (noted,) = read_evidence(bench.settings.home, DS9.recipe)
    assert (noted.kind, noted.grade, noted.is_good) == ("rebuild", "different", False)
    assert 5 <= noted.seconds < 60
