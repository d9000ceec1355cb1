"""Makes runs and datasets without end, telling on stdout what is done: to be killed by test_store_kill.py."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import SystemRandom

from provenance.digest import TreeEntry, make_tree
from provenance.record import RunState, record_from_bytes
from provenance.store import Journal, NewDataset, NewRun, RunTaken, Store, new_run_id, this_process
from provenance.vault import Vault

RECORD = record_from_bytes((Path(__file__).parents[1] / "golden/record-format-1.json").read_bytes())


def main(home: Path) -> None:
    vault = Vault(home / "vault")
    store = Store(home / "store.sqlite", journal=Journal(home / "vault"))
    for number in count():
        tell("finished", make_run(store, vault, number))
        if number % 5 == 0:
            tell("registered", make_dataset(store, vault, number))


def make_run(store: Store, vault: Vault, number: int) -> str:
    now = datetime.now(UTC)
    run = begin_run(store, now)
    tell("begun", run)
    store.set_state(run, RunState.EXECUTING, started=now)
    log = vault.put_bytes(b"%d %d\n" % (os.getpid(), number))
    store.finish_run(replace(RECORD, run=run, submitted=now, started=now, ended=now, log=log), vault)
    return run


def begin_run(store: Store, now: datetime) -> str:
    while True:
        run = new_run_id(now, SystemRandom())
        try:
            store.begin_run(
                NewRun(
                    id=run,
                    kind=RECORD.kind,
                    recipe=RECORD.recipe,
                    thread=RECORD.thread,
                    parameters=RECORD.parameters,
                    inputs={item.name: item.dataset for item in RECORD.inputs},
                    submitted=now,
                    owner=this_process(),
                    repeats=RECORD.repeats,
                )
            )
        except RunTaken:
            continue
        return run


def make_dataset(store: Store, vault: Vault, number: int) -> str:
    content = b"timeline %d of %d\n" % (number, os.getpid())
    tree = make_tree([TreeEntry(path="top.itl", digest=vault.put_bytes(content), size=len(content))])
    new = NewDataset(name="timeline", path=Path("/data/timeline"), kept=True, added=datetime.now(UTC))
    return f"{store.add_dataset(new, tree, vault).reference}={tree.digest}"


def tell(what: str, which: str) -> None:
    print(what, which, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
