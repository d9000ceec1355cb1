"""The launch of a session: image, display, application, first frame, each told as it goes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from instantiator.display.container import DisplayFolders
from instantiator.display.image import display_lock
from instantiator.display.profile import DisplayProfile, parse_profile
from instantiator.display.rfb import RfbFailed, wait_for_rfb
from instantiator.display.windows import WantedWindow
from instantiator.image.ensure import ensure_image
from instantiator.image.files import keep_files
from instantiator.image.lock import lock_to_json
from instantiator.job.bounds import explain_init
from instantiator.recipe.model import Gui, Recipe
from instantiator.session.bench import SessionBench
from instantiator.session.errors import LaunchFailed, SessionStateWrong
from instantiator.session.files import Backstage, SessionFiles
from instantiator.session.frame import Eye, NothingDrawn, wait_for_frame
from instantiator.session.model import LaunchStep, Session, SessionState, StepState
from instantiator.session.observing import Observing
from instantiator.session.plan import INPUT_ROOT, draft_record, mount_name
from instantiator.session.stage import CreatedApplication, Stage
from instantiator.session.turns import Turns
from instantiator.session.web_socket import ask_web
from instantiator.session.workspace import open_workspace
from provenance.digest import canonical_json
from provenance.errors import ThawError
from provenance.record import RecordedInput

_DISPLAY_PATIENCE_S = 20.0
_DRAWING_PATIENCE_S = 120.0
_LOOK_S = 0.1
_X_LOOK_S = 0.005


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

    @contextmanager
    def wait_for_turn(self, turns: Turns) -> Iterator[None]:
        """Begin when others have launched; until then the first step that is not done says how many are before it."""
        steps = self._files.read(self._id)[0].steps
        first = next(step.name for step in steps if step.state is StepState.PENDING)

        def tell(ahead: int) -> None:
            words = f"waiting for {ahead} other launch{'es' if ahead > 1 else ''}"
            self._set_step(first, state=StepState.RUNNING, detail=words)

        with turns.take(tell, self._refuse_given_up):
            yield

    def run(self, recipe: Recipe, gui: Gui) -> None:
        """All steps. Raises `LaunchFailed` and other `ThawError`s with the step already marked as failed.

        The display starts while the application is prepared, and the application as soon as it can be drawn on.
        Nothing of a launch goes on when this is left.
        """
        with ThreadPoolExecutor(max_workers=4) as helpers:
            with self._step("image") as tell:
                display = self._begin_display(helpers, tell)
                self._prepare_image(recipe, gui, tell)
            created = helpers.submit(self._create_application, display)
            with self._step("display") as tell:
                self._wait_for_x(display)
                started = helpers.submit(self._start_application, created)
                tell(self._greet(display))
            self._finish(started)

    def run_application(self) -> None:
        """The last two steps, on the display that is there: the application is started again."""
        with ThreadPoolExecutor(max_workers=2) as helpers:
            created = helpers.submit(self._create_application, None)
            self._finish(helpers.submit(self._start_application, created))

    def _finish(self, started: Future[str]) -> None:
        """Wait for the application's start and its first frame; the session is ready then."""
        session, backstage = self._files.read(self._id)
        with self._step("application") as tell:
            tell(session.title)
            container = started.result()
        message = ""
        tail: tuple[str, ...] = ()
        with self._step("first frame") as tell:
            if session.kind == "web":
                tell(self._wait_for_web(container))
            else:
                found, message = self._wait_for_frame(container, backstage)
                tell(found)
                tail = self._stage.read_tail(container) if message else ()
        now = datetime.now(UTC)
        self._change(state=SessionState.READY, ready=now, last_active=now, message=message, log_tail=tail)

    def _begin_display(self, helpers: ThreadPoolExecutor, tell: Callable[[str], None]) -> _Display | None:
        """Let a display come up beside the other steps; None for a web application."""
        session, backstage = self._files.read(self._id)
        if session.kind == "web":
            return None
        ensure_image(display_lock(), self._bench.workshop, self._bench.mirrors, _Heard(tell))
        profile = parse_profile(backstage.profile)
        created = helpers.submit(self._create_display, profile)
        return _Display(
            profile=profile, created=created, started=helpers.submit(self._start_display, created)
        )

    def _create_display(self, profile: DisplayProfile) -> tuple[str, bool]:
        """A display of the session's own, or one that waited idle, and whether it is that."""
        waiting = self._take_display(self._id)
        container = waiting or self._stage.create_display(self._id, profile, self._folders)
        self._files.set_backstage(self._id, display_container=container)
        return container, waiting is not None

    def _start_display(self, created: Future[tuple[str, bool]]) -> None:
        container, is_running = created.result()
        if not is_running:
            self._stage.start(container)

    def _create_application(self, display: _Display | None) -> CreatedApplication:
        if display is not None:
            display.created.result()  # its IPC namespace is named by its container
        return self._stage.create_application(*self._files.read(self._id), self._folders)

    def _start_application(self, created: Future[CreatedApplication]) -> str:
        application = created.result()
        self._stage.start_application(application, observing=self._observing)
        self._files.set_backstage(self._id, application_container=application.container)
        return application.container

    def _prepare_image(self, recipe: Recipe, gui: Gui, tell: Callable[[str], None]) -> None:
        """Have both images and the datasets ready, and write down what will be recorded."""
        bench = self._bench
        session, backstage = self._files.read(self._id)
        lock = bench.lock(recipe)
        keep_files(recipe, lock, bench.vault)
        image = ensure_image(lock, bench.workshop, bench.mirrors, _Heard(tell))
        pinned = replace(lock, image=image)
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
        draft = draft_record(
            session, recipe, gui, pinned, lock_digest=digest, display=display_lock(), inputs=inputs
        )
        self._files.set_backstage(
            self._id,
            draft=draft,
            image_name=pinned.image_name,
            image_layers=(pinned.image.layer,) if pinned.image else (),
            sources={mount_name(name): str(item.mount_source) for name, item in opened.items()},
            before=open_workspace(backstage.workspace_dir, bench.vault),
        )
        tell(f"{pinned.image_name}{''.join(f', {name}' for name in session.datasets)}")

    def _wait_for_x(self, display: _Display | None) -> None:
        """Until programs can be drawn on the display."""
        if display is None:
            return
        display.started.result()
        end = time.monotonic() + _DISPLAY_PATIENCE_S
        while not _accepts(self._folders.x_socket):
            if time.monotonic() > end:
                raise self._no_display("programs cannot reach its X server")
            time.sleep(_X_LOOK_S)

    def _greet(self, display: _Display | None) -> str:
        """Until the display can be looked at; says which one it is."""
        if display is None:
            return "none: a web application"
        try:
            with wait_for_rfb(self._folders.rfb_socket, timeout_s=_DISPLAY_PATIENCE_S) as reader:
                size = f"{reader.width}x{reader.height}"
        except RfbFailed as error:
            raise self._no_display(error.message) from error
        _, is_idle_one = display.created.result()
        return f"{display.profile.kind} {size}{', from the pool' if is_idle_one else ''}"

    def _no_display(self, why: str) -> LaunchFailed:
        return LaunchFailed(
            f"the display does not answer: {why}\n{self._display_tail()}",
            where=str(self._folders.log),
            hint="try again; if it stays so, report it with these lines",
        )

    def _wait_for_frame(self, container: str, backstage: Backstage) -> tuple[str, str]:
        """Until the program has drawn its window; says which, and what is to be told where it never came."""
        wanted = WantedWindow(window_class=backstage.window_class, title=backstage.window_title)
        patience_s = self._bench.window_patience_s if wanted.is_declared else _DRAWING_PATIENCE_S
        try:
            with Eye(self._folders) as eye:
                frame = wait_for_frame(
                    eye,
                    self._folders,
                    wanted,
                    patience_s=patience_s,
                    check=lambda: self._refuse_ended(container),
                )
        except NothingDrawn as error:
            raise self._not_drawn(
                container, f"the program has drawn nothing for {patience_s:.0f} s"
            ) from error
        if frame.window is None and wanted.is_declared:
            missing = f"no window with {wanted} came within {patience_s:.0f} s"
            return missing, f"{missing}; the program still runs, and the screen shows what it has drawn"
        return f"window {frame.window.title!r}" if frame.window else "drawn", ""

    def _wait_for_web(self, container: str) -> str:
        """Until the application answers HTTP on its socket."""
        path, end = self._folders.root / "web" / "web.sock", time.monotonic() + _DRAWING_PATIENCE_S
        while time.monotonic() < end:
            self._refuse_ended(container)
            if (status := ask_web(path)) is not None:
                return status
            time.sleep(_LOOK_S)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Display:
    """A display on its way: its container and whether it waited idle, and the start of that container."""

    profile: DisplayProfile
    created: Future[tuple[str, bool]]
    started: Future[None]


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


def _accepts(path: Path) -> bool:
    """Whether somebody listens at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        return connection.connect_ex(str(path)) == 0
