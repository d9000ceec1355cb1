"""Check a backup, and make a state folder of one."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from instantiator.operate.backup import (
    DRAFTS,
    FORMAT,
    JOURNAL,
    MANIFEST,
    OBJECTS,
    PARTIAL,
    STORE,
    USERS,
    BackupRefused,
)
from instantiator.users.database import UsersFile
from provenance.digest import Digest, hash_files, map_in_threads, parse_digest, told_in_turn
from provenance.errors import ThawError
from provenance.record import RunState, record_from_bytes
from provenance.store import Journal, RunsAsked, Store
from provenance.store.database import Database
from provenance.vault import WRITERS, Vault
from provenance.vault_files import link_file, make_folder

_ASIDE = "restore" + PARTIAL
_PAGE = 1000


class BackupIncomplete(ThawError):
    """There is no whole backup here: the only one was killed before its end."""

    code = "backup-incomplete"


class BackupDamaged(ThawError):
    """Something of a backup is missing, or is not what was written."""

    code = "backup-damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manifest:
    made: str
    files: Mapping[str, Digest]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupState:
    """What a check found. `unfinished` names backups that were begun later and killed."""

    path: Path
    made: str
    objects: int
    runs: int
    problems: tuple[str, ...]
    unfinished: tuple[str, ...]

    def is_sound(self) -> bool:
        """Whether it can be restored, and is the newest that was begun."""
        return not self.problems and not self.unfinished

    def to_json(self) -> dict[str, object]:
        """Keys: path, made, objects, runs, problems, unfinished, sound."""
        return {
            "path": str(self.path),
            "made": self.made,
            "objects": self.objects,
            "runs": self.runs,
            "problems": list(self.problems),
            "unfinished": list(self.unfinished),
            "sound": self.is_sound(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What a restored state folder holds. `waiting` runs are executed by the next worker."""

    home: Path
    made: str
    objects: int
    runs: int
    waiting: int

    def to_json(self) -> dict[str, object]:
        """Keys: home, made, objects, runs, waiting."""
        return {
            "home": str(self.home),
            "made": self.made,
            "objects": self.objects,
            "runs": self.runs,
            "waiting": self.waiting,
        }


def check_backup(
    backup: Path, scratch: Path, *, progress: Callable[[int], None] | None = None
) -> BackupState:
    """Hash everything of the newest whole backup again. Raises `BackupIncomplete` where there is none."""
    with _opened(backup, scratch) as folder:
        newest = _newest(folder, backup)
        manifest = _manifest(newest)
        problems = _check_files(newest, manifest)
        vault = Vault(folder / "vault")
        objects = _objects(newest) if not problems else ()
        told = told_in_turn(progress)
        states = map_in_threads(lambda digest: vault.look_at(digest, told), objects)
        problems += [f"object {state.digest} is {state.fault}" for state in states if not state.is_sound()]
        runs = 0
        if not problems:
            with _laid_out(newest, scratch) as aside:
                with closing(Database(aside / STORE)) as store:
                    store.check_sound()
                problems, runs = _check_records(Journal(aside), vault, frozenset(objects))
        problems += [f"it was left out when the backup was made: {text}" for text in manifest.problems]
        return BackupState(
            path=backup,
            made=manifest.made,
            objects=len(objects),
            runs=runs,
            problems=tuple(problems),
            unfinished=tuple(
                sorted(path.name for path in folder.glob(f"*{PARTIAL}") if path.name > newest.name)
            ),
        )


def restore_backup(
    backup: Path, home: Path, *, link: bool = False, progress: Callable[[int], None] | None = None
) -> RestoreReport:
    """Make the state folder `home`, which must be empty or not be there, of the newest whole backup.

    Everything is verified on its way. A restore that is killed leaves `restore.partial` alone in the folder; the
    next one begins anew. Raises `BackupRefused`, `BackupIncomplete`, `BackupDamaged`.
    """
    _refuse_full(home)
    aside = home / _ASIDE
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    with _opened(backup, aside / "scratch") as folder:
        newest = _newest(folder, backup)
        manifest = _manifest(newest)
        problems = _check_files(newest, manifest)
        if problems:
            raise _damaged(backup, problems)
        objects = _objects(newest)
        _copy_objects(Vault(folder / "vault"), Vault(aside / "vault"), objects, link=link, progress=progress)
        _unpack(newest / JOURNAL, aside / "vault")
        _unpack(newest / DRAFTS, aside / "runs")
        shutil.copyfile(newest / STORE, aside / STORE)
        if (newest / USERS).is_file():
            (aside / USERS).touch(mode=0o600)
            shutil.copyfile(newest / USERS, aside / USERS)
        runs, waiting = _bring_up_to_date(aside)
    shutil.rmtree(aside / "scratch", ignore_errors=True)
    for path in sorted(aside.iterdir(), key=lambda path: path.name == STORE):  # the index last
        path.rename(home / path.name)
    aside.rmdir()
    return RestoreReport(home=home, made=manifest.made, objects=len(objects), runs=runs, waiting=waiting)


