"""`thaw open`, `thaw sessions`, `thaw session`: GUIs as sessions, from the shell."""

from __future__ import annotations

import getpass
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from instantiator.commands.common import Bench, json_option, show, size_text, table
from instantiator.commands.steps import progress

if TYPE_CHECKING:
    from instantiator.session.bench import Quota
    from instantiator.session.model import Session, SessionLimits
    from instantiator.session.sessions import Sessions
    from provenance.record import RecordedOutput

_LOOK_S = 0.05


def sessions_of(
    bench: Bench,
    *,
    limits: SessionLimits | None = None,
    quota: Quota | None = None,
    gateway_gid: int | None = None,
    is_observing: bool = False,
) -> Sessions:
    """The sessions of this home: for every command, and for the service, which lives long enough to observe."""
    from instantiator.commands.start import shelf_of
    from instantiator.host import host_facts_for_record
    from instantiator.observe.hook import observe_on
    from instantiator.session.bench import Quota, SessionBench
    from instantiator.session.model import SessionLimits
    from instantiator.session.sessions import Sessions
    from instantiator.thread.start import open_for_recipe

    settings, shelf = bench.settings, shelf_of(bench)
    made = SessionBench(
        home=settings.home,
        vault=bench.vault,
        store=bench.store,
        engine=bench.engine,
        workshop=bench.workshop,
        mirrors=bench.mirrors,
        recipe=bench.recipe,
        lock=bench.lock,
        open_dataset=lambda name, recipe, lock: open_for_recipe(name, recipe, lock, shelf),
        host=lambda: host_facts_for_record(bench.engine),
        limits=limits or SessionLimits(),
        quota=quota or Quota(launches=settings.jobs),
        gateway_gid=gateway_gid,
        observe=observe_on(bench.engine.wire) if is_observing else None,
    )
    return Sessions(made)


@click.command("open")
@click.argument("recipe_name", metavar="RECIPE")
@click.option("-g", "--gui", metavar="GUI", help="Which of its GUIs; the first where not given.")
@click.option("-d", "--dataset", multiple=True, metavar="D", help="A dataset by name, or a path.")
@click.option(
    "-w", "--workspace", default="default", show_default=True, metavar="NAME", help="The files to go on with."
)
@json_option
def open_command(
    recipe_name: str, gui: str | None, dataset: tuple[str, ...], workspace: str, *, as_json: bool
) -> int:
    """Open a GUI of a RECIPE and wait until it has drawn. The session lives on: `thaw session stop` ends it.

    Where a service runs with this state folder it opens the session, and the answer has the address to see it at.
    Exit 1 where it does not start. Keys: those of `thaw session show`, and address.
    """
    from instantiator.commands.service import find_service, open_through
    from instantiator.session.model import OpenSession, SessionState

    bench = Bench()
    recipe = bench.recipe(recipe_name)
    asked = OpenSession(
        user=getpass.getuser(),
        recipe=recipe.id,
        gui=gui,
        datasets=tuple(_dataset_name(bench, text) for text in dataset),
        workspace=workspace,
    )
    sessions, service = sessions_of(bench), find_service(bench.settings.home)
    opened = open_through(service, asked) if service else sessions.open(asked).id
    session = _wait(sessions, opened)
    address = service.session_address(opened) if service else None
    told = {**session_json(session), "address": address}
    show(
        told, as_json=as_json, human=f"{describe_session(session)}\n{_how_to_see(session, address)}".rstrip()
    )
    return 0 if session.state is SessionState.READY else 1


def _how_to_see(session: Session, address: str | None) -> str:
    """Where a browser finds the session's screen, in words."""
    if not session.state.has_screen():
        return ""
    if address is None:
        return (
            f"  no service shows it yet: start one with `thaw serve`, then open /sessions/{session.id} there"
        )
    return f"  see it at  {address}\n             (not logged in there? `thaw serve --login` prints a login address)"


def _dataset_name(bench: Bench, text: str) -> str:
    """A dataset by its name; what lies at a path is registered first."""
    from instantiator.dataset import add_dataset
    from instantiator.dataset.names import find_registered

    path = Path(text)
    if find_registered(text, bench.store) is not None or not ("/" in text and path.exists()):
        return text
    return add_dataset(path, vault=bench.vault, store=bench.store, now=datetime.now(UTC)).reference


def _wait(sessions: Sessions, session: str) -> Session:
    """Show the steps of a launch as they pass; gives the session when it is over with launching."""
    from instantiator.session.model import SessionState, StepState

    steps, told, running = progress(), set[str](), ""
    while True:
        found = sessions.get(session)
        for one in found.steps:
            if one.state is StepState.RUNNING and running != one.name:
                running = one.name
                steps.begin(one.name)
            if one.state is StepState.FAILED and one.name == running:
                steps.fail(one.name)
                running = ""
            if one.state is StepState.DONE and one.name not in told:
                told.add(one.name)
                steps.end(one.name, one.detail, one.seconds or 0.0)
        if found.state not in (SessionState.LAUNCHING, SessionState.ENDING):
            return found
        time.sleep(_LOOK_S)


