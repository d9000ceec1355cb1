"""From what was submitted to a draft: the record of a run as far as it is known before the job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from instantiator.dataset.names import unknown
from instantiator.image.ensure import locked_image
from instantiator.image.files import keep_files
from instantiator.image.lock import lock_to_json
from instantiator.job.spec import ImageDigest
from instantiator.progress import Silent
from instantiator.queue.bench import QueueBench, shelf_of
from instantiator.queue.model import Submission
from instantiator.thread.errors import InputWrong
from instantiator.thread.plan import Environment, find_thread
from instantiator.thread.run import begin_run_id, draft_record
from instantiator.thread.start import Shelf, is_name, refuse_unknown_inputs, start_thread
from provenance.digest import canonical_json, digest_bytes
from provenance.record import Record, RunState, format_time, to_json
from provenance.store import NewRun, QueueEntry, this_process

if TYPE_CHECKING:
    from instantiator.recipe.model import Recipe, Thread

_LAST = -1000
"""The priority of what nobody waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A run that was checked and planned: its record so far."""

    record: Record
    entry: QueueEntry

    @property
    def row(self) -> NewRun:
        """The run as the store takes it."""
        return row_of(self.record)


def draft_submission(asked: Submission, bench: QueueBench) -> Draft:
    """Check all that was asked for and plan it; whatever is wrong is raised here.

    Datasets are names: a service must not be a way to read its host's files.
    """
    recipe = bench.recipe(asked.recipe)
    thread = find_thread(recipe, asked.thread)
    shelf = shelf_of(bench, Silent())
    refuse_unknown_inputs(thread, asked.datasets)
    refuse_paths(asked, recipe, thread, shelf)
    started = start_thread(
        recipe,
        thread,
        pin_environment(recipe, bench),
        shelf,
        datasets=asked.datasets,
        parameters=asked.parameters,
    )
    if started.plan.script is not None:
        bench.vault.put_bytes(started.plan.script)
    now = datetime.now(UTC)
    drawn = draft_record(started.plan, begin_run_id(now), now)
    record = replace(drawn, user=asked.user or None)
    return Draft(record=record, entry=entry_of(record, asked))


def refuse_paths(asked: Submission, recipe: Recipe, thread: Thread, shelf: Shelf) -> None:
    """Raise `InputWrong` or `DatasetUnknown` for what is no dataset's name, be it the path of a file here."""
    for name, dataset in asked.datasets.items():
        if "/" in dataset:
            raise InputWrong(
                f"dataset {dataset!r} is not a name",
                where=f"input {name!r} of thread {thread.name!r}",
                hint="register the dataset first, then give its name",
            )
        if not is_name(dataset, recipe, shelf):
            raise unknown(dataset, shelf.store)


def pin_environment(recipe: Recipe, bench: QueueBench) -> Environment:
    """The image a recipe's lock names, and the lock in the vault; whether an engine holds the image is seen later."""
    lock = bench.lock(recipe)
    image = locked_image(lock)
    keep_files(recipe, lock, bench.vault)
    digest = bench.vault.put_bytes(canonical_json(lock_to_json(lock)))
    return Environment(lock=lock, lock_digest=digest, image=ImageDigest(image.id))


def entry_of(record: Record, asked: Submission) -> QueueEntry:
    """What the queue keeps of a submission."""
    job = record.job
    return QueueEntry(
        run=record.run,
        user=asked.user,
        priority=asked.priority,
        time_limit_s=lower_limit(int(job.limits["time_s"]), asked.time_limit_s),
        cpus=job.limits["cpus"],
        memory_mb=int(job.limits["memory_mb"]),
        is_safe=not job.network and not job.capabilities,
        is_fresh=asked.fresh,
        label=asked.label,
        idempotency_key=asked.idempotency_key,
        content=content_digest(asked) if asked.idempotency_key else "",
        destruction=asked.destruction,
    )


def lower_limit(declared: int, asked: int | None) -> int:
    """The time limit of a run: the thread's, or less."""
    return declared if asked is None else max(1, min(declared, asked))


def content_digest(asked: Submission) -> str:
    """The digest of all that was asked for, but the key it was asked with."""
    return digest_bytes(
        canonical_json(
            {
                "recipe": asked.recipe,
                "thread": asked.thread,
                "datasets": dict(asked.datasets),
                "parameters": to_json(asked.parameters),
                "start": asked.start,
                "priority": asked.priority,
                "fresh": asked.fresh,
                "time_limit_s": asked.time_limit_s,
                "destruction": format_time(asked.destruction) if asked.destruction else None,
                "label": asked.label,
            }
        )
    )


def row_of(record: Record) -> NewRun:
    """A draft as the store takes it."""
    return NewRun(
        id=record.run,
        kind=record.kind,
        recipe=record.recipe,
        thread=record.thread,
        parameters=record.parameters,
        inputs={item.name: item.dataset for item in record.inputs},
        submitted=record.submitted,
        owner=this_process(),
        repeats=record.repeats,
        user=record.user,
    )


def draft_repeat(answer: Record) -> Draft:
    """The same work again, asked for by nobody: to see whether an answer given from a record still holds."""
    now = datetime.now(UTC)
    record = replace(
        answer,
        run=begin_run_id(now),
        user=None,
        repeats=answer.run,
        outputs=(),
        log=None,
        observed=None,
        resources={},
        host={},
        submitted=now,
        started=None,
        ended=now,
        state=RunState.INTERRUPTED,
        exit_status=None,
        message="the worker was killed while the run was under way",
    )
    asked = Submission(user="", recipe=answer.recipe, thread=answer.thread, priority=_LAST, fresh=True)
    return Draft(record=record, entry=replace(entry_of(record, asked), to_judge=True))
