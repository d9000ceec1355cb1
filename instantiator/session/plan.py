"""From a GUI of a recipe to what will run: decided here, done elsewhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from instantiator import __version__
from instantiator.display.container import (
    X_SOCKETS,
    DisplayFolders,
    application_environment,
    display_command,
    display_environment,
    display_mounts,
)
from instantiator.display.profile import DisplayProfile
from instantiator.image.lock import Lock
from instantiator.job.law import HOME_LABEL, RUN_LABEL, Caller, Identity, describe_container
from instantiator.job.spec import ImageDigest, JobSpec, Limits, Mount, RunId
from instantiator.recipe.model import Grant, Gui, GuiKind, OpenGl, Recipe, Resources
from instantiator.session.errors import SessionRefused
from instantiator.session.files import Backstage
from instantiator.session.model import OpenSession, Session
from provenance.digest import Digest
from provenance.record import Record, RecordedInput, RecordedJob, RunState

SESSION_LABEL, PART_LABEL = "thaw.session", "thaw.part"
DISPLAY, APPLICATION = "display", "application"
INPUT_ROOT, WORK, WEB = "/in", "/work", "/thaw/web"
SESSION_UID = 64000
_ENVIRONMENT = {
    "HOME": WORK,
    "LC_ALL": "C.UTF-8",
    "TMPDIR": "/tmp",
    "TZ": "UTC",
    # What can be made again does not belong into the workspace, nor into the record.
    "XDG_CACHE_HOME": "/tmp/.cache",
}
_SOFTWARE_GL = {
    "GALLIUM_DRIVER": "llvmpipe",
    "LIBGL_ALWAYS_SOFTWARE": "1",
    # One variable, by its name in Mesa 21 and later, and before.
    "MESA_GLSL_CACHE_DISABLE": "true",
    "MESA_SHADER_CACHE_DISABLE": "true",
}
_DISPLAY_RESOURCES = Resources(memory_mb=768, cpus=2.0, processes=64, disk_mb=256)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


def choose_gui(recipe: Recipe, name: str | None) -> Gui:
    """The GUI called `name`, or the recipe's first; raises `SessionRefused` naming the nearest."""
    guis = {gui.name: gui for gui in recipe.guis}
    if not guis:
        raise SessionRefused(
            f"{recipe.id} has no GUI to open",
            where=str(recipe.file),
            hint=f"run one of its threads: thaw run {recipe.name} THREAD",
        )
    if name is None:
        return recipe.guis[0]
    if name not in guis:
        near = get_close_matches(name, guis, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(sorted(guis))}"
        raise SessionRefused(f"{recipe.id} has no GUI {name!r}", where=str(recipe.file), hint=hint)
    return guis[name]


def check_names(asked: OpenSession) -> None:
    """Raise `SessionRefused` where user or workspace could not be a folder's name."""
    for noun, name in (("user", asked.user), ("workspace", asked.workspace)):
        if _NAME.fullmatch(name) is None:
            raise SessionRefused(
                f"{name!r} cannot be the name of a {noun}",
                hint="use letters, digits and . _ @ + -, beginning with a letter or digit, 64 at most",
            )


def mount_name(reference: str) -> str:
    """What a dataset is called below /in: its name, without its version."""
    return reference.rpartition("@")[0] or reference


def draft_record(
    session: Session,
    recipe: Recipe,
    gui: Gui,
    lock: Lock,
    *,
    lock_digest: Digest,
    display: Lock,
    inputs: tuple[RecordedInput, ...],
) -> Record:
    """The record of a session as far as it is known before it starts."""
    assert lock.image is not None, "a pinned lock"
    software = {"thaw": __version__, "python": ".".join(str(part) for part in sys.version_info[:3])}
    if gui.kind is GuiKind.X11 and display.image is not None:
        software |= {"display-image": display.image.id, "display-lock": display.digest}
    return Record(
        run=session.id,
        kind="session",
        recipe=recipe.id,
        recipe_digest=recipe.digest,
        lock=lock_digest,
        image=lock.image.id,
        thread=gui.name,
        parameters={"display": session.display, "workspace": session.workspace, "user": session.user},
        inputs=inputs,
        outputs=(),
        job=_recorded_job(gui, session),
        state=RunState.INTERRUPTED,
        exit_status=None,
        message="Thaw was killed while the session was launched",
        submitted=session.created,
        started=None,
        ended=session.created,
        log=None,
        resources={},
        host={},
        software=software,
        user=session.user,
    )


