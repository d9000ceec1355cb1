"""Backups: whole or visibly not, incremental, nothing named is missing, and a state folder comes out again."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from instantiator.operate import backup as making
from instantiator.operate.backup import BackupBusy, BackupRefused, Home, create_backup, write_archive
from instantiator.operate.restore import BackupDamaged, BackupIncomplete, check_backup, restore_backup
from instantiator.users import Role, Users
from provenance.digest import Digest
from provenance.record import RunState
from provenance.store import is_alive, this_process
from provenance.vault import Vault
from tests.fakes_session import NOON
from tests.queue_fixtures import CounterBench, count, work_until

HOUR = timedelta(hours=1)


@pytest.fixture
def bench(tmp_path: Path) -> CounterBench:
    """A state folder with a finished run, one that waits, and a user."""
    made = CounterBench(home=tmp_path / "home")
    execute(made, 1)
    made.queue().submit(count(parameters={"number": 2}))
    users = Users(made.settings.users_file)
    users.people.add("ada", [Role.CURATOR], now=NOON)
    users.close()
    return made


def execute(bench: CounterBench, number: int) -> str:
    queue = bench.queue()
    run = queue.submit(count(parameters={"number": number})).id
    work_until(bench.worker(), lambda: queue.get(run).phase.is_final())
    return run


def home_of(bench: CounterBench) -> Home:
    return Home(root=bench.home)


def restored(folder: Path, backup: Path) -> CounterBench:
    restore_backup(backup, folder)
    return CounterBench(home=folder)


def test_what_was_backed_up_comes_out_again(bench: CounterBench, tmp_path: Path) -> None:
    before = {run.id: (run.state, run.record, run.user) for run in bench.queue().page().runs}
    create_backup(home_of(bench), tmp_path / "backup", now=NOON)
    state = check_backup(tmp_path / "backup", tmp_path / "scratch")
    assert (state.is_sound(), state.runs) == (True, 1)
    other = restored(tmp_path / "other", tmp_path / "backup")
    assert {run.id: (run.state, run.record, run.user) for run in other.queue().page().runs} == before
    assert list(other.vault.digests()) == sorted({*bench.vault.digests(), EMPTY})
    assert Users(other.settings.users_file).people.find("ada") is not None


EMPTY = Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def test_a_run_that_waited_is_executed_after_the_restore(bench: CounterBench, tmp_path: Path) -> None:
    create_backup(home_of(bench), tmp_path / "backup", now=NOON)
    report = restore_backup(tmp_path / "backup", tmp_path / "other")
    assert report.waiting == 1
    other = CounterBench(home=tmp_path / "other")
    queue = other.queue()
    work_until(other.worker(), lambda: all(run.phase.is_final() for run in queue.page().runs))
    assert {run.state for run in queue.page().runs} == {RunState.COMPLETED}


def test_a_run_under_way_is_nobodys_after_the_restore(bench: CounterBench, tmp_path: Path) -> None:
    """Its worker lives on with the old state folder: without this the new one would wait for it for ever."""
    (waiting,) = bench.queue().page(states=(RunState.QUEUED,)).runs
    bench.store.set_state(waiting.id, RunState.EXECUTING, owner=this_process(), started=NOON)
    create_backup(home_of(bench), tmp_path / "backup", now=NOON)
    other = restored(tmp_path / "other", tmp_path / "backup")
    assert other.store.run(waiting.id).owner is None
    assert is_alive(this_process())
    work_until(other.worker(), lambda: other.queue().get(waiting.id).phase.is_final())
    assert other.queue().get(waiting.id).state is RunState.COMPLETED


def test_a_second_backup_copies_only_what_is_new(bench: CounterBench, tmp_path: Path) -> None:
    first = create_backup(home_of(bench), tmp_path / "backup", now=NOON)
    bench.vault.put_bytes(b"a new galaxy")
    second = create_backup(home_of(bench), tmp_path / "backup", now=NOON + HOUR)
    assert (first.added, second.added) == (first.objects, 1)
    assert second.objects == first.objects + 1


@pytest.mark.parametrize("link", [False, True])
def test_objects_are_copied_or_linked(bench: CounterBench, tmp_path: Path, link: bool) -> None:
    create_backup(home_of(bench), tmp_path / "backup", now=NOON, link=link)
    digest = next(digest for digest in bench.vault.digests() if digest != EMPTY)
    copied = Vault(tmp_path / "backup/vault").path(digest)
    assert copied.samefile(bench.vault.path(digest)) is link


def test_only_its_owner_may_read_a_backup(bench: CounterBench, tmp_path: Path) -> None:
    """It holds what users.sqlite holds."""
    report = create_backup(home_of(bench), tmp_path / "backup", now=NOON)
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o700
    assert stat.S_IMODE((report.path / "users.sqlite").stat().st_mode) == 0o600
    restore_backup(tmp_path / "backup", tmp_path / "other")
    assert stat.S_IMODE((tmp_path / "other/users.sqlite").stat().st_mode) == 0o600


def test_no_login_is_in_a_backup(bench: CounterBench, tmp_path: Path) -> None:
    tickets = bench.home / "serve/tickets.sqlite"
    tickets.parent.mkdir()
    tickets.write_bytes(b"rights")
    create_backup(home_of(bench), tmp_path / "backup", now=NOON)
    assert not list((tmp_path / "backup").rglob("tickets*"))


def test_a_rotten_object_is_left_out_and_named(bench: CounterBench, tmp_path: Path) -> None:
    digest = bench.vault.put_bytes(b"a galaxy")
    rot(bench.vault.path(digest))
    for link in (False, True):
        report = create_backup(home_of(bench), tmp_path / f"backup-{link}", now=NOON, link=link)
        assert [problem for problem in report.problems if digest in problem]
        state = check_backup(tmp_path / f"backup-{link}", tmp_path / "scratch")
        assert not state.is_sound()
        assert digest in state.problems[0]


def rot(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"another galaxy")


class Killed(BaseException):
    """What a kill is in a test: nothing after it is done."""


def kill_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(making, name, die)


STEPS = ("_copy_databases", "_pack", "_copy_objects", "_write_manifest")


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_backup_is_visibly_incomplete(
    bench: CounterBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as patched:
        kill_at(patched, step)
        with pytest.raises(Killed):
            create_backup(home_of(bench), tmp_path / "backup", now=NOON)
    with pytest.raises(BackupIncomplete, match="was not brought to its end"):
        check_backup(tmp_path / "backup", tmp_path / "scratch")
    with pytest.raises(BackupIncomplete):
        restore_backup(tmp_path / "backup", tmp_path / "other")
    create_backup(home_of(bench), tmp_path / "backup", now=NOON + HOUR)
    assert check_backup(tmp_path / "backup", tmp_path / "scratch").is_sound()


@pytest.mark.parametrize("step", STEPS)
def test_an_earlier_backup_outlives_a_killed_later_one(
    bench: CounterBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    create_backup(home_of(bench), tmp_path / "backup", now=NOON)
    execute(bench, 7)
    with monkeypatch.context() as patched:
        kill_at(patched, step)
        with pytest.raises(Killed):
            create_backup(home_of(bench), tmp_path / "backup", now=NOON + HOUR)
    state = check_backup(tmp_path / "backup", tmp_path / "scratch")
    assert (state.problems, len(state.unfinished), state.is_sound()) == ((), 1, False)
    assert restore_backup(tmp_path / "backup", tmp_path / "other").runs == 1


DAMAGES: dict[str, Callable[[Path], object]] = {
    "store.sqlite": lambda folder: rot(folder / "store.sqlite"),
    "journal.tar": lambda folder: rot(folder / "journal.tar"),
    "objects.txt": lambda folder: (folder / "objects.txt").unlink(),
}


@pytest.mark.parametrize("what", sorted(DAMAGES))
def test_a_damaged_backup_is_found_and_not_restored(bench: CounterBench, tmp_path: Path, what: str) -> None:
    report = create_backup(home_of(bench), tmp_path / "backup", now=NOON)
    DAMAGES[what](report.path)
    state = check_backup(tmp_path / "backup", tmp_path / "scratch")
    assert [problem for problem in state.problems if problem.startswith(what)]
    with pytest.raises(BackupDamaged, match=what):
        restore_backup(tmp_path / "backup", tmp_path / "other")


@pytest.mark.parametrize("damage", [rot, Path.unlink])
def test_a_lost_object_is_found(bench: CounterBench, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    create_backup(home_of(bench), tmp_path / "backup", now=NOON)
    vault = Vault(tmp_path / "backup/vault")
    digest = next(digest for digest in vault.digests() if digest != EMPTY)
    damage(vault.path(digest))
    state = check_backup(tmp_path / "backup", tmp_path / "scratch")
    assert [problem for problem in state.problems if digest in problem]
    with pytest.raises(Exception, match=r"missing|bytes"):
        restore_backup(tmp_path / "backup", tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["restore.partial"]


def test_a_restore_needs_an_empty_folder(bench: CounterBench, tmp_path: Path) -> None:
    create_backup(home_of(bench), tmp_path / "backup", now=NOON)
    with pytest.raises(BackupRefused, match="not empty"):
        restore_backup(tmp_path / "backup", bench.home)
    left = tmp_path / "other/restore.partial/vault"
    left.mkdir(parents=True)
    (left / "half").write_text("of an object")
    assert restore_backup(tmp_path / "backup", tmp_path / "other").runs == 1
    assert not list((tmp_path / "other").rglob("half"))


def test_one_file_holds_a_backup_too(bench: CounterBench, tmp_path: Path) -> None:
    file = tmp_path / "thaw.tar"
    report = write_archive(home_of(bench), file, bench.settings.scratch_dir, now=NOON)
    assert report.path == file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert check_backup(file, tmp_path / "scratch").is_sound()
    assert restore_backup(file, tmp_path / "other").runs == 1
    assert not list(bench.settings.scratch_dir.glob("backup-*"))
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == [
        *("runs", "store.sqlite"),
        *("users.sqlite", "vault"),
    ]


def test_a_file_cut_short_is_no_backup(bench: CounterBench, tmp_path: Path) -> None:
    file = tmp_path / "thaw.tar"
    write_archive(home_of(bench), file, bench.settings.scratch_dir, now=NOON)
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises((BackupDamaged, BackupRefused, BackupIncomplete)):
        restore_backup(file, tmp_path / "other")


def test_two_backups_at_once_are_one_too_many(bench: CounterBench, tmp_path: Path) -> None:
    with making._alone(tmp_path / "backup"), pytest.raises(BackupBusy):
        create_backup(home_of(bench), tmp_path / "backup", now=NOON)


def test_somebody_elses_folder_is_left_alone(bench: CounterBench, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/m31.jpg").write_bytes(b"a galaxy")
    for folder in (tmp_path / "photos", bench.settings.vault_dir / "backup"):
        with pytest.raises(BackupRefused):
            create_backup(home_of(bench), folder, now=NOON)


def test_nothing_is_made_of_an_empty_home(tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="nothing to back up"):
        create_backup(Home(root=tmp_path / "nowhere"), tmp_path / "backup", now=NOON)


def test_a_newer_format_is_refused(bench: CounterBench, tmp_path: Path) -> None:
    report = create_backup(home_of(bench), tmp_path / "backup", now=datetime.now(UTC))
    manifest = report.path / "backup.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 2}))
    with pytest.raises(BackupRefused, match="of format 2: this Thaw reads 1"):
        check_backup(tmp_path / "backup", tmp_path / "scratch")


def test_a_run_that_ends_between_index_and_journal_is_in_the_backup(
    bench: CounterBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index says it waits, its draft is gone, its record is in the journal: it has ended."""
    (waiting,) = bench.queue().page(states=(RunState.QUEUED,)).runs
    copy_databases = making._copy_databases

    def copy_then_work(home: Home, partial: Path) -> None:
        copy_databases(home, partial)
        work_until(bench.worker(), lambda: bench.queue().get(waiting.id).phase.is_final())

    monkeypatch.setattr(making, "_copy_databases", copy_then_work)
    create_backup(home_of(bench), tmp_path / "backup", now=NOON)
    assert check_backup(tmp_path / "backup", tmp_path / "scratch").is_sound()
    other = restored(tmp_path / "other", tmp_path / "backup")
    assert other.queue().get(waiting.id).record == bench.queue().get(waiting.id).record
