"""A smoke test of a GUI: what is seen of it, and that it is ended whatever came of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from PIL import Image

from instantiator.curate.likeness import PictureUnreadable, grey_of, likeness, read_grey, write_png
from instantiator.curate.smoke_gui import USER, SeenGui, look_at_gui
from instantiator.display.rfb import Screen
from instantiator.progress import Silent
from instantiator.recipe.model import Recipe, SmokeTest
from instantiator.session.model import SessionState
from tests.examples import HERE, midas_recipe
from tests.unit.curate.door import NAME, FakeDoor

SIZE = (320, 200)
TEST = SmokeTest(
    location=HERE, name="window", gui="midas", datasets=("m31",), reference="screen.png", least_similarity=0.9
)
BLACK = bytes(4 * SIZE[0] * SIZE[1])


def window(left: int, top: int) -> bytes:
    """A screen with one striped window at that place."""
    pixels = numpy.zeros((SIZE[1], SIZE[0], 4), dtype=numpy.uint8)
    pixels[top : top + 120, left : left + 160] = 200
    pixels[top : top + 120 : 4, left : left + 160, :3] = 40
    return pixels.tobytes()


MIDAS = window(20, 30)


@pytest.fixture
def midas(tmp_path: Path) -> Recipe:
    folder = tmp_path / "midas/22SEP"
    folder.mkdir(parents=True)
    write_png(screen(MIDAS), folder / "screen.png")
    return midas_recipe(folder)


def screen(pixels: bytes, size: tuple[int, int] = SIZE) -> Screen:
    return Screen(width=size[0], height=size[1], name="", pixels=pixels)


def look(recipe: Recipe, door: FakeDoor, *, cancel: threading.Event | None = None) -> SeenGui:
    return look_at_gui(TEST, recipe, door, Silent(), cancel=cancel or threading.Event(), patience_s=0.1)


def test_a_screen_that_is_like_the_picture_for_a_second_has_passed(midas: Recipe, tmp_path: Path) -> None:
    door = FakeDoor(tmp_path / "s", pixels=lambda: MIDAS)
    seen = look_at_gui(TEST, midas, door, Silent(), cancel=threading.Event())
    assert seen.findings is not None
    assert [is_right for is_right, _ in seen.findings] == [True, True]
    kept = tmp_path / "s" / NAME / "screen.png"
    assert seen.findings[0][1] == "window 'MIDAS'"
    assert seen.findings[1][1] == f"the screen is 1.000 like screen.png, 0.9 at least; it is in {kept}"
    assert likeness(read_grey(kept), grey_of(screen(MIDAS))) == pytest.approx(1)


def test_the_session_gets_the_datasets_and_an_empty_workspace_which_is_gone_afterwards(
    midas: Recipe, tmp_path: Path
) -> None:
    door = FakeDoor(tmp_path / "s", pixels=lambda: MIDAS)
    look(midas, door)
    (asked,) = door.asked
    assert (asked.user, asked.recipe, asked.gui, asked.datasets) == (USER, "midas/22SEP", "midas", ("m31",))
    assert asked.workspace.startswith("window-")
    assert door.ended == ["its smoke test is over"]
    assert not door.workspace_dir(NAME).exists()


def test_a_screen_that_is_not_like_the_picture_has_not(midas: Recipe, tmp_path: Path) -> None:
    seen = look(midas, FakeDoor(tmp_path / "s", pixels=lambda: window(140, 70)))
    assert seen.findings is not None
    is_right, words = seen.findings[-1]
    assert (is_right, words[:15]) == (False, "the screen is 0")


def test_a_program_that_draws_late_is_waited_for(midas: Recipe, tmp_path: Path) -> None:
    drawn: Iterator[bytes] = iter((BLACK, window(140, 70), MIDAS))
    door = FakeDoor(tmp_path / "s", pixels=lambda: next(drawn, MIDAS))
    seen = look_at_gui(TEST, midas, door, Silent(), cancel=threading.Event())
    assert seen.findings is not None and all(is_right for is_right, _ in seen.findings)


def test_a_screen_of_another_size_is_told(midas: Recipe, tmp_path: Path) -> None:
    size = (640, 200)
    seen = look(midas, FakeDoor(tmp_path / "s", size=size, pixels=lambda: bytes(4 * 640 * 200)))
    assert seen.findings is not None
    assert "of different size, 640x200 and 320x200" in seen.findings[-1][1]


def test_a_window_that_never_came_is_wrong_though_the_session_is_ready(midas: Recipe, tmp_path: Path) -> None:
    missing = "no window with class 'XTerm' came within 60 s"
    door = FakeDoor(tmp_path / "s", pixels=lambda: MIDAS, opened=lambda one: replace(one, message=missing))
    seen = look(midas, door)
    assert seen.findings is not None
    assert seen.findings[0] == (False, missing)


def test_a_launch_that_failed_is_wrong_and_no_screen_is_looked_at(midas: Recipe, tmp_path: Path) -> None:
    door = FakeDoor(
        tmp_path / "s",
        opened=lambda one: replace(one, state=SessionState.FAILED, message="it does not start"),
    )
    assert look(midas, door).findings == ((False, "the session is failed: it does not start"),)
    assert door.ended == ["its smoke test is over"]


def test_a_program_that_ended_meanwhile_is_wrong(midas: Recipe, tmp_path: Path) -> None:
    seen = look(midas, FakeDoor(tmp_path / "s", pixels=lambda: MIDAS, exit_status=139))
    assert seen.findings is not None
    assert seen.findings[-1] == (False, "the program ended by itself, with exit status 139")


def test_a_cancelled_test_has_found_nothing_and_its_session_is_ended(midas: Recipe, tmp_path: Path) -> None:
    door, cancel = FakeDoor(tmp_path / "s", pixels=lambda: BLACK), threading.Event()
    cancel.set()
    assert look(midas, door, cancel=cancel).findings is None
    assert door.ended == ["its smoke test is over"]


def test_a_reference_that_is_no_picture_is_told_before_anything_is_opened(
    midas: Recipe, tmp_path: Path
) -> None:
    (midas.folder / "screen.png").write_text("no picture")
    door = FakeDoor(tmp_path / "s")
    with pytest.raises(PictureUnreadable) as refused:
        look(midas, door)
    assert refused.value.where == str(midas.folder / "screen.png")
    assert door.asked == []


def test_screens_are_alike_as_people_see_it() -> None:
    seen = grey_of(screen(MIDAS))
    with_cursor = seen.copy()
    with_cursor[60:68, 60:62] = 1
    assert likeness(seen, seen) == pytest.approx(1)
    assert likeness(seen, with_cursor) > 0.97
    assert likeness(seen, grey_of(screen(window(140, 70)))) < 0.6
    assert likeness(seen, grey_of(screen(BLACK))) < 0.7
    assert likeness(seen, 1 - seen) < 0.1


def test_a_screen_is_kept_with_its_colours(tmp_path: Path) -> None:
    write_png(screen(b"\x00\x80\xff\x00", (1, 1)), tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as image:
        assert image.convert("RGB").getpixel((0, 0)) == (255, 128, 0)
