"""All sessions of one Thaw: opened, kept within their limits, found again, ended."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from instantiator.dataset.names import find_registered, unknown
from instantiator.display.profile import parse_profile
from instantiator.job.meter import FolderClosed, measure_folder
from instantiator.recipe.model import Gui, GuiKind, Recipe
from instantiator.session.bench import SessionBench
from instantiator.session.errors import SessionLimit, SessionRefused, SessionStateWrong, unknown_session
from instantiator.session.files import Backstage, SessionFiles
from instantiator.session.finish import begin_end, finish_end
from instantiator.session.launch import GivenUp, Launch, fresh_steps
from instantiator.session.model import STEPS, OpenSession, Session, SessionId, SessionState, StepState
from instantiator.session.observing import Observing
from instantiator.session.plan import check_names, choose_gui
from instantiator.session.pool import DisplayPool
from instantiator.session.stage import Part, Stage
from instantiator.session.turns import Turns
from instantiator.session.workspace import workspace_folder
from provenance.errors import ThawError
from provenance.store import is_alive, new_run_id, this_process

_log = logging.getLogger(__name__)
_KEPT = timedelta(days=7)
_MIB, _DISK_LOOK_S = 1 << 20, 10
_DISK_FULL = (
    "the application was stopped: the workspace holds more than its disk limit; remove files, start it again"
)
_DISPLAY_ENDED = "the display ended; your files are kept: open it again with the same workspace"


class Sessions:
    """The sessions of one home. One service calls `supervise`; any process may ask, open and end."""

    def __init__(self, bench: SessionBench) -> None:
        self._bench = bench
        self._files = SessionFiles(bench.sessions_dir)
        self._stage = Stage(bench.engine, home=bench.home, gateway_gid=bench.gateway_gid)
        self._pool = DisplayPool(self._files, self._stage, size=bench.quota.idle_displays)
        self._observing = Observing(bench.observe)
        self._turns = Turns(bench.quota.launches)
        self._opening = threading.Lock()
        self._busy: set[str] = set()

    def open(self, asked: OpenSession) -> Session:
        """A new session, launching; returns at once.

        Raises `SessionRefused`, `SessionLimit`, `DatasetUnknown` and what finding the recipe may raise.
        """
        check_names(asked)
        bench, now = self._bench, datetime.now(UTC)
        recipe = bench.recipe(asked.recipe)
        gui = choose_gui(recipe, asked.gui)
        profile = parse_profile(gui.display, geometry=asked.geometry)
        bench.lock(recipe)
        for name in asked.datasets:
            declared = any(item.name == name for item in recipe.datasets)
            if not declared and find_registered(name, bench.store) is None:
                raise unknown(name, bench.store)
        session = self._describe(asked, recipe, gui, profile.text, now)
        backstage = Backstage(
            launcher=this_process(),
            workspace_dir=workspace_folder(bench.home, asked.user, recipe.id, asked.workspace),
            profile=profile.text,
            window_class=gui.window_class,
            window_title=gui.window_title,
            parameter_files=gui.parameter_files,
            logs=gui.logs,
        )
        with self._opening:
            self._refuse_too_many(asked, recipe)
            self._busy.add(session.id)
            self._files.add(session, backstage)
        self._in_background(session.id, lambda: self._launch(session.id, recipe, gui))
        return session

    def get(self, session: str, *, user: str | None = None) -> Session:
        """One session; raises `SessionUnknown`, also for one of another user than `user`."""
        found, _ = self._files.read(session)
        if user is not None and found.user != user:
            raise unknown_session(session)
        return found

    def list(self, user: str | None = None) -> tuple[Session, ...]:
        """All sessions, or those of a user, newest first; those over stay in the list for a week."""
        found = []
        for name in self._files.ids():
            try:
                session = self.get(name)
            except ThawError:  # pruned this moment
                continue
            if user is None or session.user == user:
                found.append(session)
        return tuple(found)

    def touch(self, session: str) -> None:
        """Somebody looks at it: the idle time begins anew."""
        self._files.set(session, last_active=datetime.now(UTC))

    def extend(self, session: str) -> Session:
        """Give a session its whole time again, from now."""
        now = datetime.now(UTC)
        found = self.get(session)
        _refuse_over(found)
        return self._files.set(
            session, last_active=now, expires=now + timedelta(seconds=found.limits.absolute_s)
        )

    def restart_application(self, session: str) -> Session:
        """Start a program that ended again, on the screen it had; returns at once."""

        def change(one: Session, backstage: Backstage) -> tuple[Session, Backstage]:
            if one.state is not SessionState.APPLICATION_ENDED:
                raise SessionStateWrong(
                    f"session {session} is {one.state}: only an application that has ended is started again",
                    where=session,
                    hint=f"see how it is: thaw session show {session}",
                )
            steps = tuple(
                replace(step, state=StepState.PENDING, detail="", seconds=None)
                if step.name in STEPS[2:]
                else step
                for step in one.steps
            )
            launching = replace(
                one, state=SessionState.LAUNCHING, steps=steps, message="", exit_status=None, log_tail=()
            )
            return launching, replace(backstage, launcher=this_process())

        _, former = self._files.read(session)
        self._busy.add(session)
        try:
            started = self._files.update(session, change)
        except SessionStateWrong:
            self._busy.discard(session)
            raise
        self._in_background(session, lambda: self._relaunch(session, former.application_container))
        return started

    def end(self, session: str, reason: str = "by the user") -> Session:
        """End a session: its files are kept, its record is written, its containers are gone on return."""
        self._busy.add(session)  # or `supervise` would take it for an end that nobody finishes
        try:
            begin_end(session, self._files, final=SessionState.ENDED, reason=reason)
            return self._finish(session)
        finally:
            self._busy.discard(session)

    def workspace_dir(self, session: str) -> Path:
        """The session's files on this host."""
        return self._files.read(session)[1].workspace_dir

    def read_log(self, session: str) -> tuple[tuple[str, str], ...]:
        """What the display and then the program last printed: lines, each with which of the two says it."""
        _, backstage = self._files.read(session)
        return self._stage.read_log_lines(self._files.display(session), backstage.application_container)

    def own(self, session: str, path: Path) -> None:
        """A file or folder somebody put into the workspace becomes the session's own; links are not followed."""
        if not path.resolve().is_relative_to(self.workspace_dir(session).resolve()):
            raise SessionRefused(
                f"{path.name!r} is not in the workspace of {session}", hint="name a file of the workspace"
            )
        self._stage.own(path)

    def recover(self) -> tuple[Session, ...]:
        """After a restart of the service: finish what was half-done, remove orphans; what still lives."""
        self.supervise(datetime.now(UTC))
        return tuple(one for one in self.list() if not one.state.is_over())

    def supervise(self, now: datetime) -> None:
        """One pass: programs and displays that ended, limits, launches and ends of dead processes, orphans."""
        parts = {part.container: part for part in self._stage.parts()}
        in_use: set[str] = set()
        living: set[str] = set()
        for one in self.list():
            try:
                in_use |= self._look_after(one, parts, now)
            except ThawError as error:
                _log.warning("supervising %s fails: %s", one.id, error.message)
            if one.state not in (SessionState.ENDED, SessionState.FAILED):
                living.add(one.id)
        if not self._busy:  # a launch is not to share the host with the display for the next one
            self._pool.look_after({part.session for part in parts.values()})
        for part in parts.values():
            is_needed = part.container in in_use or part.session in living | self._busy
            if not is_needed and not self._pool.owns(part.session):
                self._stage.remove(part.container)

    def has_idle_display(self) -> bool:
        """Whether a display waits for the next session."""
        return self._pool.has_idle()

    def close(self) -> None:
        """Give up the idle displays; sessions live on."""
        self._pool.close()

    def _look_after(self, one: Session, parts: Mapping[str, Part], now: datetime) -> set[str]:
        """Do what a session needs now; gives the containers it has."""
        if one.state in (SessionState.ENDED, SessionState.FAILED):
            if one.ended is not None and now - one.ended > _KEPT:
                shutil.rmtree(self._files.folder(one.id), ignore_errors=True)
            return set()
        _, backstage = self._files.read(one.id)
        containers = {backstage.display_container, backstage.application_container}
        if one.id in self._busy:
            return containers
        if one.state in (SessionState.LAUNCHING, SessionState.ENDING):
            if backstage.launcher == this_process() or not is_alive(backstage.launcher):
                self._end_as(
                    one.id, SessionState.FAILED, "interrupted", "Thaw was killed while it was launched"
                )
            return containers
        display, program = (
            parts.get(name) for name in (backstage.display_container, backstage.application_container)
        )
        if one.kind != GuiKind.WEB and (display is None or not display.is_running):
            self._end_as(one.id, SessionState.FAILED, "the display ended", _DISPLAY_ENDED)
        elif one.state is SessionState.READY and (program is None or not program.is_running):
            self._tell_application_ended(one.id, backstage)
        elif one.state is SessionState.READY and self._fills_disk(backstage, now):
            self._stage.stop(backstage.application_container)
            self._tell_application_ended(one.id, backstage, why=_DISK_FULL)
        elif now >= one.expires:
            self._end_as(one.id, SessionState.ENDED, f"its {one.limits.absolute_s} s are over")
        elif now - one.last_active >= timedelta(seconds=one.limits.idle_s):
            self._end_as(one.id, SessionState.ENDED, f"idle for {one.limits.idle_s} s")
        return containers

    def _fills_disk(self, backstage: Backstage, now: datetime) -> bool:
        """Whether a workspace holds more than its program may write; looked at every ten seconds."""
        if backstage.draft is None or now.second % _DISK_LOOK_S:
            return False
        try:
            used = measure_folder(backstage.workspace_dir)
        except FolderClosed:
            return True
        return used > backstage.draft.job.limits["disk_mb"] * _MIB

    def _tell_application_ended(self, session: str, backstage: Backstage, *, why: str = "") -> None:
        state = self._stage.look_at(backstage.application_container)
        tail = self._stage.read_tail(backstage.application_container)
        if state is None:
            message, status = "the application is gone: its container was removed", None
        elif state.oom_killed:
            message, status = "the application needed more memory than its limit", state.exit_status
        else:
            message = why or f"the application ended with exit status {state.exit_status}"
            status = state.exit_status

        def change(one: Session, behind: Backstage) -> tuple[Session, Backstage]:
            if one.state is not SessionState.READY:
                return one, behind
            ended = SessionState.APPLICATION_ENDED
            return replace(one, state=ended, message=message, exit_status=status, log_tail=tail), behind

        self._files.update(session, change)

    def _end_as(self, session: str, final: SessionState, reason: str, message: str = "") -> None:
        begin_end(session, self._files, final=final, reason=reason, message=message)
        self._in_background(session, lambda: self._finish(session))

    def _finish(self, session: str) -> Session:
        return finish_end(session, self._bench, self._files, self._stage, self._observing)

    def _launch(self, session: str, recipe: Recipe, gui: Gui) -> None:
        self._run_launch(session, lambda launch: launch.run(recipe, gui))

    def _relaunch(self, session: str, former: str) -> None:
        self._observing.pause(session)
        if former:
            self._stage.remove(former)
        self._run_launch(session, lambda launch: launch.run_application())

    def _run_launch(self, session: str, run: Callable[[Launch], None]) -> None:
        launch = Launch(
            session, self._bench, self._files, self._stage, self._pool.take, observing=self._observing
        )
        try:
            with launch.wait_for_turn(self._turns):
                run(launch)
        except GivenUp:
            self._remove_containers(session)
            self._observing.finish(session)
        except ThawError as error:
            self._fail(session, error.message)
        except Exception as error:  # noqa: BLE001  # a defect must not leave a session that launches for ever
            _log.exception("launching %s fails", session)
            self._fail(session, f"a defect of Thaw: {error}")

    def _remove_containers(self, session: str) -> None:
        _, backstage = self._files.read(session)
        self._stage.remove_all_of(session)
        if backstage.display_container:
            self._stage.remove(backstage.display_container)

    def _fail(self, session: str, message: str) -> None:
        begin_end(
            session, self._files, final=SessionState.FAILED, reason="its launch failed", message=message
        )
        self._finish(session)

    def _in_background(self, session: str, work: Callable[[], object]) -> None:
        """Do something with a session in a thread; meanwhile `supervise` leaves it alone."""
        self._busy.add(session)

        def run() -> None:
            try:
                work()
            except ThawError as error:
                _log.warning("session %s: %s", session, error.message)
            finally:
                self._busy.discard(session)

        threading.Thread(target=run, name=f"session-{session}", daemon=True).start()

    def _describe(self, asked: OpenSession, recipe: Recipe, gui: Gui, display: str, now: datetime) -> Session:
        session = SessionId(new_run_id(now, secrets.SystemRandom()))
        is_web = gui.kind is GuiKind.WEB
        folders, limits = self._files.display(session), self._bench.limits
        return Session(
            id=session,
            user=asked.user,
            recipe=recipe.id,
            gui=gui.name,
            title=gui.title,
            kind=gui.kind.value,
            state=SessionState.LAUNCHING,
            created=now,
            ready=None,
            ended=None,
            display="" if is_web else display,
            workspace=asked.workspace,
            datasets=asked.datasets,
            steps=fresh_steps(STEPS),
            message="",
            exit_status=None,
            log_tail=(),
            limits=limits,
            last_active=now,
            expires=now + timedelta(seconds=limits.absolute_s),
            rfb_socket=None if is_web else folders.rfb_socket,
            web_socket=folders.root / "web" / "web.sock" if is_web else None,
            record=None,
            end_reason="",
        )

    def _refuse_too_many(self, asked: OpenSession, recipe: Recipe) -> None:
        living = [one for one in self.list() if not one.state.is_over()]
        own = [one for one in living if one.user == asked.user]
        quota = self._bench.quota
        for count, limit, noun in (
            (len(own), quota.per_user, "per_user"),
            (len(living), quota.together, "together"),
        ):
            if count >= limit:
                raise SessionLimit(
                    f"{count} sessions are open, and the limit {noun} is {limit}",
                    where=asked.user,
                    hint=f"end one: thaw session stop {(own or living)[-1].id}"
                    if own
                    else "try again later: others have them all",
                )
        for one in own:
            if (one.workspace, one.recipe.partition("/")[0]) == (asked.workspace, recipe.name):
                raise SessionRefused(
                    f"workspace {asked.workspace!r} of {recipe.name} is in use by session {one.id}",
                    where=asked.workspace,
                    hint="go back to that session, end it, or name another workspace",
                )


def _refuse_over(session: Session) -> None:
    if session.state.is_over():
        raise SessionStateWrong(
            f"session {session.id} is {session.state}: its time cannot be extended",
            where=session.id,
            hint="open it again with the same workspace: your files are there",
        )
