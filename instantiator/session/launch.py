"""The launch of a session: image, display, application, first frame, each told as it goes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from instantiator.display.container import DisplayFolders, read_windows
from instantiator.display.image import display_lock
from instantiator.display.profile import parse_profile
from instantiator.display.rfb import RfbFailed, RfbReader, wait_for_rfb
from instantiator.image.ensure import ensure_image
from instantiator.image.files import keep_files
from instantiator.image.lock import lock_to_json
from instantiator.job.bounds import explain_init
from instantiator.recipe.model import Gui, Recipe
from instantiator.session.bench import SessionBench
from instantiator.session.errors import LaunchFailed, SessionStateWrong
from instantiator.session.files import Backstage, SessionFiles
from instantiator.session.model import LaunchStep, Session, SessionState, StepState
from instantiator.session.observing import Observing
from instantiator.session.plan import INPUT_ROOT, draft_record, mount_name
from instantiator.session.stage import Stage
from instantiator.session.workspace import open_workspace
from provenance.digest import canonical_json
from provenance.errors import ThawError
from provenance.record import RecordedInput

_DISPLAY_PATIENCE_S = 20.0
_DRAWING_PATIENCE_S = 120.0
_WINDOW_PATIENCE_S = 3.0
_LOOK_S = 0.03


class Launch:
    """One launch, in a thread of its own. Gives up as soon as somebody else has ended the session."""

    def __init__(
        self,
        session: str,
        bench: SessionBench,
        files: SessionFiles,
        stage: Stage,
        take_display: Callable[[str], str | None],
        *,
        observing: Observing,
    ) -> None:
        self._id, self._bench, self._files, self._stage = session, bench, files, stage
        self._folders: DisplayFolders = files.display(session)
        self._take_display = take_display
        self._observing = observing

    def run(self, recipe: Recipe, gui: Gui) -> None:
        """All steps. Raises `LaunchFailed` and other `ThawError`s with the step already marked as failed."""
        with self._step("image") as tell:
            self._prepare_image(recipe, gui, tell)
        with self._step("display") as tell:
            self._prepare_display(tell)
        self.run_application()

    def run_application(self) -> None:
        """The last two steps: also those of starting the application again."""
        with self._step("application") as tell:
            session, backstage = self._files.read(self._id)
            container = self._stage.start_application(
                session, backstage, self._folders, observing=self._observing
            )
            self._files.set_backstage(self._id, application_container=container)
            tell(" ".join(backstage.draft.job.command) if backstage.draft else "")
        with self._step("first frame") as tell:
            tell(self._wait_for_web(container) if session.kind == "web" else self._wait_for_frame(container))
        now = datetime.now(UTC)
        self._change(state=SessionState.READY, ready=now, last_active=now)

    def _prepare_image(self, recipe: Recipe, gui: Gui, tell: Callable[[str], None]) -> None:
        """Have both images and the datasets ready, and write down what will be recorded."""
        bench, display = self._bench, display_lock()
        session, backstage = self._files.read(self._id)
        lock = bench.lock(recipe)
        keep_files(recipe, lock, bench.vault)
        heard = _Heard(tell)
        pinned = replace(lock, image=ensure_image(lock, bench.workshop, bench.mirrors, heard))
        if session.kind != "web":
            ensure_image(display, bench.workshop, bench.mirrors, heard)
        opened = {name: bench.open_dataset(name, recipe, pinned) for name in session.datasets}
        inputs = tuple(
            RecordedInput(
                name=mount_name(name),
                dataset=item.reference,
                digest=item.tree.digest,
                files=len(item.tree.entries),
                size=item.tree.size,
                mount=f"{INPUT_ROOT}/{mount_name(name)}",
            )
            for name, item in sorted(opened.items())
        )
        digest = bench.vault.put_bytes(canonical_json(lock_to_json(pinned)))
        draft = draft_record(session, recipe, gui, pinned, lock_digest=digest, display=display, inputs=inputs)
        self._files.set_backstage(
            self._id,
            draft=draft,
            image_name=pinned.image_name,
            image_layers=(pinned.image.layer,) if pinned.image else (),
            sources={mount_name(name): str(item.mount_source) for name, item in opened.items()},
            before=open_workspace(backstage.workspace_dir, bench.vault),
        )
        tell(f"{pinned.image_name}{''.join(f', {name}' for name in session.datasets)}")

    def _prepare_display(self, tell: Callable[[str], None]) -> None:
        """A display that answers: one that waited idle, or a new one."""
        session, backstage = self._files.read(self._id)
        if session.kind == "web":
            tell("none: a web application")
            return
        profile = parse_profile(backstage.profile)
        waiting = self._take_display(self._id)
        container = waiting or self._stage.start_display(self._id, profile, self._folders)
        self._files.set_backstage(self._id, display_container=container)
        try:
            with wait_for_rfb(self._folders.rfb_socket, timeout_s=_DISPLAY_PATIENCE_S) as reader:
                size = f"{reader.width}x{reader.height}"
        except RfbFailed as error:
            raise LaunchFailed(
                f"the display does not answer: {error.message}\n{self._display_tail()}",
                where=str(self._folders.log),
                hint="try again; if it stays so, report it with these lines",
            ) from error
        tell(f"{profile.kind} {size}{', from the pool' if waiting else ''}")

    def _wait_for_frame(self, container: str) -> str:
        """Until the program has drawn something; says which window."""
        end, mapped = time.monotonic() + _DRAWING_PATIENCE_S, 0.0
        reader: RfbReader | None = None
        try:
            while time.monotonic() < end:
                self._refuse_ended(container)
                with suppress(RfbFailed):
                    reader = reader or RfbReader(self._folders.rfb_socket)
                    if reader.read_screen().is_drawn():
                        return self._name_windows()
                    mapped = mapped or (time.monotonic() if read_windows(self._folders) else 0.0)
                    if mapped and time.monotonic() - mapped > _WINDOW_PATIENCE_S:
                        return self._name_windows()  # a window that is black, as terminals may be
                    time.sleep(_LOOK_S)
                    continue
                if reader is not None:  # the screen got another size, or the display is gone
                    reader.close()
                    reader = None
        finally:
            if reader is not None:
                reader.close()
        raise self._not_drawn(container, f"the program has drawn nothing for {_DRAWING_PATIENCE_S:.0f} s")

    def _name_windows(self) -> str:
        windows = [line.split('"') for line in read_windows(self._folders)]
        titles = [parts[-2] for parts in windows if len(parts) > 2]
        return f"window {titles[0]!r}" if titles else "drawn"

    def _wait_for_web(self, container: str) -> str:
        """Until the application answers HTTP on its socket."""
        path, end = self._folders.root / "web" / "web.sock", time.monotonic() + _DRAWING_PATIENCE_S
        while time.monotonic() < end:
            self._refuse_ended(container)
            if (status := _ask_web(path)) is not None:
                return status
            time.sleep(_LOOK_S * 3)
        raise self._not_drawn(container, f"nothing answers at its socket for {_DRAWING_PATIENCE_S:.0f} s")

    def _refuse_ended(self, container: str) -> None:
        self._refuse_given_up()
        state = self._stage.look_at(container)
        if state is not None and state.is_running:
            return
        tail = self._stage.read_tail(container)
        why = explain_init(state, "\n".join(tail).encode()) if state is not None else "its container is gone"
        status = f"it ended with exit status {state.exit_status} before it drew anything" if state else ""
        raise self._not_drawn(container, why or status)

    def _not_drawn(self, container: str, why: str) -> LaunchFailed:
        tail = self._stage.read_tail(container)
        self._change(log_tail=tail)
        last = "\n".join(tail[-5:])
        words = f"{why}; it last said:\n{last}" if last else f"{why}, without a word"
        return LaunchFailed(f"the application does not start: {words}", where=self._id, hint="see its recipe")

    def _display_tail(self) -> str:
        try:
            return "\n".join(self._folders.log.read_text(errors="replace").splitlines()[-5:])
        except OSError:
            return ""

    @contextmanager
    def _step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Tell a step as running, then as done or failed, with its time."""
        started, detail = time.monotonic(), ""

        def tell(text: str) -> None:
            nonlocal detail
            detail = text
            self._set_step(name, state=StepState.RUNNING, detail=text)

        def seconds() -> float:
            return round(time.monotonic() - started, 3)

        self._set_step(name, state=StepState.RUNNING, detail="", seconds=None)
        try:
            yield tell
        except GivenUp:
            raise
        except ThawError as error:
            self._set_step(name, state=StepState.FAILED, detail=error.message, seconds=seconds())
            raise
        self._set_step(name, state=StepState.DONE, detail=detail, seconds=seconds())

    def _set_step(self, name: str, **values: object) -> None:
        def change(session: Session, backstage: Backstage) -> tuple[Session, Backstage]:
            _refuse_over(session)
            steps = tuple(
                replace(step, **values) if step.name == name else step  # type: ignore[arg-type]  # fields by name
                for step in session.steps
            )
            return replace(session, steps=steps), backstage

        self._files.update(self._id, change)

    def _change(self, **values: object) -> None:
        def change(session: Session, backstage: Backstage) -> tuple[Session, Backstage]:
            _refuse_over(session)
            return replace(session, **values), backstage  # type: ignore[arg-type]  # fields by name

        self._files.update(self._id, change)

    def _refuse_given_up(self) -> None:
        _refuse_over(self._files.read(self._id)[0])


