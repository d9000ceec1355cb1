"""Sessions without an engine: what the portal's tests open, look at and end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from instantiator.session.errors import unknown_session
from instantiator.session.model import (
    LaunchStep,
    OpenSession,
    Session,
    SessionId,
    SessionLimits,
    SessionState,
    StepState,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class FakeSessions:
    """Keeps sessions in memory; one that is opened is ready at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.all: dict[str, Session] = {}
        self.touched: list[str] = []

    def open(self, asked: OpenSession) -> Session:
        name = SessionId(f"20261120-120000-f{len(self.all):03}")
        (self.root / name).mkdir(parents=True)
        session = Session(
            id=name,
            user=asked.user,
            recipe=asked.recipe,
            gui=asked.gui or "main",
            title="SAOImage DS9",
            kind="x11",
            state=SessionState.READY,
            created=NOON,
            ready=NOON + timedelta(seconds=2),
            ended=None,
            display="truecolor",
            workspace=asked.workspace,
            datasets=asked.datasets,
            steps=(LaunchStep(name="image", state=StepState.DONE, seconds=0.1),),
            message="",
            exit_status=None,
            log_tail=(),
            limits=SessionLimits(),
            last_active=NOON,
            expires=NOON + timedelta(hours=8),
            rfb_socket=self.root / "rfb.sock",
            web_socket=None,
            record=None,
            end_reason="",
        )
        self.all[name] = session
        return session

    def get(self, session: str) -> Session:
        if session not in self.all:
            raise unknown_session(session)
        return self.all[session]

    def list(self, user: str | None = None) -> tuple[Session, ...]:
        return tuple(one for one in self.all.values() if user in (None, one.user))

    def touch(self, session: str) -> None:
        self.touched.append(self.get(session).id)

    def extend(self, session: str) -> Session:
        return self._set(session, expires=self.get(session).expires + timedelta(hours=8))

    def restart_application(self, session: str) -> Session:
        return self._set(session, state=SessionState.READY, exit_status=None, log_tail=())

    def end(self, session: str, reason: str) -> Session:
        return self._set(session, state=SessionState.ENDED, end_reason=reason, ended=NOON)

    def read_log(self, session: str) -> tuple[tuple[str, str], ...]:
        self.get(session)
        return (("display", "vncext: VNC extension running"), ("application", "reading .midasrc"))

    def own(self, session: str, path: Path) -> None:
        assert path.is_relative_to(self.workspace_dir(session))

    def workspace_dir(self, session: str) -> Path:
        return self.root / self.get(session).id

    def crash(self, session: str, status: int) -> None:
        """The program of a session ends by itself."""
        ended = SessionState.APPLICATION_ENDED
        self._set(session, state=ended, exit_status=status, log_tail=("Segmentation fault",))

    def _set(self, session: str, **changes: object) -> Session:
        self.all[session] = replace(self.get(session), **changes)  # type: ignore[arg-type]  # a fake's own words
        return self.all[session]
