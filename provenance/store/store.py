"""The store: what runs, verdicts and datasets there are; quick to ask, made again when it is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from provenance.digest import Digest, Tree, canonical_json
from provenance.errors import ThawError
from provenance.record import Record, RunState, record_from_bytes
from provenance.store import datasets as dataset_rows
from provenance.store import runs as run_rows
from provenance.store.database import Database
from provenance.store.errors import StateIllegal, StoreDamaged
from provenance.store.figures import Figures, read_figures
from provenance.store.journal import Journal
from provenance.store.queue import QueueTable
from provenance.store.rows import (
    Dataset,
    JudgedRun,
    KnownFile,
    NewDataset,
    NewRun,
    Owner,
    RunRow,
)
from provenance.store.uses import (
    Use,
    find_uses,
    insert_tree,
    insert_uses,
    uses_of_dataset,
    uses_of_record,
    uses_of_verdict,
)


class Objects(Protocol):
    """What the store asks of a vault."""

    def put_bytes(self, content: bytes) -> Digest:
        """Keep these bytes."""

    def has(self, digest: Digest) -> bool:
        """Whether an object is kept."""

    def read_bytes(self, digest: Digest, *, used_by: str = "") -> bytes:
        """The verified bytes of an object."""

    def read_tree(self, digest: Digest) -> Tree:
        """The tree kept under this digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a rebuilt store holds, and what it had to leave out: one line for each unreadable entry."""

    runs: int
    verdicts: int
    datasets: int
    problems: tuple[str, ...]


def open_store(path: Path, *, journal: Journal, vault: Objects) -> Store:
    """The store at `path`; where its file is gone but the journal is not empty, it is made again first."""
    store = Store(path, journal=journal)
    if not path.exists() and not journal.is_empty():
        store.rebuild(vault)
    return store


class Store:
    """The index of all runs, verdicts and datasets of one state folder.

    Opened at the first use; safe under threads, several processes, fork and kill -9. Everything may raise
    `DiskFull`, `StoreBusy`, `StoreDamaged`, `StoreTooNew` and `StoreUnusable`; then nothing was changed.
    """

    def __init__(self, path: Path, *, journal: Journal) -> None:
        self.path = path
        self.journal = journal
        self._database = Database(path)
        self.queue = QueueTable(self._database)

    def close(self) -> None:
        """Give the file back; it is opened again at the next use."""
        self._database.close()

    def check_writable(self) -> None:
        """Raise what keeps the store from being written; nothing is changed."""
        with self._database.write():
            pass

    def figures(self) -> Figures:
        """How much there is of what."""
        return read_figures(self._database)

    def begin_run(self, run: NewRun) -> None:
        """Add a run, pending. Raises `RunTaken` where its id is another run's: draw a new one."""
        with self._database.write() as connection:
            run_rows.insert_run(connection, run)

    def set_state(
        self,
        run: str,
        state: RunState,
        *,
        started: datetime | None = None,
        owner: Owner | None = None,
        message: str = "",
    ) -> None:
        """Put a run into a state that is not final; `owner` takes it over.

        The final states come with a record, by `finish_run`. Raises `StateIllegal` and `RunUnknown`.
        """
        if state.is_final():
            raise StateIllegal(
                f"run {run} cannot become {state} without a record",
                where=run,
                hint="finish it with its record",
            )
        with self._database.write() as connection:
            row = run_rows.find_run(connection, run)
            run_rows.check_transition(row, state)
            run_rows.update_state(connection, row, started=started, owner=owner, state=state, message=message)

    def finish_run(self, record: Record, vault: Objects) -> Digest:
        """Keep the record of a run in vault, journal and store; returns the digest of the record that stands.

        A run has one record for ever. Where two processes finish the same run (a worker, and one that took
        the worker for dead), the first record stands and both get its digest. A run that is not in the store
        is added: its record may come from elsewhere. Raises `StateIllegal` where it may not end like this.
        """
        with self._database.read() as connection:
            unfinished = run_rows.get_run(connection, record.run)
        if unfinished is not None and not unfinished.state.is_final():
            run_rows.check_transition(unfinished, record.state)
        digest = vault.put_bytes(record.to_bytes())
        standing = self.journal.add_run(record.run, digest)
        if standing != digest:
            record = record_from_bytes(vault.read_bytes(standing, used_by=f"run {record.run}: record"))
        with self._database.write() as connection:
            _index_record(connection, record, standing)
        return standing

    def forget_run(self, run: str) -> None:
        """Drop a run for which nothing was done yet. Raises `StateIllegal` for a finished one."""
        with self._database.write() as connection:
            row = run_rows.find_run(connection, run)
            if row.state.is_final():
                raise StateIllegal(
                    f"run {row.id} is {row.state} and has a record: it is kept",
                    where=row.id,
                    hint=f"see what became of it: thaw show {row.id}",
                )
            run_rows.delete_run(connection, row.id)

    def run(self, run: str) -> RunRow:
        """The run with this id, or the only one whose id begins, else ends, like this.

        Raises `RunUnknown`, and `RunAmbiguous` naming the candidates.
        """
        with self._database.read() as connection:
            return run_rows.find_run(connection, run)

    def runs(
        self,
        limit: int,
        *,
        state: RunState | None = None,
        recipe: str | None = None,
        before: str | None = None,
        users: Sequence[str | None] | None = None,
    ) -> tuple[RunRow, ...]:
        """At most `limit` runs, newest first; `before` is the id of the last run of the page before.

        `users`: only theirs; None among them stands for the runs that are nobody's.
        """
        with self._database.read() as connection:
            last = run_rows.find_run(connection, before) if before is not None else None
            return run_rows.list_runs(connection, limit, state=state, recipe=recipe, before=last, users=users)

    def unfinished_of_dead_owners(self, is_alive: Callable[[Owner], bool]) -> tuple[RunRow, ...]:
        """Runs nobody looks after any more, oldest first: to be finished as interrupted. Queued ones are not.

        One whose record was already journalled when its owner died is finished by `finish_run` as that record
        says, whatever it is given.
        """
        with self._database.read() as connection:
            unfinished = run_rows.unfinished_runs(connection)
        return tuple(row for row in unfinished if row.owner is None or not is_alive(row.owner))

    def runs_with_work(self, work: Digest) -> tuple[RunRow, ...]:
        """The runs whose outputs may answer this work (`provenance.work`), newest first."""
        with self._database.read() as connection:
            return run_rows.runs_with_work(connection, work)

    def record_digests(self) -> tuple[Digest, ...]:
        """The records of all finished runs, oldest first."""
        with self._database.read() as connection:
            return run_rows.record_digests(connection)

    def add_verdict(
        self, run: str, *, repeated_by: str, grade: str, verdict: Digest, judged: datetime
    ) -> JudgedRun:
        """Say that `run` was repeated by another and judged; the verdict itself is in the vault already."""
        row = JudgedRun(run=run, repeated_by=repeated_by, grade=str(grade), verdict=verdict, judged=judged)
        self.journal.add_verdict(row)
        with self._database.write() as connection:
            _index_verdict(connection, row)
        return row

    def verdicts(self, run: str) -> tuple[JudgedRun, ...]:
        """The verdicts on a run, oldest first."""
        with self._database.read() as connection:
            return run_rows.list_verdicts(connection, run)

    def add_dataset(self, new: NewDataset, tree: Tree, vault: Objects) -> Dataset:
        """Register a dataset: a new version where the content is new, else the latest version put right.

        The tree goes into the vault; its files, where they are kept, are there already. An empty title,
        origin or licence leaves the one there is; a kept version stays kept.
        """
        digest = vault.put_bytes(canonical_json(tree.to_json()))
        with self._database.write() as connection:
            versions = tuple(self.journal.datasets(new.name))
            for version in versions:  # what a killed process has journalled and no longer indexed
                _index_dataset(connection, version, vault)
            dataset = _next_version(new, tree, digest, versions[-1] if versions else None)
            if dataset not in versions:
                self.journal.put_dataset(dataset)
                _index_dataset(connection, dataset, vault)
        return dataset

    def dataset(self, name: str, version: int | None = None) -> Dataset | None:
        """One version of a dataset, the latest where none is asked for; None where there is no such one."""
        with self._database.read() as connection:
            return dataset_rows.get_dataset(connection, name, version)

    def datasets(self) -> tuple[Dataset, ...]:
        """All versions of all datasets, by name and version."""
        with self._database.read() as connection:
            return dataset_rows.list_datasets(connection)

    def datasets_with_tree(self, tree: Digest) -> tuple[Dataset, ...]:
        """The datasets that have exactly this content."""
        with self._database.read() as connection:
            return dataset_rows.datasets_with_tree(connection, tree)

    def datasets_at(self, path: Path) -> tuple[Dataset, ...]:
        """The datasets that were added from this path, oldest first."""
        with self._database.read() as connection:
            return dataset_rows.datasets_at(connection, path)

    def known_files(self, folder: Path) -> Mapping[str, KnownFile]:
        """Files of a folder that were hashed before, by relative path: for speed, not journalled."""
        with self._database.read() as connection:
            return dataset_rows.known_files(connection, folder)

    def update_known_files(
        self, folder: Path, *, hashed: Mapping[str, KnownFile], forgotten: Iterable[str] = ()
    ) -> None:
        """Remember the digests of files of a folder, and forget others."""
        with self._database.write() as connection:
            dataset_rows.forget_files(connection, folder, forgotten)
            dataset_rows.put_known_files(connection, folder, hashed)

    def add_uses(self, uses: Iterable[Use]) -> None:
        """Say what uses objects no run or dataset names: the packages of a lock. Not in the journal."""
        with self._database.write() as connection:
            insert_uses(connection, uses)

    def uses(self, digest: Digest) -> tuple[str, ...]:
        """What uses an object, in words, sorted: runs, verdicts and datasets, a file by way of its tree."""
        with self._database.read() as connection:
            return find_uses(connection, digest)

    def rebuild(self, vault: Objects) -> Rebuilt:
        """Make the index again from the journal and the vault; runs under way stay as they are.

        A file that is no database any more is moved aside, to `<name>.damaged`. Entries and records that
        cannot be read are left out and named.
        """
        try:
            return self._rebuild(vault)
        except StoreDamaged:
            self._database.set_aside()
            return self._rebuild(vault)

    def _rebuild(self, vault: Objects) -> Rebuilt:
        problems: list[str] = []
        with self._database.write() as connection:
            _clear(connection)
            runs = [
                run for run in self.journal.runs(problems) if _reindex_run(connection, run, vault, problems)
            ]
            verdicts = list(self.journal.verdicts(problems))
            for judged in verdicts:
                _index_verdict(connection, judged)
            found = list(self.journal.datasets(problems=problems))
            for dataset in found:
                _reindex_dataset(connection, dataset, vault, problems)
        return Rebuilt(runs=len(runs), verdicts=len(verdicts), datasets=len(found), problems=tuple(problems))


