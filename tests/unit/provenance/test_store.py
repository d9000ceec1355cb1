from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from provenance.digest import Digest, Tree, TreeEntry, canonical_json, digest_bytes, make_tree
from provenance.errors import DiskFull, RecordInvalid
from provenance.record import RunState, record_from_bytes
from provenance.store import (
    Dataset,
    Journal,
    NewDataset,
    NewRun,
    Owner,
    QueueEntry,
    RunAmbiguous,
    RunsAsked,
    RunTaken,
    RunUnknown,
    StateIllegal,
    Store,
    StoreDamaged,
    StoreTooNew,
    StoreUnusable,
    is_alive,
    new_run_id,
    open_store,
    this_process,
)
from provenance.store.database import Database
from provenance.store.schema import STEPS
from provenance.vault import Vault

GOLDEN = Path(__file__).parents[2] / "golden/record-format-1.json"
RECORD = record_from_bytes(GOLDEN.read_bytes())
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OWNER = Owner(pid=4711, start_ticks=1234567, boot_id="5e2f")
UNUSED = digest_bytes(b"used by nothing")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "vault")


@pytest.fixture
def store(tmp_path: Path, journal: Journal) -> Iterator[Store]:
    store = Store(tmp_path / "store.sqlite", journal=journal)
    yield store
    store.close()


def new_run(
    run: str = RECORD.run, submitted: datetime = RECORD.submitted, recipe: str = RECORD.recipe
) -> NewRun:
    return NewRun(
        id=run,
        kind="thread",
        recipe=recipe,
        thread="simulate",
        parameters=RECORD.parameters,
        inputs={"scenario": "eps-bepicolombo-2015@1"},
        submitted=submitted,
        owner=OWNER,
        repeats=RECORD.repeats,
    )


def begin_many(store: Store, count: int) -> list[str]:
    """Runs one second apart, oldest first."""
    times = [NOON + timedelta(seconds=number) for number in range(count)]
    runs = [new_run(f"{time:%Y%m%d-%H%M%S}-k3f9", time) for time in times]
    for run in runs:
        store.begin_run(run)
    return [run.id for run in runs]


def execute(store: Store, run: str = RECORD.run) -> None:
    store.begin_run(new_run(run))
    store.set_state(run, RunState.EXECUTING, started=RECORD.started)


def scenario_tree(vault: Vault, *contents: bytes) -> Tree:
    return make_tree(
        TreeEntry(path=f"input/{number}.itl", digest=vault.put_bytes(content), size=len(content))
        for number, content in enumerate(contents)
    )


def new_dataset(
    name: str = "sft2", *, kept: bool = True, title: str = "", path: str = "/data/sft2"
) -> NewDataset:
    return NewDataset(name=name, path=Path(path), kept=kept, added=NOON, title=title)


def test_a_new_run_is_pending_and_knows_what_it_was_asked(store: Store) -> None:
    store.begin_run(new_run())
    row = store.run(RECORD.run)
    assert (row.state, row.record, row.owner) == (RunState.PENDING, None, OWNER)
    assert (row.parameters, row.inputs) == (RECORD.parameters, {"scenario": "eps-bepicolombo-2015@1"})
    assert row.submitted == RECORD.submitted


def test_a_run_id_is_given_once(store: Store) -> None:
    store.begin_run(new_run())
    with pytest.raises(RunTaken):
        store.begin_run(new_run())


def test_a_run_passes_through_queue_and_execution_to_its_record(store: Store, vault: Vault) -> None:
    store.begin_run(new_run())
    store.set_state(RECORD.run, RunState.QUEUED)
    store.set_state(RECORD.run, RunState.EXECUTING, started=RECORD.started, owner=this_process())
    assert store.run(RECORD.run).owner == this_process()
    assert store.finish_run(RECORD, vault) == RECORD.digest
    row = store.run(RECORD.run)
    assert (row.state, row.record, row.exit_status, row.owner) == (RunState.COMPLETED, RECORD.digest, 0, None)


def test_a_finished_run_has_its_record_in_the_vault(store: Store, vault: Vault) -> None:
    execute(store)
    assert record_from_bytes(vault.read_bytes(store.finish_run(RECORD, vault))) == RECORD


