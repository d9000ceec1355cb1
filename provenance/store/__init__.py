"""The index of runs, verdicts and datasets: quick to ask, and made again from the vault when it is lost.

Two things are written down for each of them. The *journal*, small files beside the vault's objects, says what
exists and is never wrong; the *store*, an SQLite file, makes it searchable and may be deleted. Whatever is
kept goes to the vault first, then into the journal, then into the store: a process killed between two of
them loses nothing finished, and calls nothing finished that is not.
"""

from provenance.store.errors import (
    RunAmbiguous,
    RunTaken,
    RunUnknown,
    StateIllegal,
    StoreBusy,
    StoreDamaged,
    StoreTooNew,
    StoreUnusable,
)
from provenance.store.figures import Figures
from provenance.store.ids import new_run_id
from provenance.store.journal import Journal
from provenance.store.owner import is_alive, this_process
from provenance.store.queue import QueueTable
from provenance.store.queue_rows import Claiming, QueuedRow, QueueEntry, RunsAsked, Waiting, WorkerRow
from provenance.store.rows import (
    Dataset,
    FileStat,
    JudgedRun,
    KnownFile,
    NewDataset,
    NewRun,
    Owner,
    RunRow,
)
from provenance.store.store import Objects, Rebuilt, Store, open_store

__all__ = [
    "Claiming",
    "Dataset",
    "Figures",
    "FileStat",
    "Journal",
    "JudgedRun",
    "KnownFile",
    "NewDataset",
    "NewRun",
    "Objects",
    "Owner",
    "QueueEntry",
    "QueueTable",
    "QueuedRow",
    "Rebuilt",
    "RunAmbiguous",
    "RunRow",
    "RunTaken",
    "RunUnknown",
    "RunsAsked",
    "StateIllegal",
    "Store",
    "StoreBusy",
    "StoreDamaged",
    "StoreTooNew",
    "StoreUnusable",
    "Waiting",
    "WorkerRow",
    "is_alive",
    "new_run_id",
    "open_store",
    "this_process",
]
