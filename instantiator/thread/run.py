"""Execute a plan: a run begins, a job is done, outputs enter the vault, a record is written.

Whatever is killed at any moment: a run that has no record is found by the next Thaw, its container removed,
and it is recorded as interrupted (`recover_runs`). Nothing unfinished is ever called finished.
"""

from __future__ import annotations

import secrets
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from instantiator import __version__
from instantiator.job.backend import Backend
from instantiator.job.spec import JobEnd, JobResult, JobSpec, RunId
from instantiator.thread.account import account_for
from instantiator.thread.outcome import FoundOutput, find_outputs, find_unnameable, judge_outcome
from instantiator.thread.plan import RunFolders, RunPlan, job_spec
from provenance.digest import Digest
from provenance.errors import RecordInvalid, ThawError
from provenance.record import Record, RecordedOutput, Rule, RunState, record_from_bytes
from provenance.store import NewRun, RunUnknown, StateIllegal, Store, is_alive, new_run_id, this_process
from provenance.vault import Vault, hash_files


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBench:
    """What a run works with. `host` gives the facts a record keeps of it; `runs_dir` holds the runs' folders."""

    vault: Vault
    store: Store
    backend: Backend
    runs_dir: Path
    host: Callable[[], Mapping[str, object]]
    user: str | None = None
    """Who asked for the runs, where the service knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run that has its record, and the folder its outputs lie in."""

    run: RunId
    record: Record
    digest: Digest
    out: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneJob:
    """A job that is over, what the host was, and the folders it has left its outputs in."""

    result: JobResult
    host: Mapping[str, object]
    folders: RunFolders


def begin_run_id(now: datetime) -> RunId:
    """A new run's name."""
    return RunId(new_run_id(now, secrets.SystemRandom()))


def execute_plan(
    plan: RunPlan,
    sources: Mapping[str, Path],
    bench: RunBench,
    *,
    cancel: threading.Event,
    hear: Callable[[bytes], None],
) -> FinishedRun:
    """Do what `plan` says and record it, however it ends. `hear` gets the program's output as it comes.

    Raises only where the run could not even begin (no engine, no image: it is forgotten), or could not be
    recorded (full disk): then it is found later.
    """
    submitted = datetime.now(UTC)
    run = begin_run_id(submitted)
    bench.store.begin_run(_new_run(plan, run, submitted, bench.user))
    folders = lay_out_run(plan, run, bench)
    draft = replace(draft_record(plan, run, submitted), user=bench.user)
    folders.draft.write_bytes(draft.to_bytes())
    started = datetime.now(UTC)
    bench.store.set_state(run, RunState.EXECUTING, started=started)
    try:
        done = do_job(plan, folders, sources, bench, cancel=cancel, hear=hear)
    except ThawError:  # a backend raises it only where nothing was begun
        forget_run(folders, run, bench)
        raise
    return conclude_run(replace(draft, started=started), plan, done, bench)


def do_job(
    plan: RunPlan,
    folders: RunFolders,
    sources: Mapping[str, Path],
    bench: RunBench,
    *,
    cancel: threading.Event,
    hear: Callable[[bytes], None],
) -> DoneJob:
    """Execute the job of a run whose folders are laid out. Raises a `ThawError` only where nothing was begun."""
    job = job_spec(plan, RunId(folders.root.name), folders, sources)
    facts = _Meanwhile(bench.host)
    result = _execute(job, folders, bench, cancel=cancel, hear=hear)
    return DoneJob(result=result, host=facts.result(), folders=folders)


def conclude_run(draft: Record, plan: RunPlan, done: DoneJob, bench: RunBench) -> FinishedRun:
    """Keep what the job gave, and record the run: from here on it is finished."""
    folders = done.folders
    record = finish_record(replace(draft, host=done.host), plan, folders, done.result, bench)
    shutil.rmtree(folders.work, ignore_errors=True)
    digest = keep_record(record, bench)
    folders.draft.unlink(missing_ok=True)
    return FinishedRun(run=RunId(record.run), record=record, digest=digest, out=folders.out)


def lay_out_run(plan: RunPlan, run: RunId, bench: RunBench) -> RunFolders:
    """Make the folders of a run and put its script there, and into the vault."""
    folders = RunFolders(root=bench.runs_dir / run)
    for folder in (folders.work, folders.out):
        folder.mkdir(parents=True)
    if plan.script is not None:
        bench.vault.put_bytes(plan.script)
        folders.script.write_bytes(plan.script)
        folders.script.chmod(0o444)
    return folders


def draft_record(plan: RunPlan, run: RunId, submitted: datetime) -> Record:
    """The record as far as it is known before the job: what stands if nobody lives to finish it."""
    return Record(
        run=run,
        kind="thread",
        recipe=plan.recipe,
        recipe_digest=plan.recipe_digest,
        lock=plan.lock,
        image=plan.image,
        thread=plan.thread,
        parameters=plan.parameters,
        inputs=plan.inputs,
        outputs=(),
        job=plan.job,
        state=RunState.INTERRUPTED,
        exit_status=None,
        message="Thaw was killed while the run was under way",
        submitted=submitted,
        started=None,
        ended=submitted,
        log=None,
        resources={},
        host={},
        software={"thaw": __version__, "python": ".".join(str(part) for part in sys.version_info[:3])},
        repeats=plan.repeats,
    )


def _new_run(plan: RunPlan, run: RunId, submitted: datetime, user: str | None) -> NewRun:
    return NewRun(
        id=run,
        kind="thread",
        recipe=plan.recipe,
        thread=plan.thread,
        parameters=plan.parameters,
        inputs={item.name: item.dataset for item in plan.inputs},
        submitted=submitted,
        owner=this_process(),
        repeats=plan.repeats,
        user=user,
    )


