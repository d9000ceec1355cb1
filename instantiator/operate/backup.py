"""Back up store and vault while the service runs, so that everything a record names is in the backup.

Thaw writes an object first, then the journal's entry that names it, then the row of the index. A backup reads the
other way round: index, drafts, journal, objects. Whatever was read names only what was there before, hence what
is read after it; objects are never deleted.

A backup is a folder: `vault/` holds the objects of all backups made into it, each once, and each backup is a folder
beside it, `<time>/`, which appears under this name when it is whole. docs/operations.md describes the files.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from instantiator import __version__
from instantiator.users.database import UsersFile
from provenance.digest import Digest, hash_files, map_in_threads, told_in_turn
from provenance.errors import DigestMismatch, ThawError
from provenance.record import format_time
from provenance.store.database import Database
from provenance.vault import WRITERS, Vault
from provenance.vault_files import link_file, make_folder, sync_folder

FORMAT = 1
PARTIAL = ".partial"
MANIFEST = "backup.json"
STORE, USERS, JOURNAL, DRAFTS, OBJECTS = (
    "store.sqlite",
    "users.sqlite",
    "journal.tar",
    "runs.tar",
    "objects.txt",
)
_DRAFT_FILES = ("draft.json", "events.jsonl")


class BackupRefused(ThawError):
    """The folder is not one a backup can be made into, or restored to."""

    code = "backup-refused"


class BackupBusy(ThawError):
    """Another backup is being made into the same folder."""

    code = "backup-busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The files of a state folder that are backed up."""

    root: Path

    @property
    def vault(self) -> Path:
        """Objects and journal."""
        return self.root / "vault"

    @property
    def store(self) -> Path:
        """The index of runs."""
        return self.root / STORE

    @property
    def users(self) -> Path:
        """Users, tokens and the audit log."""
        return self.root / USERS

    @property
    def runs(self) -> Path:
        """A folder for each run."""
        return self.root / "runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What a backup holds. `added` counts the objects that were new in its folder; `problems` is what is not in it."""

    path: Path
    objects: int
    size: int
    added: int
    added_size: int
    journal: int
    drafts: int
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Keys: path, objects, bytes, added, added_bytes, journal, drafts, problems."""
        return {
            "path": str(self.path),
            "objects": self.objects,
            "bytes": self.size,
            "added": self.added,
            "added_bytes": self.added_size,
            "journal": self.journal,
            "drafts": self.drafts,
            "problems": list(self.problems),
        }


def create_backup(
    home: Home,
    folder: Path,
    *,
    now: datetime,
    link: bool = False,
    progress: Callable[[int], None] | None = None,
) -> BackupReport:
    """Make a backup of `home` in `folder`, where earlier ones may be: only new objects are copied.

    `link` makes hard links of objects where both are on one disk: quick, and no help if that disk dies. An object
    that is rotten is left out and named. Raises `BackupRefused`, `BackupBusy` and what reading and writing may.
    """
    _refuse_strange(home, folder)
    with _alone(folder):
        for partial in folder.glob(f"*{PARTIAL}"):
            shutil.rmtree(partial)
        partial = folder / f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}{PARTIAL}"
        partial.mkdir(mode=0o700)
        _copy_databases(home, partial)
        drafts = _pack(partial / DRAFTS, _draft_files(home.runs), home.runs)
        journal = _pack(partial / JOURNAL, _journal_files(home.vault), home.vault)
        objects = tuple(Vault(home.vault).digests())
        copied = _copy_objects(
            Vault(home.vault), Vault(folder / "vault"), objects, link=link, progress=progress
        )
        left_out = {digest for digest, problem, _ in copied if problem}
        kept = [digest for digest in objects if digest not in left_out]
        (partial / OBJECTS).write_text("".join(f"{digest}\n" for digest in kept))
        report = BackupReport(
            path=partial.with_name(partial.name.removesuffix(PARTIAL)),
            objects=len(kept),
            size=sum(Vault(home.vault).size(digest) for digest in kept),
            added=len(copied) - len(left_out),
            added_size=sum(size for _, problem, size in copied if not problem),
            journal=journal,
            drafts=drafts,
            problems=tuple(problem for _, problem, _ in copied if problem),
        )
        _write_manifest(partial, report, now)
        partial.rename(report.path)
        sync_folder(folder)
    return report


def write_archive(
    home: Home, file: Path, scratch: Path, *, now: datetime, progress: Callable[[int], None] | None = None
) -> BackupReport:
    """A backup as one tar file. It has its name once it is whole; a killed one is `<name>.partial`."""
    folder = scratch / f"backup-{os.getpid()}"
    scratch.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + PARTIAL)
    try:
        report = create_backup(home, folder, now=now, link=True, progress=progress)
        with tarfile.open(partial, "w") as archive:
            partial.chmod(0o600)
            for name in ("vault", report.path.name):
                archive.add(folder / name, arcname=name)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(file)
        sync_folder(file.absolute().parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return replace(report, path=file)


def _refuse_strange(home: Home, folder: Path) -> None:
    if not home.vault.is_dir():
        raise BackupRefused(
            "there is nothing to back up: the state folder holds no vault", where=str(home.root)
        )
    if folder.resolve().is_relative_to(home.root.resolve() / "vault"):
        raise BackupRefused(
            "the backup would lie in the vault itself", where=str(folder), hint="name a folder elsewhere"
        )
    strange = [path.name for path in folder.iterdir() if not _is_ours(path)] if folder.is_dir() else []
    if strange:
        raise BackupRefused(
            f"the folder holds something else than backups: {', '.join(sorted(strange)[:3])}",
            where=str(folder),
            hint="name a new folder, or one with earlier backups",
        )


def _is_ours(path: Path) -> bool:
    is_backup = path.name.removesuffix(PARTIAL)[-1:] == "Z" and path.name[:1].isdigit()
    return path.name in ("vault", "lock") or is_backup


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # it holds what users.sqlite holds
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupBusy(
                "another backup is being made into this folder", where=str(folder), hint="wait for its end"
            ) from error
        yield


def _copy_databases(home: Home, partial: Path) -> None:
    with closing(Database(home.store)) as store:
        store.copy_to(partial / STORE)
    if home.users.is_file():
        (partial / USERS).touch(mode=0o600)
        with closing(UsersFile(home.users)) as users:
            users.copy_to(partial / USERS)


def _draft_files(runs: Path) -> Iterator[Path]:
    """What a run that waits or is executed needs to be executed after a restore."""
    for draft in sorted(runs.glob("*/draft.json")):
        yield from (draft.with_name(name) for name in _DRAFT_FILES)


def _journal_files(vault: Path) -> Iterator[Path]:
    return (path for path in sorted((vault / "journal").glob("*/*")) if not path.name.startswith("."))


def _pack(target: Path, files: Iterable[Path], root: Path) -> int:
    """A tar of files that may go while they are read: a run that ended meanwhile is in the journal instead."""
    packed = 0
    with tarfile.open(target, "w") as archive:
        for path in files:
            try:
                with path.open("rb") as content:
                    member = archive.gettarinfo(arcname=path.relative_to(root).as_posix(), fileobj=content)
                    archive.addfile(member, content)
            except FileNotFoundError:
                continue
            packed += 1
    return packed


def _copy_objects(
    source: Vault,
    target: Vault,
    objects: Iterable[Digest],
    *,
    link: bool,
    progress: Callable[[int], None] | None,
) -> list[tuple[Digest, str, int]]:
    """Copy what is not there yet, verified: for each its digest, what is wrong with it, and its size."""
    told = told_in_turn(progress)
    target.put_bytes(b"")  # so that the folder is a vault, also where it stays empty

    def copy(digest: Digest) -> tuple[Digest, str, int]:
        try:
            size = _link(source, target, digest) if link else None
            if size is None:
                with source.path(digest).open("rb") as stream:
                    _, size = target.put_stream(stream, expected=digest)
        except DigestMismatch as error:
            return digest, f"{digest}: {error.message}", 0
        except OSError as error:
            return digest, f"{digest}: {error.strerror}", 0
        told(size)
        return digest, "", size

    new = [digest for digest in objects if not target.has(digest)]
    return map_in_threads(copy, new, threads=WRITERS)


def _link(source: Vault, target: Vault, digest: Digest) -> int | None:
    """Hard-link an object that is sound; None where the disk does not link, or the object is not sound."""
    state = source.look_at(digest)
    path = target.path(digest)
    make_folder(path.parent)
    return state.size if state.is_sound() and link_file(source.path(digest), path) else None


def _write_manifest(partial: Path, report: BackupReport, now: datetime) -> None:
    """The list of the backup's own files with their digests, last of all."""
    files = sorted(partial.iterdir())
    for path in files:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    hashed = zip(files, hash_files(files), strict=True)
    manifest = {
        "format": FORMAT,
        "made": format_time(now),
        "thaw": __version__,
        "files": {path.name: {"digest": digest, "size": size} for path, (digest, size) in hashed},
        **{key: value for key, value in report.to_json().items() if key != "path"},
    }
    with (partial / MANIFEST).open("w") as manifest_file:
        json.dump(manifest, manifest_file, indent=1)
        manifest_file.flush()
        os.fsync(manifest_file.fileno())
