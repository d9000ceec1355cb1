"""The result cache: work that was done before is answered from its record, marked as such."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from provenance.digest import Digest
from provenance.errors import ThawError
from provenance.record import Record, record_from_bytes
from provenance.store import Store
from provenance.vault import Vault
from provenance.work import may_answer, work_key


def find_answer(draft: Record, store: Store, vault: Vault) -> Record | None:
    """The newest run that did this work, completed, is not spoken against, and whose outputs are all there."""
    if draft.job.network:
        return None
    for row in store.runs_with_work(work_key(draft)):
        record = _read(row.record, vault) if row.record is not None else None
        if record is not None and may_answer(record) and _is_whole(record, vault):
            return record
    return None


def answer_record(draft: Record, answer: Record) -> Record:
    """The record of a run that was given what `answer` gave, instead of being executed."""
    now = datetime.now(UTC)
    return replace(
        draft,
        state=answer.state,
        exit_status=answer.exit_status,
        message=answer.message,
        outputs=answer.outputs,
        log=answer.log,
        started=draft.started or now,
        ended=now,
        answered_from=answer.run,
    )


def _read(digest: Digest, vault: Vault) -> Record | None:
    try:
        return record_from_bytes(vault.read_bytes(digest, used_by="record of an earlier run"))
    except ThawError:  # rotten or gone: then it answers nothing, and the run is executed
        return None


def _is_whole(record: Record, vault: Vault) -> bool:
    needed = [output.digest for output in record.outputs]
    needed += [record.log] if record.log is not None else []
    return all(vault.has(digest) for digest in needed)