@pytest.mark.parametrize("state", [state for state in RunState if state.is_final()])
def test_no_state_is_final_without_a_record(store: Store, state: RunState) -> None:
    execute(store)
    with pytest.raises(StateIllegal, match="without a record"):
        store.set_state(RECORD.run, state)


def test_a_run_does_not_go_back_to_the_queue(store: Store) -> None:
    execute(store)
    with pytest.raises(StateIllegal, match="is executing: it cannot become queued"):
        store.set_state(RECORD.run, RunState.QUEUED)


def test_a_run_that_was_never_executed_cannot_be_completed(
    store: Store, vault: Vault, journal: Journal
) -> None:
    store.begin_run(new_run())
    with pytest.raises(StateIllegal, match="is pending: it cannot become completed"):
        store.finish_run(RECORD, vault)
    assert journal.record_of(RECORD.run) is None


def test_a_run_called_off_before_its_execution_is_recorded(store: Store, vault: Vault) -> None:
    store.begin_run(new_run())
    store.finish_run(replace(RECORD, state=RunState.CANCELLED, started=None, exit_status=None), vault)
    assert store.run(RECORD.run).state is RunState.CANCELLED


def test_a_finished_run_keeps_the_record_it_has(store: Store, vault: Vault) -> None:
    execute(store)
    first = store.finish_run(RECORD, vault)
    late = replace(RECORD, state=RunState.INTERRUPTED, message="taken for dead")
    assert store.finish_run(late, vault) == first
    assert store.run(RECORD.run).state is RunState.COMPLETED


def test_a_finished_run_is_not_set_to_another_state(store: Store, vault: Vault) -> None:
    execute(store)
    store.finish_run(RECORD, vault)
    with pytest.raises(StateIllegal, match="is completed: it cannot become executing"):
        store.set_state(RECORD.run, RunState.EXECUTING)


def test_a_record_from_elsewhere_becomes_a_run(store: Store, vault: Vault) -> None:
    store.finish_run(RECORD, vault)
    assert store.run(RECORD.run).record == RECORD.digest


def test_a_record_whose_run_has_a_name_that_leads_elsewhere_is_refused(store: Store, vault: Vault) -> None:
    with pytest.raises(RecordInvalid, match="is not a run's id"):
        store.finish_run(replace(RECORD, run="../../settings"), vault)


def test_only_an_unfinished_run_is_forgotten(store: Store, vault: Vault) -> None:
    execute(store, "20261120-154949-aaaa")
    store.finish_run(RECORD, vault)
    store.forget_run("20261120-154949-aaaa")
    with pytest.raises(StateIllegal):
        store.forget_run(RECORD.run)
    assert [row.id for row in store.runs(10)] == [RECORD.run]


def test_runs_are_listed_newest_first(store: Store) -> None:
    oldest, middle, newest = begin_many(store, 3)
    assert [row.id for row in store.runs(10)] == [newest, middle, oldest]


def test_runs_of_the_same_second_are_listed_by_their_microseconds(store: Store) -> None:
    store.begin_run(new_run("20261120-120000-zzzz", NOON))
    store.begin_run(new_run("20261120-120000-bbbb", NOON + timedelta(microseconds=1)))
    assert [row.id for row in store.runs(10)] == ["20261120-120000-bbbb", "20261120-120000-zzzz"]


def test_pages_of_runs_follow_each_other_without_gap(store: Store) -> None:
    runs = begin_many(store, 7)
    first = store.runs(3)
    second = store.runs(3, before=first[-1].id)
    third = store.runs(3, before=second[-1].id)
    assert [row.id for row in (*first, *second, *third)] == runs[::-1]


def test_runs_are_listed_by_state_and_recipe(store: Store, vault: Vault) -> None:
    begin_many(store, 2)
    store.begin_run(new_run("20261120-130000-midas", NOON, recipe="midas/22SEP"))
    store.finish_run(RECORD, vault)
    assert [row.id for row in store.runs(10, state=RunState.COMPLETED)] == [RECORD.run]
    assert [row.id for row in store.runs(10, recipe="midas/22SEP")] == ["20261120-130000-midas"]
    assert store.runs(10, state=RunState.COMPLETED, recipe="midas/22SEP") == ()


@pytest.mark.parametrize("asked", ["20261120-120001-k3f9", "20261120-120001", "20261120-120001-k"])
def test_a_run_is_found_by_the_beginning_of_its_id(store: Store, asked: str) -> None:
    begin_many(store, 3)
    assert store.run(asked).id == "20261120-120001-k3f9"


