"""The store under kill -9, several processes and a full disk, by doing it."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest

from provenance.record import RunState, record_from_bytes
from provenance.store import Journal, Rebuilt, Store, is_alive
from provenance.vault import Vault

REPOSITORY = Path(__file__).parents[2]
WRITER = Path(__file__).with_name("store_writer.py")
RECORD = record_from_bytes((REPOSITORY / "tests/golden/record-format-1.json").read_bytes())
WRITERS = 3
ROUNDS = 8


_numbers = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A process at work, and the files it writes what it has done, and what went wrong, to."""

    process: subprocess.Popen[bytes]
    said: Path
    error: Path

    def told(self) -> list[tuple[str, str]]:
        """What it has said so far: pairs of word and thing; a line that was cut off is not said."""
        whole, _, _ = self.said.read_text().rpartition("\n")
        return [(what, which) for what, which in (line.split(" ") for line in whole.splitlines())]

    def wait_for_lines(self, number: int) -> None:
        """Wait until it has said so much."""
        while len(self.told()) < number:
            assert self.process.poll() is None, self.error.read_text()
            time.sleep(0.005)

    def kill(self) -> None:
        """kill -9, and nothing had gone wrong before."""
        self.process.kill()
        self.process.wait()
        assert self.error.read_text() == ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A state folder that writers share."""

    folder: Path
    vault: Vault
    journal: Journal
    store: Store

    def start_writer(self) -> Writer:
        said = self.folder.parent / f"said-{next(_numbers)}"
        error = said.with_suffix(".error")
        with said.open("wb") as out, error.open("wb") as err:
            command = [sys.executable, str(WRITER), str(self.folder)]
            environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
            process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
        return Writer(process=process, said=said, error=error)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    folder = tmp_path / "home"
    journal = Journal(folder / "vault")
    store = Store(folder / "store.sqlite", journal=journal)
    yield Home(folder=folder, vault=Vault(folder / "vault"), journal=journal, store=store)
    store.close()


def kill_writers_at_work(home: Home, after_s: float) -> list[tuple[str, str]]:
    """What writers said they had done when they were killed, all at once."""
    writers = [home.start_writer() for _ in range(WRITERS)]
    for writer in writers:
        writer.wait_for_lines(1)
    time.sleep(after_s)
    for writer in writers:
        writer.process.kill()
    for writer in writers:
        writer.kill()
    return [told for writer in writers for told in writer.told()]


def test_kill_9_loses_nothing_finished_and_finishes_nothing_unfinished(home: Home) -> None:
    chance = random.Random(1978)
    finished: set[str] = set()
    registered: dict[str, str] = {}
    for _ in range(ROUNDS):
        told = kill_writers_at_work(home, chance.uniform(0.0, 0.25))
        finished |= {run for what, run in told if what == "finished"}
        registered |= dict(which.split("=") for what, which in told if what == "registered")
        check_file_is_sound(home)
        finish_what_the_dead_left(home)
    completed = {row.id for row in home.store.runs(100_000, state=RunState.COMPLETED)}
    assert len(finished) > ROUNDS * WRITERS
    assert finished <= completed
    assert registered.items() <= {item.reference: item.digest for item in home.store.datasets()}.items()
    assert dict(home.journal.runs()) == {row.id: row.record for row in home.store.runs(100_000)}


def check_file_is_sound(home: Home) -> None:
    connection = sqlite3.connect(home.folder / "store.sqlite")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    for row in home.store.runs(100_000):
        assert row.state.is_final() == (row.record is not None)
        if row.record is not None:
            assert record_from_bytes(home.vault.read_bytes(row.record)).state == row.state


def finish_what_the_dead_left(home: Home) -> None:
    for row in home.store.unfinished_of_dead_owners(is_alive):
        interrupted = replace(
            RECORD,
            run=row.id,
            submitted=row.submitted,
            started=row.started,
            state=RunState.INTERRUPTED,
            exit_status=None,
        )
        home.store.finish_run(interrupted, home.vault)
    assert home.store.unfinished_of_dead_owners(is_alive) == ()


def test_after_kill_9_the_journal_alone_gives_the_same_store(home: Home) -> None:
    kill_writers_at_work(home, 0.3)
    finish_what_the_dead_left(home)
    runs, datasets = home.store.runs(100_000), home.store.datasets()
    home.store.close()
    for path in home.folder.glob("store.sqlite*"):
        path.unlink()
    rebuilt = home.store.rebuild(home.vault)
    journalled = tuple(home.journal.datasets())
    assert rebuilt == Rebuilt(runs=len(runs), verdicts=0, datasets=len(journalled), problems=())
    assert home.store.runs(100_000) == runs
    assert home.store.datasets()[: len(datasets)] == datasets


def test_runs_of_living_processes_are_left_to_them(home: Home) -> None:
    writer = home.start_writer()
    writer.wait_for_lines(1)
    found = [home.store.unfinished_of_dead_owners(is_alive) for _ in range(20)]
    writer.kill()
    assert found == [()] * 20


def test_processes_that_make_the_store_at_the_same_moment_all_get_it(home: Home) -> None:
    writers = [home.start_writer() for _ in range(8)]
    for writer in writers:
        writer.wait_for_lines(3)
    for writer in writers:
        writer.kill()
        assert [what for what, _ in writer.told()[:3]] == ["begun", "finished", "registered"]


def test_a_writer_on_a_full_disk_says_so_and_the_store_stays_sound(home: Home, tmp_path: Path) -> None:
    """A real small disk, in a mount namespace of its own: so it needs no root and leaves nothing mounted."""
    unshare = "unshare"
    home.folder.mkdir()
    copy = tmp_path / "copy"
    script = f"""
        mount -t tmpfs -o size=2m tmpfs {home.folder}
        {sys.executable} {WRITER} {home.folder} >{tmp_path}/told 2>{tmp_path}/error
        cp -a {home.folder} {copy}
    """
    subprocess.run(
        [unshare, "-rm", "sh", "-c", script], check=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )
    assert "DiskFull" in (tmp_path / "error").read_text()
    full = Home(
        folder=copy,
        vault=Vault(copy / "vault"),
        journal=Journal(copy / "vault"),
        store=Store(copy / "store.sqlite", journal=Journal(copy / "vault")),
    )
    check_file_is_sound(full)
    told = [line.split(" ") for line in (tmp_path / "told").read_text().splitlines()]
    completed = {row.id for row in full.store.runs(100_000, state=RunState.COMPLETED)}
    assert {which for what, which in told if what == "finished"} <= completed
    finish_what_the_dead_left(full)
    full.store.close()
