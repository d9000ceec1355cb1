"""When a program is ready: the window it declares, and a screen that is not black."""

from __future__ import annotations

from pathlib import Path

import pytest

from instantiator.display.container import DisplayFolders
from instantiator.display.windows import WantedWindow, Window, parse_windows
from instantiator.session.frame import Eye, FirstFrame, NothingDrawn, wait_for_frame

DS9 = '0x4003ba\tWM_CLASS = "ds9.tcl", "Ds9.tcl"\tWM_NAME = "SAOImage ds9"\t'


def test_a_list_of_windows_is_read_with_classes_titles_and_escaped_quotes() -> None:
    quoted = '0x1\tWM_CLASS:  not found.\tWM_NAME = "a \\"b\\" \\\\ c"\t'
    assert parse_windows((DS9, "", quoted)) == (
        Window(id="0x4003ba", classes=("ds9.tcl", "Ds9.tcl"), title="SAOImage ds9"),
        Window(id="0x1", classes=(), title='a "b" \\ c'),
    )


@pytest.mark.parametrize(
    ("window_class", "title", "matches"),
    (
        ("Ds9.tcl", "", True),
        ("ds9.tcl", "ds9", True),
        ("", "SAOImage", True),
        ("", "", True),
        ("Ds9", "", False),
        ("Ds9.tcl", "skycat", False),
    ),
)
def test_a_window_is_wanted_by_a_whole_class_and_a_part_of_its_title(
    window_class: str, title: str, matches: bool
) -> None:
    (window,) = parse_windows((DS9,))
    assert WantedWindow(window_class=window_class, title=title).matches(window) is matches


class Looked(Eye):
    """An eye that sees a drawn screen from its n-th look on."""

    def __init__(self, folders: DisplayFolders, *, drawn_at: int) -> None:
        super().__init__(folders)
        self.looks, self.drawn_at = 0, drawn_at

    def look(self) -> None:
        """Count."""
        self.looks += 1
        self.is_drawn = self.looks >= self.drawn_at


def waited(tmp_path: Path, wanted: WantedWindow, *, drawn_at: int, windows: str = "") -> FirstFrame:
    folders = DisplayFolders(root=tmp_path)
    folders.shared.mkdir()
    folders.windows.write_text(windows)
    eye = Looked(folders, drawn_at=drawn_at)
    return wait_for_frame(eye, folders, wanted, patience_s=0.05, check=lambda: None)


def test_the_declared_window_on_a_drawn_screen_is_the_first_frame(tmp_path: Path) -> None:
    frame = waited(tmp_path, WantedWindow(window_class="Ds9.tcl"), drawn_at=3, windows=DS9)
    assert (frame.window and frame.window.title, frame.is_drawn) == ("SAOImage ds9", True)


def test_another_window_is_not_enough_where_one_is_declared(tmp_path: Path) -> None:
    frame = waited(tmp_path, WantedWindow(window_class="SkyCat"), drawn_at=1, windows=DS9)
    assert frame == FirstFrame(window=None, is_drawn=True)


def test_a_drawn_screen_is_enough_where_no_window_is_declared(tmp_path: Path) -> None:
    assert waited(tmp_path, WantedWindow(), drawn_at=2) == FirstFrame(window=None, is_drawn=True)


def test_a_program_that_declares_nothing_and_draws_nothing_is_not_ready(tmp_path: Path) -> None:
    with pytest.raises(NothingDrawn):
        waited(tmp_path, WantedWindow(), drawn_at=1_000_000_000)