class GivenUp(SessionStateWrong):
    """Somebody ended the session while it was launched."""


class _Heard:
    """A Progress that becomes the detail of a step."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._told = tell, 0.0

    def begin(self, step: str) -> None:
        """A step of a build."""
        self._tell(step)

    def note(self, text: str) -> None:
        """A line of a build: now and then one is told."""
        if time.monotonic() - self._told > 0.5:
            self._told = time.monotonic()
            self._tell(text.strip()[:200])

    def end(self, step: str, detail: str, seconds: float) -> None:
        """A step of a build is done."""
        self._tell(f"{step}: {detail} ({seconds:.1f} s)" if detail else step)

    def fail(self, step: str) -> None:
        """Nothing: the error says it."""


def fresh_steps(names: tuple[str, ...]) -> tuple[LaunchStep, ...]:
    """The steps of a launch before it begins."""
    return tuple(LaunchStep(name=name) for name in names)


def _refuse_over(session: Session) -> None:
    if session.state is not SessionState.LAUNCHING:
        raise GivenUp(f"session {session.id} is {session.state}: its launch is given up")


def _ask_web(path: Path) -> str | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(2)
    try:
        connection.connect(str(path))
        connection.sendall(b"GET / HTTP/1.0\r\nHost: lab\r\n\r\n")
        answer = connection.recv(64)
    except OSError:
        return None
    finally:
        connection.close()
    return answer.split(b"\r\n")[0].decode(errors="replace") if answer.startswith(b"HTTP/") else None
