"""What a run's outputs are a function of: two runs with the same key did the same work on the same bytes."""

from __future__ import annotations

from provenance.digest import Digest, canonical_json, digest_bytes
from provenance.record import Record, RunState, to_json

_NOT_OF_THE_WORK = ("time_s", "log_mb")
"""Limits that end a run or do not: one that completed would have given the same without them."""


def work_key(record: Record) -> Digest:
    """The key of a record's work: image, thread, parameters, inputs, and the job with script and environment.

    Who asked, when, and which text of the recipe the job was planned from are not part of it. A draft has the
    key of the run it becomes.
    """
    job = record.job
    limits = {name: value for name, value in job.limits.items() if name not in _NOT_OF_THE_WORK}
    return digest_bytes(
        canonical_json(
            {
                "image": record.image,
                "thread": record.thread,
                "parameters": to_json(record.parameters),
                "inputs": [[item.name, item.digest, item.mount] for item in record.inputs],
                "job": {**_object(to_json(job)), "limits": limits},
            }
        )
    )


def may_answer(record: Record) -> bool:
    """Whether others may be given what this run gave: it was executed, completed, and talked to nobody."""
    return (
        record.kind == "thread"
        and record.state is RunState.COMPLETED
        and record.answered_from is None
        and not record.job.network
    )


def _object(value: object) -> dict[str, object]:
    assert isinstance(value, dict)  # of a dataclass, to_json makes nothing else
    return value
