"""Five legacy programs in a real Chromium: opened, seen, worked in, left and recorded, through `thaw serve`."""

from __future__ import annotations

import getpass
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from instantiator.curate.likeness import likeness
from tests.end_to_end.browser import (
    Browser,
    Picture,
    Service,
    chromium,
    install_scripts,
    serving,
    wait_until,
)
from tests.end_to_end.conftest import REPOSITORY, Thaw

pytestmark = [pytest.mark.docker, pytest.mark.network]
WIDTH, HEIGHT = 1280, 800
ALIKE = 0.8
"""A screen is the expected one from this likeness on: see `test_a_wrong_screen_is_not_taken_for_the_right_one`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing done in the program: a click at a place of the screen, then what is typed."""

    at: tuple[int, int]
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a program is opened with, and what must be seen of it."""

    recipe: str
    dataset: str
    window: str
    """Class or title of its window, as the X server knows it."""
    image: tuple[int, int, int, int]
    """Left, top, right, bottom of where it draws the dataset."""
    steps: tuple[Step, ...]
    writes: tuple[str, str] | None = None
    """The file the typed command writes into the workspace, and words in it."""
    opens: str = ""
    """Title of the window that the click opens, where the program takes no commands."""

    @property
    def reference(self) -> Path:
        """The screenshot in its recipe."""
        return REPOSITORY / "recipes" / self.recipe / "screenshot.png"


PROGRAMS = {
    "eso-midas": Program(
        recipe="eso-midas/22.02pl1.0",
        dataset="xmm-psr-j0030",
        window="MIDAS_01 display_0",
        image=(750, 150, 1100, 510),
        steps=(
            Step(at=(300, 300), text="statistics/image image\n"),
            Step(at=(300, 300), text="statistics/image image >statistics.txt\n"),
        ),
        writes=("statistics.txt", "56181"),
    ),
    "saoimage-ds9": Program(
        recipe="saoimage-ds9/8.4.1",
        dataset="xmm-psr-j0030",
        window='"Ds9.tcl"\tWM_NAME = "SAOImage ds9"',
        image=(480, 350, 800, 690),
        steps=(Step(at=(530, 258)),),
        opens="image_M12c.fits",
    ),
    "fv": Program(
        recipe="fv/5.5.2",
        dataset="ngc1316",
        window='"Toplevel"\tWM_NAME = "pow"',
        image=(90, 470, 385, 665),
        steps=(Step(at=(769, 260)),),
        opens="fv: Header",
    ),
    "iraf": Program(
        recipe="iraf/2.17",
        dataset="m51",
        window='"XImtool"\tWM_NAME = "IRAF XImtool',
        image=(630, 110, 970, 570),
        steps=(Step(at=(250, 300), text="images\nimutil\nimstatistics dataset.fits > statistics.txt\n"),),
        writes=("statistics.txt", "108.3"),
    ),
    "skycat": Program(
        recipe="skycat/3.1.2",
        dataset="ngc1316-optical",
        window='"SkyCat"\tWM_NAME = "Skycat - version',
        image=(240, 270, 670, 560),
        steps=(Step(at=(84, 35)), Step(at=(123, 148))),
        opens="eader",
    ),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One `thaw serve` for all tests here, with the images of the five there already."""
    thaw = Thaw(home=tmp_path_factory.mktemp("g") / "home")
    for name in PROGRAMS:
        thaw.ok("recipe", "build", name)
    thaw.ok("display", "build")
    with serving(thaw) as running:
        yield running


