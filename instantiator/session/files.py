"""Sessions on disk: a folder each, with `session.json` as the truth, written whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from instantiator.atomic import replace_text
from instantiator.display.container import DisplayFolders
from instantiator.session.errors import unknown_session
from instantiator.session.model import LaunchStep, Session, SessionId, SessionLimits, SessionState, StepState
from provenance.digest import Digest
from provenance.record import Record, parse_time, record_from_bytes, to_json
from provenance.store import Owner
from provenance.store.ids import is_run_id

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Backstage:
    """What a session needs besides what is told of it: to be supervised, restarted and recorded by anyone.

    `draft` is the record as far as it is known; None until the image is there. `launcher` is the process that
    launches or ends it. `before` is the version of the workspace it began with.
    """

    launcher: Owner
    workspace_dir: Path
    profile: str
    window_class: str = ""
    window_title: str = ""
    parameter_files: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    draft: Record | None = None
    image_name: str = ""
    image_layers: tuple[str, ...] = ()
    sources: Mapping[str, str] | None = None
    before: Digest | None = None
    display_container: str = ""
    application_container: str = ""
    final: str = ""


class SessionFiles:
    """The folders of all sessions of one home; safe under threads, several processes and kill -9."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[str, tuple[tuple[int, int, int], tuple[Session, Backstage]]] = {}

    def folder(self, session: str) -> Path:
        """The folder of a session."""
        return self.root / session

    def display(self, session: str) -> DisplayFolders:
        """The folders of its display."""
        return DisplayFolders(root=self.folder(session))

    def ids(self) -> tuple[SessionId, ...]:
        """Every session there is a file of, newest first."""
        if not self.root.is_dir():
            return ()
        found = [path.parent.name for path in self.root.glob("*/session.json")]
        return tuple(SessionId(name) for name in sorted(found, reverse=True))

    def add(self, session: Session, backstage: Backstage) -> None:
        """Write a new session."""
        self.folder(session.id).mkdir(parents=True)
        with self._locked(session.id):
            self._write(session, backstage)

    def read(self, session: str) -> tuple[Session, Backstage]:
        """A session as it stands; raises `SessionUnknown`."""
        if not is_run_id(session):
            raise unknown_session(session)
        try:
            with (self.folder(session) / "session.json").open("rb") as file:
                found = os.fstat(file.fileno())
                mark = (found.st_ino, found.st_mtime_ns, found.st_size)  # each write makes another file
                mark_known, known = self._known.get(session, (None, None))
                if known is not None and mark == mark_known:
                    return known
                value = json.loads(file.read())
        except FileNotFoundError as error:
            self._known.pop(session, None)
            raise unknown_session(session) from error
        read = _session(value["session"]), _backstage(value["backstage"])
        self._known[session] = (mark, read)
        return read

    def update(
        self, session: str, change: Callable[[Session, Backstage], tuple[Session, Backstage]]
    ) -> Session:
        """Change a session as nobody else does at the moment; what `change` raises leaves it as it was."""
        self.read(session)
        with self._locked(session):
            before = self.read(session)
            after = change(*before)
            if after != before:
                self._write(*after)
        return after[0]

    def set(self, session: str, **values: Any) -> Session:
        """Give fields of a session these values."""
        return self.update(session, lambda one, backstage: (replace(one, **values), backstage))

    def set_backstage(self, session: str, **values: Any) -> None:
        """Give fields of what stands behind a session these values."""
        self.update(session, lambda one, backstage: (one, replace(backstage, **values)))

    def _write(self, session: Session, backstage: Backstage) -> None:
        value = {
            "format": FORMAT,
            "session": _plain(asdict(session)),
            "backstage": {
                **_plain(asdict(replace(backstage, draft=None))),
                "draft": backstage.draft.to_bytes().decode() if backstage.draft else None,
            },
        }
        replace_text(
            self.folder(session.id) / "session.json", json.dumps(value, indent=1, ensure_ascii=False)
        )

    @contextmanager
    def _locked(self, session: str) -> Iterator[None]:
        with (self.folder(session) / "lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def session_to_json(session: Session) -> dict[str, object]:
    """A session as plain data: times as UTC text, paths as text."""
    return _plain(asdict(session))


def _plain(value: Mapping[str, object]) -> dict[str, object]:
    return {key: _plain_value(item) for key, item in value.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, (tuple, list)):
        return [_plain_value(item) for item in value]
    return to_json(value)


def _session(value: Mapping[str, Any]) -> Session:
    given = dict(value)
    for key in ("created", "ready", "ended", "last_active", "expires"):
        given[key] = _time(given[key])
    for key in ("rfb_socket", "web_socket"):
        given[key] = Path(given[key]) if given[key] else None
    given["state"] = SessionState(given["state"])
    given["limits"] = SessionLimits(**given["limits"])
    given["steps"] = tuple(
        LaunchStep(**{**step, "state": StepState(step["state"])}) for step in given["steps"]
    )
    given["datasets"], given["log_tail"] = tuple(given["datasets"]), tuple(given["log_tail"])
    return Session(**given)


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None


def _backstage(value: Mapping[str, Any]) -> Backstage:
    given = dict(value)
    given["launcher"] = Owner(**given["launcher"])
    given["workspace_dir"] = Path(given["workspace_dir"])
    for key in ("image_layers", "parameter_files", "logs"):
        given[key] = tuple(given.get(key, ()))
    given["draft"] = record_from_bytes(given["draft"].encode()) if given["draft"] else None
    return Backstage(**given)
