"""End runs without executing them: answered from a record, called off, or given up. The first record stands."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from instantiator.queue.answers import answer_record
from instantiator.queue.events import Events
from instantiator.queue.model import QueueLimits
from instantiator.queue.submit import Draft, draft_repeat
from instantiator.thread.plan import RunFolders
from instantiator.thread.run import read_draft
from provenance.record import Record, RunState, record_from_bytes
from provenance.store import RunTaken, RunUnknown, StateIllegal, Store, Waiting
from provenance.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """What runs are ended with. `draw` gives numbers from 0 to 1: which answers are executed again."""

    store: Store
    vault: Vault
    runs_dir: Path
    limits: QueueLimits
    draw: Callable[[], float] = random.random

    def folders(self, run: str) -> RunFolders:
        """The folders of a run."""
        return RunFolders(root=self.runs_dir / run)

    def events(self, run: str) -> Events:
        """Where what happens to a run is written down."""
        return Events(self.runs_dir / run)

    def read_draft(self, run: str) -> Record | None:
        """The draft of a run that is not finished."""
        return read_draft(self.folders(run))

    def keep_draft(self, draft: Draft) -> None:
        """Make the run's folder with its draft; raises `RunTaken` where the id has a folder already."""
        folders = self.folders(draft.record.run)
        try:
            folders.root.mkdir(parents=True)
        except FileExistsError as error:
            raise RunTaken("the run has a folder already", where=str(folders.root)) from error
        folders.draft.write_bytes(draft.record.to_bytes())

    def drop_folder(self, run: str) -> None:
        """Remove all a run has on disk; its record and what that names are in the vault."""
        shutil.rmtree(self.folders(run).root, ignore_errors=True)

    def give_up(self, run: str, state: RunState, message: str) -> None:
        """Record a run that is not executed, or no more: as `state`, with what its program printed so far.

        A run whose record was written before keeps that one. One without a draft never was submitted whole.
        """
        draft = self.read_draft(run)
        if draft is None:
            self._clear_away(run)
            return
        row = self.store.run(run)
        self._settle(
            replace(draft, state=state, message=message, started=row.started, ended=datetime.now(UTC))
        )

    def _clear_away(self, run: str) -> None:
        """Index the record of a run that has one in the journal; forget one that has none, nor a draft."""
        standing = self.store.journal.record_of(run)
        if standing is not None:
            record = record_from_bytes(self.vault.read_bytes(standing, used_by=f"record of run {run}"))
            self.store.finish_run(record, self.vault)
            return
        with suppress(RunUnknown, StateIllegal):
            self.store.forget_run(run)

    def give_answer(self, draft: Record, answer: Record) -> None:
        """Record a run with what an earlier one gave; a small share of such answers is executed again."""
        self._settle(answer_record(draft, answer))
        if self.draw() * 100 < self.limits.reexecuted_percent:
            self.repeat(answer)

    def repeat(self, answer: Record) -> None:
        """Queue the work of an earlier run again, behind all that anybody waits for."""
        draft = draft_repeat(answer)
        self.keep_draft(draft)
        self.store.queue.add(draft.row, draft.entry, RunState.QUEUED, _let_in)
        self.events(draft.record.run).tell_state(RunState.QUEUED)

    def _settle(self, record: Record) -> None:
        folders = self.folders(record.run)
        if record.log is None and folders.log.is_file():
            record = replace(record, log=self.vault.put_file(folders.log)[0])
        for folder in (folders.work, folders.out):
            shutil.rmtree(folder, ignore_errors=True)
        self.store.finish_run(record, self.vault)
        with suppress(FileNotFoundError):
            folders.draft.unlink()
        row = self.store.run(record.run)
        self.events(record.run).tell_state(row.state, row.message)


def _let_in(_waiting: Waiting) -> None:
    """Nobody waits for a repeat: it takes no place from others."""
