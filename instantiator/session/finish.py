"""The end of a session: programs stopped, workspace kept as a version, record written, containers gone.

Every step may be done again by whoever finds it half-done: the first record of a session stands.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from instantiator.session.bench import SessionBench
from instantiator.session.files import Backstage, SessionFiles
from instantiator.session.model import Session, SessionState
from instantiator.session.observing import Observing
from instantiator.session.stage import Stage
from instantiator.session.workspace import (
    KeptWorkspace,
    NamedFiles,
    keep_workspace,
    list_outputs,
    write_version,
)
from provenance.errors import ThawError
from provenance.record import Record, RunState
from provenance.store import this_process


def begin_end(
    session: str, files: SessionFiles, *, final: SessionState, reason: str, message: str = ""
) -> Session:
    """Say that a session is ending, and why; nothing where it is over already."""
    owner = this_process()

    def change(one: Session, backstage: Backstage) -> tuple[Session, Backstage]:
        if one.state.is_over():
            return one, backstage
        ending = replace(one, state=SessionState.ENDING, end_reason=reason, message=message or one.message)
        return ending, replace(backstage, launcher=owner, final=final.value)

    return files.update(session, change)


def finish_end(
    session: str, bench: SessionBench, files: SessionFiles, stage: Stage, observing: Observing
) -> Session:
    """Do what ending takes; the session as it stands then. `begin_end` comes first."""
    one, backstage = files.read(session)
    if one.state is not SessionState.ENDING:
        return one
    log, exit_status = stop_application(one, backstage, stage)
    observed = observing.finish(session)
    stage.remove_all_of(session)
    if backstage.display_container:  # one from the pool has another label
        stage.remove(backstage.display_container)
    ended = datetime.now(UTC)
    digest = None
    if backstage.draft is not None:
        kept = keep_workspace(backstage.workspace_dir, bench.vault)
        record = make_record(one, backstage, kept, bench, ended=ended)
        kept_log = bench.vault.put_bytes(log)
        record = replace(record, log=kept_log, exit_status=exit_status, observed=observed)
        digest = bench.store.finish_run(record, bench.vault)
        write_version(backstage.workspace_dir, kept.tree.digest, session=session, now=ended)
    for folder in ("x11", "display", "web"):
        shutil.rmtree(files.folder(session) / folder, ignore_errors=True)
    return files.set(
        session,
        state=SessionState(backstage.final or SessionState.ENDED),
        ended=ended,
        record=digest,
        exit_status=exit_status,
        rfb_socket=None,
        web_socket=None,
    )


def stop_application(one: Session, backstage: Backstage, stage: Stage) -> tuple[bytes, int | None]:
    """Stop the program; what it printed, and its exit status where it had ended by itself."""
    container = backstage.application_container
    if not container:
        return b"", one.exit_status
    before = stage.look_at(container)
    stage.stop(container)
    ended_itself = before is not None and not before.is_running
    return stage.read_log(container), before.exit_status if before and ended_itself else one.exit_status


def make_record(
    one: Session, backstage: Backstage, kept: KeptWorkspace, bench: SessionBench, *, ended: datetime
) -> Record:
    """The record of a session: what it was given, and the files it made or changed."""
    draft = backstage.draft
    assert draft is not None, "a session has a draft once its image is there"
    before = bench.vault.read_tree(backstage.before) if backstage.before else kept.tree
    named = NamedFiles(parameter_files=backstage.parameter_files, logs=backstage.logs)
    outputs = list_outputs(before, kept.tree, named)
    wall_s = (ended - one.ready).total_seconds() if one.ready else 0.0
    host: dict[str, object] = {}
    with suppress(ThawError):  # the engine may be gone: then the record says nothing of it
        host = dict(bench.host())
    return replace(
        draft,
        state=_STATES.get(backstage.final, RunState.COMPLETED),
        message="; ".join(text for text in (f"ended: {one.end_reason}", one.message) if text),
        outputs=outputs,
        started=one.ready,
        ended=ended,
        host=host,
        parameters={
            **draft.parameters,
            "workspace_before": backstage.before,
            "workspace_after": kept.tree.digest,
            "workspace_left_out": list(kept.left_out),
        },
        resources={"wall_s": round(wall_s, 6), "output_bytes": sum(output.size for output in outputs)},
    )


_STATES = {SessionState.FAILED.value: RunState.FAILED}