def test_a_run_is_found_by_the_ending_of_its_id(store: Store) -> None:
    begin_many(store, 3)
    store.begin_run(new_run("20261120-120000-7wqt", NOON))
    assert store.run("7wqt").id == "20261120-120000-7wqt"


def test_an_ambiguous_beginning_names_the_candidates(store: Store) -> None:
    begin_many(store, 12)
    with pytest.raises(RunAmbiguous, match=r"any of 12 runs: 20261120-120011-k3f9, .* and 4 more"):
        store.run("20261120")


@pytest.mark.parametrize("asked", ["", "%", "_", "2027", "20261120-120000-k3f99", "'; DROP TABLE runs; --"])
def test_an_unknown_run_is_said_to_be_unknown(store: Store, asked: str) -> None:
    begin_many(store, 1)
    with pytest.raises(RunUnknown):
        store.run(asked)


def test_run_ids_sort_as_runs_came() -> None:
    random = Random(1991)
    ids = [new_run_id(NOON + timedelta(hours=hour), random) for hour in range(100)]
    assert ids == sorted(ids)


def test_a_run_id_is_short_and_has_no_sign_that_is_mistaken_for_another() -> None:
    ids = [new_run_id(NOON, Random(seed)) for seed in range(500)]
    assert {len(run) for run in ids} == {20}
    assert not set("".join(run[16:] for run in ids)) & set("01aeilou")


def test_runs_of_dead_owners_are_found_and_those_of_living_ones_are_not(store: Store) -> None:
    alive, dead = OWNER, replace(OWNER, pid=4712)
    store.begin_run(new_run("20261120-120000-aaaa"))
    store.begin_run(replace(new_run("20261120-120000-bbbb"), owner=dead))
    assert [row.id for row in store.unfinished_of_dead_owners(lambda owner: owner == alive)] == [
        "20261120-120000-bbbb"
    ]


def test_a_finished_run_has_no_owner_that_could_be_dead(store: Store, vault: Vault) -> None:
    execute(store)
    store.finish_run(RECORD, vault)
    assert store.unfinished_of_dead_owners(lambda owner: False) == ()


def test_this_process_is_alive_and_one_before_the_reboot_is_not() -> None:
    me = this_process()
    assert is_alive(me)
    assert not is_alive(replace(me, boot_id="another"))
    assert not is_alive(replace(me, start_ticks=me.start_ticks - 1))


def test_a_process_that_ended_is_dead_even_before_its_parent_took_note() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        stat = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        owner = replace(this_process(), pid=child.pid, start_ticks=int(stat[19]))
        assert is_alive(owner)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(owner)


def test_the_verdicts_on_a_run_are_kept_oldest_first(store: Store) -> None:
    later, earlier = NOON + timedelta(days=1), NOON
    for judged, grade in ((later, "different"), (earlier, "identical")):
        store.add_verdict(
            RECORD.run, repeated_by="20261121-080000-7wqt", grade=grade, verdict=UNUSED, judged=judged
        )
    assert [row.grade for row in store.verdicts(RECORD.run)] == ["identical", "different"]
    assert store.verdicts("20261121-080000-7wqt") == ()


def test_a_dataset_with_new_content_is_a_new_version_and_the_old_one_stays(
    store: Store, vault: Vault
) -> None:
    first = store.add_dataset(new_dataset(), scenario_tree(vault, b"BELA on"), vault)
    second = store.add_dataset(new_dataset(), scenario_tree(vault, b"BELA off"), vault)
    assert (first.reference, second.reference) == ("sft2@1", "sft2@2")
    assert (store.dataset("sft2"), store.dataset("sft2", 1)) == (second, first)


def test_the_same_content_again_is_no_new_version_and_may_be_described_better(
    store: Store, vault: Vault
) -> None:
    tree = scenario_tree(vault, b"BELA on")
    store.add_dataset(new_dataset(title="SFT"), tree, vault)
    store.add_dataset(new_dataset(title="Functional test SFT2", path="/vault/in/sft2"), tree, vault)
    (dataset,) = store.datasets()
    assert (dataset.title, dataset.path) == ("Functional test SFT2", Path("/vault/in/sft2"))