def _execute(
    job: JobSpec,
    folders: RunFolders,
    bench: RunBench,
    *,
    cancel: threading.Event,
    hear: Callable[[bytes], None],
) -> JobResult:
    with folders.log.open("wb") as file:
        log = cast(BinaryIO, _Tee(file, hear))  # a backend writes and flushes, and does nothing else with it
        return bench.backend.execute(job, log=log, cancel=cancel)


class _Meanwhile:
    """Asks something while the job is under way: what a record says of the host costs its run no time."""

    def __init__(self, ask: Callable[[], Mapping[str, object]]) -> None:
        self._answer: Mapping[str, object] = {}
        self._thread = threading.Thread(target=self._run, args=(ask,), name="host-facts")
        self._thread.start()

    def _run(self, ask: Callable[[], Mapping[str, object]]) -> None:
        with suppress(ThawError):  # the engine may die meanwhile: then the job says so
            self._answer = ask()

    def result(self) -> Mapping[str, object]:
        """The answer, once it is there; empty where there was none."""
        self._thread.join()
        return self._answer


class _Tee:
    """A file that also lets somebody hear what is written to it."""

    def __init__(self, file: BinaryIO, hear: Callable[[bytes], None]) -> None:
        self._file, self._hear = file, hear

    def write(self, content: bytes) -> int:
        written = self._file.write(content)
        self._hear(content)
        return written

    def flush(self) -> None:
        self._file.flush()


def forget_run(folders: RunFolders, run: str, bench: RunBench) -> None:
    """Drop a run of which nothing was done, or nothing is known; one that was recorded meanwhile stays."""
    with suppress(RunUnknown, StateIllegal):
        bench.store.forget_run(run)
        shutil.rmtree(folders.root, ignore_errors=True)


def finish_record(
    draft: Record, plan: RunPlan, folders: RunFolders, result: JobResult, bench: RunBench
) -> Record:
    """The record of a run whose job is over: outputs and log go into the vault first."""
    found = find_outputs(plan.job, folders.out)
    unnamed = find_unnameable(plan.job, folders.out)
    outcome = judge_outcome(plan.job, result, found, folders.log, unnamed=unnamed)
    outputs = keep_outputs(found, bench.vault)
    log, _ = bench.vault.put_file(folders.log)
    return replace(
        draft,
        outputs=outputs,
        state=outcome.state,
        exit_status=result.exit_status if result.end is JobEnd.EXITED else None,
        message=outcome.message,
        ended=datetime.now(UTC),
        log=log,
        observed=account_for(result.observed, plan, bench.vault),
        resources={
            "wall_s": round(result.wall_s, 6),
            "cpu_s": result.cpu_s,
            "peak_memory_bytes": result.peak_memory_bytes,
            "output_bytes": sum(output.size for output in outputs),
        },
    )


def keep_outputs(found: tuple[FoundOutput, ...], vault: Vault) -> tuple[RecordedOutput, ...]:
    """Put outputs into the vault; those it has already are hashed, not copied.

    The vault's copy is not hashed too: that costs more than all the rest of recording a short run. A rotten
    one is found by audit and verify.
    """
    hashes = hash_files([output.file for output in found])
    new = [output.file for output, (digest, _) in zip(found, hashes, strict=True) if not vault.has(digest)]
    vault.put_files(new)
    return tuple(
        RecordedOutput(
            name=output.name,
            path=output.path,
            digest=digest,
            size=size,
            media_type=output.media_type,
            rule=Rule(rule=output.rule, options=output.options),
        )
        for output, (digest, size) in zip(found, hashes, strict=True)
    )


def keep_record(record: Record, bench: RunBench) -> Digest:
    """The record enters the vault, then the journal and the store: from here on the run is finished."""
    return bench.store.finish_run(record, bench.vault)


def recover_runs(bench: RunBench) -> tuple[Record, ...]:
    """Give every run whose Thaw is dead its record, and remove what it left in the engine and on disk.

    Runs that wait in a queue, or were begun by a worker, are the next worker's to look after.

    One that had its record written before the kill keeps that one. One killed before its draft was complete
    had not begun, and is forgotten.
    """
    recovered = []
    for row in bench.store.unfinished_of_dead_owners(is_alive):
        folders = RunFolders(root=bench.runs_dir / row.id)
        bench.backend.remove_leftovers(RunId(row.id))
        draft = read_draft(folders)
        if draft is None:
            forget_run(folders, row.id, bench)
            continue
        draft = replace(draft, started=row.started, host=bench.host())
        recovered.append(finish_draft(draft, folders, bench))
    return tuple(recovered)


def read_draft(folders: RunFolders) -> Record | None:
    """What was known of a run before its job; None where it was never written down whole."""
    try:
        return record_from_bytes(folders.draft.read_bytes())
    except (FileNotFoundError, RecordInvalid):
        return None


def finish_draft(draft: Record, folders: RunFolders, bench: RunBench) -> Record:
    """Record a run as its draft says, with the log there is; gives the record that stands."""
    log = bench.vault.put_file(folders.log)[0] if folders.log.is_file() else None
    record = replace(draft, ended=datetime.now(UTC), log=log)
    shutil.rmtree(folders.work, ignore_errors=True)
    standing = keep_record(record, bench)
    folders.draft.unlink(missing_ok=True)
    if standing == record.digest:
        return record
    return record_from_bytes(bench.vault.read_bytes(standing, used_by=f"run {record.run}: record"))