def _next_version(new: NewDataset, tree: Tree, digest: Digest, latest: Dataset | None) -> Dataset:
    """The latest version with a better description where the content is its, else a version after it."""
    if latest is not None and latest.digest == digest:
        return replace(
            latest,
            path=new.path,
            kept=latest.kept or new.kept,
            title=new.title or latest.title,
            origin=new.origin or latest.origin,
            licence=new.licence or latest.licence,
        )
    return Dataset(
        name=new.name,
        version=latest.version + 1 if latest is not None else 1,
        digest=digest,
        path=new.path,
        kept=new.kept,
        files=len(tree.entries),
        size=tree.size,
        added=new.added,
        title=new.title,
        origin=new.origin,
        licence=new.licence,
    )


def _clear(connection: sqlite3.Connection) -> None:
    """Drop what the journal will give again: everything but runs that are not finished and known files."""
    connection.execute("DELETE FROM runs WHERE record IS NOT NULL")
    for table in ("verdicts", "datasets", "object_uses", "tree_files", "trees"):
        connection.execute(f"DELETE FROM {table}")


def _index_record(connection: sqlite3.Connection, record: Record, digest: Digest) -> None:
    run_rows.put_record(connection, record, digest)
    insert_uses(connection, uses_of_record(record, digest))


def _index_verdict(connection: sqlite3.Connection, judged: JudgedRun) -> None:
    run_rows.insert_verdict(connection, judged)
    insert_uses(connection, uses_of_verdict(judged))


def _index_dataset(connection: sqlite3.Connection, dataset: Dataset, vault: Objects) -> None:
    dataset_rows.put_dataset(connection, dataset)
    insert_uses(connection, uses_of_dataset(dataset))
    if dataset.kept:
        insert_tree(connection, vault.read_tree(dataset.digest), dataset.digest)


def _reindex_run(
    connection: sqlite3.Connection, run: tuple[str, Digest], vault: Objects, problems: list[str]
) -> bool:
    name, digest = run
    try:
        record = record_from_bytes(vault.read_bytes(digest, used_by=f"run {name}: record"))
    except ThawError as error:
        problems.append(f"run {name}: {error.message}")
        return False
    _index_record(connection, record, digest)
    return True


def _reindex_dataset(
    connection: sqlite3.Connection, dataset: Dataset, vault: Objects, problems: list[str]
) -> None:
    try:
        _index_dataset(connection, dataset, vault)
    except ThawError as error:
        problems.append(f"dataset {dataset.reference}: {error.message}")