def test_a_kept_dataset_stays_kept_when_it_is_added_again_as_a_reference(store: Store, vault: Vault) -> None:
    tree = scenario_tree(vault, b"BELA on")
    store.add_dataset(new_dataset(kept=True), tree, vault)
    assert store.add_dataset(new_dataset(kept=False), tree, vault).kept


def test_datasets_are_found_by_content_and_by_path(store: Store, vault: Vault) -> None:
    dataset = store.add_dataset(new_dataset(), scenario_tree(vault, b"BELA on"), vault)
    assert store.datasets_with_tree(dataset.digest) == (dataset,)
    assert store.datasets_at(Path("/data/sft2")) == (dataset,)
    assert store.datasets_at(Path("/data")) == ()


def test_every_object_of_a_record_is_known_by_what_uses_it(store: Store, vault: Vault) -> None:
    store.finish_run(RECORD, vault)
    assert RECORD.log is not None
    assert RECORD.job.script is not None
    run = f"run {RECORD.run}"
    assert store.uses(RECORD.digest) == (f"{run}: record",)
    assert store.uses(RECORD.lock) == (f"{run}: lock",)
    assert store.uses(RECORD.log) == (f"{run}: log",)
    assert store.uses(RECORD.job.script) == (f"{run}: script",)
    assert store.uses(RECORD.inputs[0].digest) == (f"{run}: input scenario (eps-bepicolombo-2015@1)",)
    assert store.uses(RECORD.outputs[0].digest) == (
        f"{run}: output power-average (eps_output/power_avg.out)",
    )
    assert store.uses(UNUSED) == ()


def test_a_file_of_a_dataset_is_used_by_the_dataset_and_by_every_run_on_it(
    store: Store, vault: Vault
) -> None:
    tree = scenario_tree(vault, b"BELA on", b"MERTIS on")
    dataset = store.add_dataset(new_dataset(), tree, vault)
    given = replace(RECORD.inputs[0], dataset=dataset.reference, digest=dataset.digest)
    store.finish_run(replace(RECORD, inputs=(given,)), vault)
    assert store.uses(tree.entries[1].digest) == (
        "dataset sft2@1, file input/1.itl",
        f"run {RECORD.run}: input scenario (sft2@1), file input/1.itl",
    )


def test_the_files_of_a_reference_are_not_objects(store: Store, vault: Vault) -> None:
    tree = make_tree([TreeEntry(path="m31.fits", digest=UNUSED, size=15)])
    store.add_dataset(new_dataset("m31", kept=False), tree, vault)
    assert (store.uses(UNUSED), store.uses(tree.digest)) == ((), ("dataset m31@1",))


def test_a_store_that_was_deleted_is_made_again_equal(store: Store, vault: Vault, journal: Journal) -> None:
    fill(store, vault)
    before = everything(store, vault)
    store.close()
    store.path.unlink()
    again = open_store(store.path, journal=journal, vault=vault)
    assert everything(again, vault) == before
    again.close()


def test_rebuilding_leaves_runs_under_way_alone(store: Store, vault: Vault) -> None:
    fill(store, vault)
    execute(store, "20261120-180000-aaaa")
    before = everything(store, vault)
    rebuilt = store.rebuild(vault)
    assert (rebuilt.runs, rebuilt.verdicts, rebuilt.datasets, rebuilt.problems) == (3, 1, 3, ())
    assert everything(store, vault) == before


def test_a_damaged_store_is_moved_aside_and_made_again(store: Store, vault: Vault) -> None:
    fill(store, vault)
    before = everything(store, vault)
    store.close()
    store.path.write_bytes(b"\0" * 20_000)
    with pytest.raises(StoreDamaged, match="the store is damaged"):
        store.runs(10)
    store.rebuild(vault)
    assert everything(store, vault) == before
    assert store.path.with_name("store.sqlite.damaged").stat().st_size == 20_000


def test_rebuilding_names_the_run_whose_record_is_lost_and_keeps_the_others(
    store: Store, vault: Vault
) -> None:
    lost, *_ = fill(store, vault)
    vault.path(store.run(lost).record or UNUSED).unlink()
    rebuilt = store.rebuild(vault)
    assert rebuilt.runs == 2
    assert [problem.split(":")[0] for problem in rebuilt.problems] == [f"run {lost}"]