@pytest.fixture(scope="module")
def browser(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium that is logged in; what its pages complain of fails the tests here."""
    with chromium(install_scripts(tmp_path_factory.mktemp("browser"))) as made:
        made("goto", url=service.login)
        yield made
        assert made("problems") == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_opened_seen_worked_in_left_and_recorded(
    service: Service, browser: Browser, tmp_path: Path, name: str
) -> None:
    program = PROGRAMS[name]
    session = open_program(service, browser, program, tab=name)
    wait_for_window(service, session, program.window)
    wait_for_screen(browser, program, tmp_path / "drawn.png", tab=name)
    do_its_steps(service, browser, program, session, tab=name)
    sent = carry_a_file(browser, tmp_path, tab=name)
    stays_after_a_reload(browser, tmp_path, tab=name)
    end_session(browser, tab=name)
    shown = service.thaw.ok("show", session)
    outputs = {output["path"]: output["sha256"] for output in shown["outputs"]}
    assert outputs["sent.bin"].removeprefix("sha256:") == hashlib.sha256(sent).hexdigest()
    if program.writes:
        assert program.writes[0] in outputs
    assert program.dataset in str(shown["inputs"])


def test_a_wrong_screen_is_not_taken_for_the_right_one(browser: Browser) -> None:
    """Every program against every other's picture, and against an empty screen: none comes near."""
    pictures = {name: browser.grey(program.reference) for name, program in PROGRAMS.items()}
    pictures["nothing"] = 0 * pictures["fv"]
    for one, first in pictures.items():
        for other, second in pictures.items():
            if one != other:
                assert likeness(first, second) < ALIKE - 0.2, (one, other)


def open_program(service: Service, browser: Browser, program: Program, *, tab: str, **who: str) -> str:
    """Press Open as a user does; gives the session, whose screen is 1280x800 then."""
    browser("goto", tab=tab, url=f"{service.base}/open/{program.recipe}", **who)
    browser("look", tab=tab, width=WIDTH, height=HEIGHT + 110)
    browser("reload", tab=tab)
    browser("check", tab=tab, on=f'input[value="{program.dataset}"]')
    browser("fill", tab=tab, on="#workspace", text=tab)
    browser("click", tab=tab, on="button.main.big")
    session = str(browser("arrive", tab=tab, at="/sessions/")).rpartition("/")[2]
    browser("until", tab=tab, on="#connection", text="connected", timeout=120_000)
    bars = browser("height", tab=tab, on=".top") + browser("height", tab=tab, on=".bar")
    browser("look", tab=tab, width=WIDTH, height=HEIGHT + round(bars))
    return session


def wait_for_window(service: Service, session: str, window: str) -> None:
    listed = service.thaw.home / "sessions" / session / "display/windows"
    wait_until(lambda: listed.exists() and window in listed.read_text())


def wait_for_screen(browser: Browser, program: Program, file: Path, *, tab: str) -> None:
    """Until the screen looks like the screenshot of the recipe, and the dataset is drawn."""
    reference = browser.grey(program.reference)
    alike, is_drawn, end = 0.0, False, time.monotonic() + 30
    while not (alike >= ALIKE and is_drawn) and time.monotonic() < end:
        time.sleep(0.3)
        seen = browser.screen(file, tab=tab)
        alike = likeness(seen, reference) if seen.shape == reference.shape else 0.0
        is_drawn = draws_something(seen, program)
    print(f"{program.recipe}: likeness {alike:.3f}")
    assert alike >= ALIKE, f"{file} is not like {program.reference}: {alike:.3f}, {seen.shape}"
    assert is_drawn, f"{file} shows nothing of {program.dataset}"


def draws_something(screen: Picture, program: Program) -> bool:
    """Whether there are many shades where the dataset is drawn."""
    left, top, right, bottom = program.image
    area = screen[top:bottom, left:right]
    return len(set((area * 255).round().ravel().tolist())) > 8 and float(area.std()) > 0.03


def do_its_steps(service: Service, browser: Browser, program: Program, session: str, *, tab: str) -> None:
    home = service.thaw.home
    for step in program.steps:
        browser("point", tab=tab, x=step.at[0], y=step.at[1])
        time.sleep(0.3)
        if step.text:
            browser("type", tab=tab, text=step.text)
    if program.writes:
        name, words = program.writes
        found = home / "workspaces" / getpass.getuser() / program.recipe.split("/")[0] / tab / name
        wait_until(lambda: found.exists() and words in found.read_text())
    else:
        wait_for_window(service, session, program.opens)


def carry_a_file(browser: Browser, folder: Path, *, tab: str) -> bytes:
    """A file goes up and comes down again, the same to the last byte."""
    sent = hashlib.shake_256(tab.encode()).digest(5_000_011)
    (folder / "sent.bin").write_bytes(sent)
    browser("click", tab=tab, on="#files-toggle")
    browser("upload", tab=tab, file=str(folder / "sent.bin"))
    row = "#list li:has-text('sent.bin') a[download]"
    browser("appear", tab=tab, on=row)
    browser("download", tab=tab, on=row, file=str(folder / "back.bin"))
    assert (folder / "back.bin").read_bytes() == sent
    browser("click", tab=tab, on="#files-close")
    return sent


def stays_after_a_reload(browser: Browser, folder: Path, *, tab: str) -> None:
    def screen(name: str) -> Picture:
        wait_until(lambda: browser.screen(folder / name, tab=tab).shape == (HEIGHT, WIDTH))
        time.sleep(0.5)
        return browser.screen(folder / name, tab=tab)

    time.sleep(1)
    before = screen("before.png")
    browser("reload", tab=tab)
    browser("until", tab=tab, on="#connection", text="connected")
    assert likeness(before, screen("after.png")) > 0.97


def end_session(browser: Browser, *, tab: str) -> None:
    browser("click", tab=tab, on="#end")
    browser("until", tab=tab, on="#over-title", text="This session has ended")
    browser("until", tab=tab, on="#connection", text="ended")
    browser("close", tab=tab)