@click.command("sessions")
@click.option("-a", "--all", "show_all", is_flag=True, help="Also those that are over.")
@json_option
def sessions_command(*, show_all: bool, as_json: bool) -> None:
    """Show the sessions of this Thaw, newest first. Keys: sessions[...] as `thaw session show`."""
    found = [one for one in sessions_of(Bench()).list() if show_all or not one.state.is_over()]
    rows = [
        (one.id, one.user, one.recipe, one.gui, one.state.value, one.workspace, f"{one.expires:%H:%M} UTC")
        for one in found
    ]
    human = table(("SESSION", "USER", "RECIPE", "GUI", "STATE", "WORKSPACE", "EXPIRES"), rows)
    data = {"sessions": [session_json(one) for one in found]}
    show(data, as_json=as_json, human=human if rows else "no sessions are open: thaw open NAME")


@click.group("session")
def session_command() -> None:
    """Look at one session, its files, stop it."""


@session_command.command("show")
@click.argument("session")
@json_option
def show_session(session: str, *, as_json: bool) -> None:
    """Show a session: its state, steps, limits, the end of its log; once it is over, the files it left, by role.

    Keys: id, user, recipe, gui, state, steps[name, state, detail, seconds], message, log_tail, rfb_socket, record,
    files{workspace, parameter-file, log: [path, bytes, sha256]}, ...
    """
    bench = Bench()
    found = _find(sessions_of(bench), session)
    outputs = _outputs_of(bench, found)
    files = {
        role: [{"path": o.path, "bytes": o.size, "sha256": o.digest} for o in outputs if o.name == role]
        for role in sorted({o.name for o in outputs})
    }
    human = "\n".join([describe_session(found), *(_describe_files(outputs) if outputs else [])])
    show({**session_json(found), "files": files}, as_json=as_json, human=human)


def _outputs_of(bench: Bench, session: Session) -> tuple[RecordedOutput, ...]:
    """What the record of a session lists; nothing before it is over."""
    if session.record is None:
        return ()
    from provenance.record import record_from_bytes

    return record_from_bytes(bench.vault.read_bytes(session.record, used_by=f"session {session.id}")).outputs


def _describe_files(outputs: tuple[RecordedOutput, ...]) -> list[str]:
    from instantiator.session.workspace import FileRole

    words = {FileRole.FILE: "files", FileRole.PARAMETER_FILE: "parameters", FileRole.LOG: "logs"}
    lines = []
    for role, noun in words.items():
        listed = [output for output in outputs if output.name == role]
        lines += [
            f"  {noun if output is listed[0] else '':<10} {output.path}, {size_text(output.size)}, "
            f"sha256 {output.digest[7:19]}"
            for output in listed
        ]
    return lines


@session_command.command("files")
@click.argument("session")
@json_option
def list_files(session: str, *, as_json: bool) -> None:
    """List the files of a session's workspace. Keys: folder, files[path, bytes]."""
    sessions = sessions_of(Bench())
    folder = sessions.workspace_dir(_find(sessions, session).id)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    listed = [{"path": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size} for path in files]
    rows = [(str(item["path"]), size_text(int(str(item["bytes"])))) for item in listed]
    data = {"folder": str(folder), "files": listed}
    show(data, as_json=as_json, human=f"{folder}\n{table(('FILE', 'SIZE'), rows)}")


@session_command.command("stop")
@click.argument("session")
@json_option
def stop_session(session: str, *, as_json: bool) -> None:
    """End a session: its files are kept, its record is written. Keys: those of `thaw session show`."""
    from instantiator.commands.service import end_through, find_service

    bench = Bench()
    sessions = sessions_of(bench)
    found, service = _find(sessions, session), find_service(bench.settings.home)
    if service is not None and found.user == getpass.getuser():
        end_through(service, found.id)
        ended = sessions.get(found.id)
    else:
        ended = sessions.end(found.id, "by the user")
    show(session_json(ended), as_json=as_json, human=describe_session(ended))


def _find(sessions: Sessions, text: str) -> Session:
    """The session called `text`, or the only one that ends like this, as ids of runs are abbreviated."""
    found = [one for one in sessions.list() if one.id.endswith(text)]
    return found[0] if len(found) == 1 and text else sessions.get(text)


def session_json(session: Session) -> dict[str, object]:
    """A session as the commands give it."""
    from instantiator.session.files import session_to_json

    return session_to_json(session)


def describe_session(session: Session) -> str:
    """A session for people."""
    lines = [f"session {session.id}: {session.state}, {session.title} ({session.recipe} {session.gui})"]
    if session.message:
        lines.append(f"  {session.message}")
    lines += [
        f"  {one.name:<12} {one.state.value:<8} {one.detail.splitlines()[0] if one.detail else ''}"
        f"{f' ({one.seconds:.2f} s)' if one.seconds is not None else ''}"
        for one in session.steps
    ]
    lines += [f"    {line}" for line in session.log_tail[-8:]]
    if session.state.has_screen():
        lines.append(f"  screen     {session.rfb_socket or session.web_socket}")
        lines.append(f"  until      {session.expires:%Y-%m-%d %H:%M} UTC, workspace {session.workspace!r}")
        lines.append(f"  end it: thaw session stop {session.id}")
    if session.record:
        lines.append(f"  ended      {session.end_reason}")
        lines.append(f"  record     {session.record}: thaw show {session.id}")
    return "\n".join(lines)