def test_rebuilding_names_an_entry_of_the_journal_that_is_rubbish(
    store: Store, vault: Vault, journal: Journal
) -> None:
    fill(store, vault)
    (journal.folder / "datasets" / "sft2@1").write_text('{"format": 1, "name": "sft2"}')
    (problem,) = store.rebuild(vault).problems
    assert problem.endswith("datasets/sft2@1: entry of the journal cannot be read: key 'version' is missing")


def test_a_run_whose_owner_died_between_journal_and_store_is_finished_by_its_record(
    store: Store, vault: Vault, journal: Journal
) -> None:
    execute(store)
    journal.add_run(RECORD.run, vault.put_bytes(RECORD.to_bytes()))
    (left,) = store.unfinished_of_dead_owners(lambda owner: False)
    standing = store.finish_run(replace(RECORD, state=RunState.INTERRUPTED, exit_status=None), vault)
    assert (left.id, standing) == (RECORD.run, RECORD.digest)
    assert store.run(RECORD.run).state is RunState.COMPLETED


def test_a_dataset_whose_adder_died_between_journal_and_store_keeps_its_version(
    store: Store, vault: Vault, journal: Journal
) -> None:
    tree = scenario_tree(vault, b"BELA on")
    journalled = Dataset(
        name="sft2", version=1, digest=vault.put_bytes(canonical_json(tree.to_json())),
        path=Path("/data/sft2"), kept=True, files=1, size=7, added=NOON,
    )  # fmt: skip
    journal.put_dataset(journalled)
    later = store.add_dataset(new_dataset(), scenario_tree(vault, b"BELA off"), vault)
    assert (store.datasets(), later.version) == ((journalled, later), 2)


def test_nothing_is_made_by_a_store_that_is_not_used(tmp_path: Path) -> None:
    Store(tmp_path / "thaw/store.sqlite", journal=Journal(tmp_path / "thaw/vault"))
    assert list(tmp_path.glob("thaw*/*")) == []


def test_an_entry_of_the_journal_is_never_seen_half_written(journal: Journal) -> None:
    journal.add_run(RECORD.run, RECORD.digest)
    half = journal.folder / "runs" / ".20261120-160000-aaaa.99.0badcafe"
    half.write_text('{"format": 1, "ru')
    assert list(journal.runs()) == [(RECORD.run, RECORD.digest)]


def test_of_many_who_finish_a_run_at_once_one_wins_and_all_know_it(journal: Journal) -> None:
    records = [digest_bytes(str(number).encode()) for number in range(16)]
    standing: list[Digest] = []
    threads = [
        threading.Thread(target=lambda mine=mine: standing.append(journal.add_run(RECORD.run, mine)))
        for mine in records
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(standing) == 16
    assert {*standing} == {journal.record_of(RECORD.run)}


def test_a_version_of_a_dataset_never_changes_its_content(journal: Journal) -> None:
    dataset = Dataset(
        name="m31",
        version=1,
        digest=RECORD.digest,
        path=Path("/data/m31"),
        kept=True,
        files=1,
        size=1,
        added=NOON,
    )
    journal.put_dataset(dataset)
    with pytest.raises(StoreDamaged, match="dataset m31@1 is"):
        journal.put_dataset(replace(dataset, digest=UNUSED))


def test_a_store_of_a_newer_thaw_is_left_alone(store: Store) -> None:
    store.begin_run(new_run())
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreTooNew, match="the store has schema 99: this Thaw knows schemas up to 2"):
        store.runs(1)


def test_an_older_store_is_brought_up_to_date_with_its_rows(tmp_path: Path) -> None:
    first = ("CREATE TABLE targets (name TEXT)",)
    second = ("ALTER TABLE targets ADD COLUMN magnitude REAL", "UPDATE targets SET magnitude = 3.44")
    old = Database(tmp_path / "old.sqlite", (first,))
    with old.write() as connection:
        connection.execute("INSERT INTO targets VALUES ('M31')")
    old.close()
    new = Database(tmp_path / "old.sqlite", (first, second))
    with new.read() as connection:
        assert [tuple(row) for row in connection.execute("SELECT * FROM targets")] == [("M31", 3.44)]
    new.close()