def _recorded_job(gui: Gui, session: Session) -> RecordedJob:
    resources, grants = gui.resources, {need.grant for need in gui.needs}
    extra = application_environment() if gui.kind is GuiKind.X11 else _web_environment(session.id)
    if gui.opengl is OpenGl.SOFTWARE:
        extra = {**extra, **_SOFTWARE_GL}
    return RecordedJob(
        command=gui.command,
        environment={**_ENVIRONMENT, **extra},
        script=None,
        working_dir=WORK,
        uid=SESSION_UID,
        limits={**_limits(resources), "time_s": session.limits.absolute_s},
        network=Grant.NETWORK in grants,
        writable_root=Grant.WRITABLE_ROOT in grants,
        capabilities=tuple(need.capability for need in gui.needs if need.grant is Grant.CAPABILITY),
        outputs=(),
        success={"exit_status": [0], "refuse": []},
    )


def _web_environment(session: str) -> dict[str, str]:
    """Where a web application listens, and the path the gateway asks it under."""
    return {"THAW_WEB_PATH": f"/lab/{session}/", "THAW_WEB_SOCKET": f"{WEB}/web.sock"}


def _limits(resources: Resources) -> dict[str, float]:
    return {
        "memory_mb": resources.memory_mb,
        "cpus": resources.cpus,
        "processes": resources.processes,
        "disk_mb": resources.disk_mb,
        "log_mb": resources.log_mb,
    }


def application_job(session: Session, backstage: Backstage, folders: DisplayFolders) -> JobSpec:
    """The job of the application's container: datasets to read, the workspace to write, a screen."""
    draft, sources = backstage.draft, backstage.sources
    assert draft is not None and sources is not None, "the image step comes first"
    mounts = [Mount(source=Path(sources[item.name]), target=item.mount) for item in draft.inputs]
    mounts.append(Mount(source=backstage.workspace_dir, target=WORK, read_only=False))
    if session.kind == GuiKind.WEB:
        mounts.append(Mount(source=folders.root / "web", target=WEB, read_only=False))
    else:
        mounts.append(Mount(source=folders.x11, target=X_SOCKETS))
    job = draft.job
    return JobSpec(
        run=RunId(session.id),
        image=ImageDigest(draft.image),
        image_name=backstage.image_name,
        image_layers=backstage.image_layers,
        command=job.command,
        environment=job.environment,
        mounts=tuple(mounts),
        limits=Limits.of_record(job.limits),
        working_dir=job.working_dir,
        uid=job.uid,
        network=job.network,
        writable_root=job.writable_root,
        capabilities=job.capabilities,
    )


def display_job(session: str, lock: Lock, profile: DisplayProfile, folders: DisplayFolders) -> JobSpec:
    """The job of a display's container."""
    assert lock.image is not None, "the display's lock is committed with its image"
    return JobSpec(
        run=RunId(session),
        image=ImageDigest(lock.image.id),
        image_name=lock.image_name,
        image_layers=(lock.image.layer,),
        command=display_command(profile),
        environment=display_environment(),
        mounts=display_mounts(folders),
        limits=Limits.of_record({**_limits(_DISPLAY_RESOURCES), "time_s": 0}),
        working_dir="/tmp",
        uid=SESSION_UID,
    )


def describe_part(
    job: JobSpec,
    part: str,
    identity: Identity,
    caller: Caller,
    *,
    mounts: tuple[Mapping[str, object], ...],
    home: str,
    ipc: str,
) -> dict[str, object]:
    """A session's container as the engine takes it: law 4, the shared memory of `ipc`, labels to find it by.

    What the application prints is kept by the engine, within its bound: it must survive whoever started it.
    """
    config = describe_container(job, identity, caller, mounts=mounts, home=home)
    host = config["HostConfig"]
    assert isinstance(host, dict)
    log = {"Type": "json-file", "Config": {"max-size": f"{job.limits.log_mb}m", "max-file": "1"}}
    host = {**host, "IpcMode": ipc, "LogConfig": log if part == APPLICATION else host["LogConfig"]}
    if ipc.startswith("container:"):
        host.pop("ShmSize")
    labels = {**job.labels, SESSION_LABEL: job.run, PART_LABEL: part, HOME_LABEL: home}
    labels.pop(RUN_LABEL, None)
    return {**config, "Labels": labels, "HostConfig": host}
