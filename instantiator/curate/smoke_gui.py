"""Smoke-test a GUI: open it as a user would, wait for its window, and look whether the screen is as it must be."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from instantiator.curate.likeness import grey_of, likeness, read_grey, write_png
from instantiator.display.rfb import RfbReader
from instantiator.progress import Progress, step
from instantiator.recipe.model import Recipe, SmokeTest
from instantiator.session.model import OpenSession, Session, SessionState
from instantiator.session.workspace import forget_workspace

USER = "thaw-smoke"
_PATIENCE_S = 30.0
_LOOK_S = 0.3
_SETTLED_S = 1.0


class SessionDoor(Protocol):
    """What a smoke test asks of sessions."""

    def open(self, asked: OpenSession) -> Session:
        """A new session, launching."""
        ...

    def get(self, session: str) -> Session:
        """A session as it stands."""
        ...

    def end(self, session: str, reason: str) -> Session:
        """End it: its record is written, its containers are gone."""
        ...

    def workspace_dir(self, session: str) -> Path:
        """Its files on this host."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenGui:
    """What was seen of a GUI: its session, and each thing looked at, whether it is as expected and in words.

    `session` is over; None of `findings` where the test was cancelled.
    """

    session: Session
    findings: tuple[tuple[bool, str], ...] | None


def look_at_gui(
    test: SmokeTest,
    recipe: Recipe,
    sessions: SessionDoor,
    progress: Progress,
    *,
    cancel: threading.Event,
    patience_s: float = _PATIENCE_S,
) -> SeenGui:
    """Open the GUI in an empty workspace, look at its screen, end the session whatever came of it.

    Raises `PictureUnreadable`, and what opening a session may raise.
    """
    reference = recipe.folder / test.reference
    read_grey(reference)  # before anything is opened in vain
    asked = OpenSession(
        user=USER,
        recipe=recipe.id,
        gui=test.gui,
        datasets=test.datasets,
        workspace=f"{test.name}-{secrets.token_hex(3)}",
    )
    name = sessions.open(asked).id
    findings: list[tuple[bool, str]] = []
    try:
        with step(progress, f"open {test.gui}") as current:
            session = _wait_for_launch(sessions, name, cancel)
            current.detail = f"{name}, {session.state.value}"
        findings += _look_at_launch(session)
        if session.state is SessionState.READY:
            with step(progress, f"compare the screen with {test.reference}") as current:
                findings.append(
                    _look_at_screen(test, session, reference, cancel=cancel, patience_s=patience_s)
                )
                current.detail = findings[-1][1].partition(";")[0]
    finally:
        ended = sessions.end(name, "its smoke test is over")
        forget_workspace(sessions.workspace_dir(name))
    if ended.exit_status is not None and session.state is SessionState.READY:
        findings.append((False, f"the program ended by itself, with exit status {ended.exit_status}"))
    return SeenGui(session=ended, findings=None if cancel.is_set() else tuple(findings))


def _wait_for_launch(sessions: SessionDoor, name: str, cancel: threading.Event) -> Session:
    going = (SessionState.LAUNCHING, SessionState.ENDING)
    while (session := sessions.get(name)).state in going and not cancel.wait(_LOOK_S / 3):
        pass
    return session


def _look_at_launch(session: Session) -> Iterator[tuple[bool, str]]:
    if session.state is not SessionState.READY:
        yield False, f"the session is {session.state.value}: {session.message}"
    elif session.message:
        yield False, session.message
    else:
        yield True, session.steps[-1].detail


def _look_at_screen(
    test: SmokeTest, session: Session, reference: Path, *, cancel: threading.Event, patience_s: float
) -> tuple[bool, str]:
    """Whether the screen is like the reference, as soon as it has been for a second; it is kept with the session."""
    assert session.rfb_socket is not None, "a GUI with a window has a screen"
    wanted, since = read_grey(reference), None
    end = time.monotonic() + patience_s
    while True:
        with RfbReader(session.rfb_socket) as reader:  # anew: the screen may get another size
            screen = reader.read_screen()
        seen = grey_of(screen)
        alike = likeness(seen, wanted) if seen.shape == wanted.shape else 0.0
        now = time.monotonic()
        since = (since or now) if alike >= test.least_similarity else None
        if (since is not None and now - since >= _SETTLED_S) or now > end or cancel.wait(_LOOK_S):
            break
    kept = session.rfb_socket.parent.parent / "screen.png"
    write_png(screen, kept)
    words = f"the screen is {alike:.3f} like {test.reference}, {test.least_similarity:g} at least; it is in {kept}"
    if seen.shape != wanted.shape:
        sizes = " and ".join(f"{shape[1]}x{shape[0]}" for shape in (seen.shape, wanted.shape))
        words = f"the screen and {test.reference} are of different size, {sizes}; the screen is in {kept}"
    return alike >= test.least_similarity, words