def test_a_step_that_fails_leaves_the_older_store_as_it_was(tmp_path: Path) -> None:
    first = ("CREATE TABLE targets (name TEXT)",)
    broken = ("ALTER TABLE targets ADD COLUMN magnitude REAL", "INSERT INTO nowhere VALUES (1)")
    old = Database(tmp_path / "old.sqlite", (first,))
    with old.read():
        pass
    with pytest.raises(StoreUnusable, match="nowhere"), Database(old.path, (first, broken)).read():
        pass
    with old.read() as connection:
        assert [row["name"] for row in connection.execute("PRAGMA table_info(targets)")] == ["name"]
    old.close()


def test_a_full_disk_is_told_and_nothing_is_half_written(store: Store) -> None:
    begin_many(store, 3)
    with store._database.read() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DiskFull, match="no space left"):
        store.begin_run(replace(new_run(), parameters={"comment": "x" * 500_000}))
    assert len(store.runs(10)) == 3


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, journal: Journal) -> None:
    (tmp_path / "thaw").write_text("a file is in the way")
    with pytest.raises(StoreUnusable, match="cannot be made"):
        Store(tmp_path / "thaw/store.sqlite", journal=journal).runs(1)


def test_a_store_is_used_by_many_threads_at_once(store: Store) -> None:
    def begin(thread: int) -> None:
        for number in range(20):
            store.begin_run(new_run(f"2026112{thread}-120000-{number:04}", NOON))

    threads = [threading.Thread(target=begin, args=(thread,)) for thread in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.runs(1000)) == 120


def test_a_forked_child_uses_the_store_and_leaves_the_parents_alone(store: Store) -> None:
    store.begin_run(new_run("20261120-120000-aaaa"))
    child = os.fork()
    if child == 0:
        store.begin_run(new_run("20261120-120000-bbbb"))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    store.begin_run(new_run("20261120-120000-cccc"))
    assert len(store.runs(10)) == 3


def fill(store: Store, vault: Vault) -> list[str]:
    """Three finished runs, a verdict, three versions of datasets."""
    records = [
        RECORD,
        replace(RECORD, run="20261120-160000-7wqt", repeats=RECORD.run),
        replace(
            RECORD,
            run="20261120-170000-m4zp",
            state=RunState.FAILED,
            exit_status=1,
            message="EPS says: FATAL",
        ),
    ]
    for record in records:
        execute(store, record.run)
        store.finish_run(record, vault)
    store.add_verdict(
        RECORD.run, repeated_by="20261120-160000-7wqt", grade="identical", verdict=UNUSED, judged=NOON
    )
    store.add_dataset(new_dataset(title="SFT2"), scenario_tree(vault, b"BELA on"), vault)
    store.add_dataset(new_dataset(path="/data/sft2-b"), scenario_tree(vault, b"BELA off"), vault)
    store.add_dataset(new_dataset("m31", kept=False), scenario_tree(vault, b"galaxy"), vault)
    return [record.run for record in records]


def everything(store: Store, vault: Vault) -> object:
    """All a store can be asked, and all rows of its tables but those that only save time."""
    with store._database.read() as connection:
        tables = {
            table: sorted(tuple(row) for row in connection.execute(f"SELECT * FROM {table}"))
            for table in ("runs", "verdicts", "datasets", "object_uses", "trees", "tree_files")
        }
    runs = store.runs(1000)
    return (
        tables, runs, store.datasets(), store.record_digests(), [store.verdicts(row.id) for row in runs],
        [store.uses(digest) for digest in vault.digests()],
    )  # fmt: skip