def _bring_up_to_date(aside: Path) -> tuple[int, int]:
    """Index what the journal has beyond the copied index; nobody executes anything yet."""
    vault = Vault(aside / "vault")
    store = Store(aside / STORE, journal=Journal(aside / "vault"))
    try:
        rebuilt = store.rebuild(vault)
        if rebuilt.problems:
            raise _damaged(aside, list(rebuilt.problems))
        for worker in store.queue.workers():
            store.queue.forget_worker(worker.owner)
        waiting = tuple(_unfinished(store))
        for run in waiting:
            store.queue.disown(run)
        if (aside / USERS).is_file():
            with closing(UsersFile(aside / USERS)) as users:
                users.check_sound()
    finally:
        store.close()
    return rebuilt.runs, len(waiting)


def _unfinished(store: Store) -> Iterator[str]:
    asked = RunsAsked(states=tuple(state for state in RunState if not state.is_final()))
    yield from (row.run.id for row in store.queue.page(asked, 1_000_000))


def _refuse_full(home: Path) -> None:
    found = sorted(path.name for path in home.iterdir() if path.name != _ASIDE) if home.is_dir() else []
    if found:
        raise BackupRefused(
            f"the state folder is not empty: it holds {', '.join(found[:3])}",
            where=str(home),
            hint="restore into an empty folder: THAW_HOME=/srv/thaw-restored thaw backup restore ...",
        )


@contextmanager
def _opened(backup: Path, scratch: Path) -> Iterator[Path]:
    """The backup as a folder; of a tar file a folder is made, and removed again."""
    if backup.is_dir():
        yield backup
        return
    if not backup.is_file():
        raise BackupRefused("there is no such backup", where=str(backup), hint="name its folder or its file")
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix="backup-", dir=scratch))
    try:
        _unpack(backup, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _laid_out(newest: Path, scratch: Path) -> Iterator[Path]:
    """Journal and index in a folder of their own: reading an index may write beside it."""
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix="backup-", dir=scratch))
    try:
        _unpack(newest / JOURNAL, folder)
        shutil.copyfile(newest / STORE, folder / STORE)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive) as content:
            content.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError) as error:
        raise BackupDamaged(f"the archive cannot be read: {error}", where=str(archive)) from error


def _newest(folder: Path, backup: Path) -> Path:
    whole = sorted(path for path in folder.glob("*Z") if (path / MANIFEST).is_file())
    if whole:
        return whole[-1]
    begun = sorted(path.name for path in folder.glob(f"*{PARTIAL}"))
    if begun:
        raise BackupIncomplete(
            f"the backup {begun[-1].removesuffix(PARTIAL)} was not brought to its end, and there is no other",
            where=str(backup),
            hint=f"make it again: thaw backup create {backup}",
        )
    raise BackupRefused("there is no backup here", where=str(backup), hint="name a folder with backups")


def _manifest(newest: Path) -> _Manifest:
    try:
        found = json.loads((newest / MANIFEST).read_bytes())
        if found["format"] != FORMAT:
            raise BackupRefused(
                f"the backup is of format {found['format']!r}: this Thaw reads {FORMAT}", where=str(newest)
            )
        files = {Path(name).name: parse_digest(told["digest"]) for name, told in found["files"].items()}
        return _Manifest(made=str(found["made"]), files=files, problems=tuple(found["problems"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupDamaged(f"its description cannot be read: {error!r}", where=str(newest)) from error


def _check_files(newest: Path, manifest: _Manifest) -> list[str]:
    there = [name for name in manifest.files if (newest / name).is_file()]
    hashed = dict(zip(there, hash_files([newest / name for name in there]), strict=True))
    problems = [f"{name} is missing" for name in manifest.files if name not in hashed]
    return problems + [
        f"{name} is not what was written" for name in there if hashed[name][0] != manifest.files[name]
    ]


def _objects(newest: Path) -> tuple[Digest, ...]:
    return tuple(parse_digest(line) for line in (newest / OBJECTS).read_text().split())


def _check_records(journal: Journal, vault: Vault, objects: frozenset[Digest]) -> tuple[list[str], int]:
    """Whether every record the journal names is there, and all that it gave."""
    problems: list[str] = []
    runs = 0
    for run, digest in journal.runs(problems):
        runs += 1
        if digest not in objects:
            problems.append(f"run {run}: its record is not in the backup")
            continue
        record = record_from_bytes(vault.read_bytes(digest, used_by=f"run {run}: record"))
        needed = [output.digest for output in record.outputs] + ([record.log] if record.log else [])
        problems += [f"run {run}: {item} is not in the backup" for item in needed if item not in objects]
    return problems, runs


def _copy_objects(
    source: Vault,
    target: Vault,
    objects: tuple[Digest, ...],
    *,
    link: bool,
    progress: Callable[[int], None] | None,
) -> None:
    told = told_in_turn(progress)
    target.put_bytes(b"")

    def copy(digest: Digest) -> None:
        source.verify(digest, used_by="the backup") if link else None
        make_folder(target.path(digest).parent)
        if not (link and link_file(source.path(digest), target.path(digest))):
            with source.path(digest).open("rb") as stream:
                target.put_stream(stream, expected=digest)
        told(target.size(digest))

    try:
        map_in_threads(copy, objects, threads=WRITERS)
    except FileNotFoundError as error:
        raise _damaged(source.root, [f"an object is missing: {error.filename}"]) from error


def _damaged(backup: Path, problems: list[str]) -> BackupDamaged:
    return BackupDamaged(
        f"the backup is damaged: {'; '.join(problems[:3])}",
        where=str(backup),
        hint="restore an older one: move the newest away, then restore again",
    )
