"""The containers of sessions: started, looked at, removed. The one place here that acts on the engine."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from instantiator.display.container import DisplayFolders
from instantiator.display.image import display_lock
from instantiator.display.profile import DisplayProfile
from instantiator.engine import Engine, EngineRefused, ImageMissing
from instantiator.engine.containers import (
    ContainerMissing,
    ContainerState,
    create_container,
    inspect_container,
    kill_container,
    list_containers,
    read_container_log,
    remove_container,
    start_container,
)
from instantiator.job.backends.docker import describe_caller, hand_over_mounts
from instantiator.job.law import HOME_LABEL, Identity, choose_identity
from instantiator.job.spec import JobSpec
from instantiator.session.files import Backstage
from instantiator.session.model import Session
from instantiator.session.observing import Observing
from instantiator.session.plan import (
    APPLICATION,
    DISPLAY,
    PART_LABEL,
    SESSION_LABEL,
    SESSION_UID,
    application_job,
    describe_part,
    display_job,
)

_TAIL_LINES = 40
_GRACE_S = 3.0
_LOG_END = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A container of a session, as the engine lists it."""

    container: str
    session: str
    part: str
    is_running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedApplication:
    """An application's container that has not started, and what it was made from."""

    container: str
    job: JobSpec


class Stage:
    """Starts and removes the containers of sessions. `home` tells them from those of another Thaw."""

    def __init__(self, engine: Engine, *, home: Path, gateway_gid: int | None = None) -> None:
        self._engine = engine
        self._home = str(home.resolve())
        self._gateway_gid = gateway_gid

    def start_display(self, session: str, profile: DisplayProfile, folders: DisplayFolders) -> str:
        """Create a display and start it; the container's ID."""
        container = self.create_display(session, profile, folders)
        self.start(container)
        return container

    def create_display(self, session: str, profile: DisplayProfile, folders: DisplayFolders) -> str:
        """A display in its folders, made here, that has not started; the container's ID."""
        job = display_job(session, display_lock(), profile, folders)
        for folder in (folders.x11, folders.shared):
            folder.mkdir(parents=True, exist_ok=True)
        hand_over_mounts(job.mounts, self._identity(job))
        self._open_to_gateway(folders)
        return self._create(job, DISPLAY, ipc="shareable")

    def create_application(
        self, session: Session, backstage: Backstage, folders: DisplayFolders
    ) -> CreatedApplication:
        """A session's application beside its display, which is created at least; not started."""
        if session.kind == "web":
            (folders.root / "web").mkdir(exist_ok=True)
        job = application_job(session, backstage, folders)
        hand_over_mounts(job.mounts, self._identity(job))
        display = backstage.display_container
        ipc = f"container:{display}" if display else "private"
        return CreatedApplication(container=self._create(job, APPLICATION, ipc=ipc), job=job)

    def start_application(self, created: CreatedApplication, *, observing: Observing) -> None:
        """Start an application whose display runs, observed from its start."""
        try:
            observing.begin(created.container, created.job)
        except BaseException:
            self.remove(created.container)
            raise
        self.start(created.container)

    def start(self, container: str) -> None:
        """Start a created container; one that cannot be started is removed."""
        try:
            start_container(self._engine.wire, container)
        except BaseException:
            self.remove(container)
            raise

    def own(self, path: Path) -> None:
        """Make a file somebody put into a workspace the session's own."""
        caller = describe_caller(self._engine)
        if caller.uid == 0 and not caller.engine_is_rootless:
            os.chown(path, SESSION_UID, SESSION_UID, follow_symlinks=False)

    def parts(self) -> tuple[Part, ...]:
        """All containers of this home's sessions, in one call."""
        found = list_containers(self._engine.wire, {HOME_LABEL: self._home, SESSION_LABEL: ""})
        return tuple(
            Part(
                container=one.id,
                session=one.labels[SESSION_LABEL],
                part=one.labels.get(PART_LABEL, ""),
                is_running=one.state in ("running", "paused", "created"),
            )
            for one in found
        )

    def look_at(self, container: str) -> ContainerState | None:
        """The state of a container; None where it is gone."""
        try:
            return inspect_container(self._engine.wire, container)
        except ContainerMissing:
            return None

    def read_tail(self, container: str) -> tuple[str, ...]:
        """The last lines a program printed; none where the container is gone."""
        with suppress(EngineRefused):
            log = read_container_log(self._engine.wire, container, lines=_TAIL_LINES)
            return tuple(line.rstrip("\r") for line in log.decode(errors="replace").splitlines())
        return ()

    def read_log_lines(self, folders: DisplayFolders, application: str) -> tuple[tuple[str, str], ...]:
        """The last lines of a display's log and of its application's, where there are any yet."""
        shown = read_end(folders.log).splitlines()[-_TAIL_LINES:]
        said = self.read_tail(application) if application else ()
        return (*((DISPLAY, line) for line in shown), *((APPLICATION, line) for line in said))

    def read_log(self, container: str) -> bytes:
        """All a program printed."""
        with suppress(EngineRefused):
            return read_container_log(self._engine.wire, container)
        return b""

    def stop(self, container: str) -> ContainerState | None:
        """Ask a program to end, wait a little, kill it; its state then. The container stays for its log."""
        if (state := self.look_at(container)) is None or not state.is_running:
            return state
        kill_container(self._engine.wire, container, "SIGTERM")
        end = time.monotonic() + _GRACE_S
        while (state := self.look_at(container)) is not None and state.is_running:
            if time.monotonic() > end:
                kill_container(self._engine.wire, container)
                end += _GRACE_S
            time.sleep(0.05)
        return state

    def remove(self, container: str) -> None:
        """Remove a container; fine where it is gone."""
        remove_container(self._engine.wire, container)

    def remove_all_of(self, session: str) -> int:
        """Remove whatever is left of a session, by its label; how many containers."""
        found = list_containers(self._engine.wire, {HOME_LABEL: self._home, SESSION_LABEL: session})
        return sum(remove_container(self._engine.wire, one.id) for one in found)

    def _identity(self, job: JobSpec) -> Identity:
        return choose_identity(job, describe_caller(self._engine))

    def _create(self, job: JobSpec, part: str, *, ipc: str) -> str:
        caller = describe_caller(self._engine)
        mounts: tuple[Mapping[str, object], ...] = tuple(
            self._engine.describe_mount(mount) for mount in job.mounts
        )
        identity = choose_identity(job, caller)
        config = describe_part(job, part, identity, caller, mounts=mounts, home=self._home, ipc=ipc)
        name = f"thaw-{job.run}-{part}-{os.urandom(3).hex()}"
        try:
            return create_container(self._engine.wire, name, config)
        except ImageMissing:
            image = self._engine.find_image(job.image, job.image_name, job.image_layers)
            if image is None:
                raise
            return create_container(self._engine.wire, name, {**config, "Image": image})

    def _open_to_gateway(self, folders: DisplayFolders) -> None:
        """Let the gateway's group, and nobody else but the display, reach the RFB socket (it inherits the group)."""
        if self._gateway_gid is None:
            folders.shared.chmod(0o700)
            return
        os.chown(folders.shared, -1, self._gateway_gid)
        folders.shared.chmod(0o2750)


def read_end(log: Path) -> str:
    """The last 64 KiB of a log; nothing where there is none yet."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _LOG_END))
            return stream.read(_LOG_END).decode(errors="replace")
    except OSError:
        return ""