def first_release(path: Path) -> None:
    """A store as the release before the queue left it, with a finished, a pending and a judged run."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for statement in STEPS[0]:
        connection.execute(statement)
    connection.execute("PRAGMA user_version = 1")
    columns = "id, kind, recipe, thread, parameters, inputs, state, submitted"
    rows = [("20261120-120000-fini", "failed"), ("20261120-120001-pend", "pending")]
    for run, state in rows:
        values = (run, "thread", "midas/22SEP", "flatfield", '{"sigma":3.0}', "{}", state)
        connection.execute(
            f"INSERT INTO runs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, "2026-11-20T12:00:00.000000Z"),
        )
    connection.execute(
        "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?)",
        ("20261120-120000-fini", "other", "identical", UNUSED, "2026-11-20T12:00:00.000000Z"),
    )
    connection.close()


def test_the_store_of_the_release_before_opens_with_all_it_held(tmp_path: Path, journal: Journal) -> None:
    first_release(tmp_path / "store.sqlite")
    with closing(Store(tmp_path / "store.sqlite", journal=journal)) as store:
        found = store.runs(10)
        assert [(row.id, row.state, row.user) for row in found] == [
            ("20261120-120001-pend", RunState.PENDING, None),
            ("20261120-120000-fini", RunState.FAILED, None),
        ]
        assert found[1].parameters == {"sigma": 3.0}
        assert [judged.grade for judged in store.verdicts("20261120-120000-fini")] == ["identical"]
        assert [row.run.id for row in store.queue.page(RunsAsked(recipe="midas/22SEP"), 9)] == [
            row.id for row in found
        ]


def test_a_migrated_store_has_the_tables_of_a_new_one(tmp_path: Path, journal: Journal) -> None:
    first_release(tmp_path / "old.sqlite")
    schemas = []
    for name in ("old.sqlite", "new.sqlite"):
        with closing(Store(tmp_path / name, journal=journal)) as store:
            store.runs(1)
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            schemas.append(
                sorted(connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall(), key=str)
            )
    assert schemas[0] == schemas[1]


def test_the_user_of_a_run_is_in_its_row_and_comes_back_with_a_rebuilt_index(
    store: Store, vault: Vault
) -> None:
    asked_by = replace(RECORD, run="20261120-120000-tych", user="tycho", answered_from="20261120-110000-kepl")
    store.finish_run(asked_by, vault)
    before = store.run(asked_by.run)
    assert (before.user, before.answered_from) == ("tycho", "20261120-110000-kepl")
    store.rebuild(vault)
    assert store.run(asked_by.run) == before


def queue_entry(run: str, **changes: Any) -> QueueEntry:
    entry = QueueEntry(
        run=run,
        user="tycho",
        priority=0,
        time_limit_s=60,
        cpus=1,
        memory_mb=64,
        is_safe=True,
        is_fresh=False,
    )
    return replace(entry, **changes)


def test_a_queued_run_is_no_run_of_a_dead_owner(store: Store) -> None:
    store.begin_run(new_run("20261120-120000-left"))
    store.queue.add(
        new_run("20261120-120001-wait"), queue_entry("20261120-120001-wait"), RunState.QUEUED, lambda _: None
    )
    left = store.unfinished_of_dead_owners(lambda _owner: False)
    assert [row.id for row in left] == ["20261120-120000-left"]


def test_a_rebuild_keeps_the_queue(store: Store, vault: Vault) -> None:
    entry = queue_entry("20261120-120001-wait", idempotency_key="once", content="all of it")
    store.queue.add(new_run(entry.run), entry, RunState.QUEUED, lambda _: None)
    store.rebuild(vault)
    assert store.queue.with_key("tycho", "once") == entry
    found = store.queue.find(entry.run)
    assert found is not None
    assert (found.run.state, found.run.owner, found.entry) == (RunState.QUEUED, None, entry)


def test_every_list_is_answered_within_an_index(store: Store) -> None:
    """What a list is filtered by is in the index it goes along: a rare filter reads no rows in vain."""
    store.runs(1)
    with closing(sqlite3.connect(store.path)) as connection:
        for index in ("runs_listed", "runs_of_user"):
            plan = connection.execute(
                f"EXPLAIN QUERY PLAN SELECT id FROM runs INDEXED BY {index} WHERE user = 'a' AND state = 'b'"
                " AND recipe = 'c' AND thread = 'd' ORDER BY submitted DESC, id DESC LIMIT 9"
            ).fetchall()
            assert f"COVERING INDEX {index}" in plan[0][3]
            assert not [step for step in plan if "TEMP B-TREE" in step[3]]


def test_a_store_with_verdicts_is_sound_and_a_damaged_one_is_not(store: Store, tmp_path: Path) -> None:
    for number in range(300):
        judged = datetime(2026, 11, 20, 12, tzinfo=UTC) + timedelta(seconds=number)
        store.add_verdict(
            "a", repeated_by="b", grade="identical", verdict=digest_bytes(b"%d" % number), judged=judged
        )
    store.close()
    database = Database(store.path)
    database.check_sound()
    database.close()
    content = bytearray(store.path.read_bytes())
    for page in range(4096 * 12, len(content) - 4096, 4096):
        content[page : page + 512] = bytes(512)
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(content)
    with pytest.raises(StoreDamaged):
        Database(damaged).check_sound()
