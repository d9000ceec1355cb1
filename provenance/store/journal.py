"""The journal: one small file per finished run, verdict and dataset, beside the vault's objects.

`<vault>/journal/runs/<run>`, `.../verdicts/<run>~<digest>` and `.../datasets/<name>@<version>`. An entry
holds what the vault's objects do not say: which record is a run's, what a dataset is called. It appears at
once and whole or not at all (written aside, synced, linked), and a run's never changes.
docs/record-format.md describes the files.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from provenance.digest import Digest, canonical_json, digest_bytes
from provenance.errors import DiskFull, RecordInvalid
from provenance.reader import Reader, WrongShape
from provenance.record import format_time, parse_time
from provenance.store.errors import StoreDamaged
from provenance.store.ids import is_run_id
from provenance.store.rows import Dataset, JudgedRun
from provenance.vault_files import sync_folder

FORMAT = 1
_FULL = (errno.ENOSPC, errno.EDQUOT)
_Entry = TypeVar("_Entry")


class Journal:
    """What was finished, in files. Safe under several writers and kill -9; a run's first entry stands."""

    def __init__(self, vault_root: Path) -> None:
        self.folder = vault_root / "journal"

    def add_run(self, run: str, record: Digest) -> Digest:
        """Say that `record` is the record of `run`; returns the one that stands: the first ever added."""
        path = self._run_path(run)
        _write_new(path, {"format": FORMAT, "run": run, "record": record})
        return _read(path, _run_entry)[1]

    def record_of(self, run: str) -> Digest | None:
        """The record of a finished run, None where the run is not finished."""
        path = self._run_path(run)
        return _read(path, _run_entry)[1] if path.exists() else None

    def add_verdict(self, judged: JudgedRun) -> None:
        """Say that a run was judged. Saying the same again changes nothing."""
        entry: dict[str, object] = {
            "format": FORMAT,
            "run": judged.run,
            "repeated_by": judged.repeated_by,
            "grade": str(judged.grade),
            "verdict": judged.verdict,
            "judged": format_time(judged.judged),
        }
        name = f"{_file_name(judged.run)}~{_hex(digest_bytes(canonical_json(entry)))[:16]}"
        _write_new(self.folder / "verdicts" / name, entry)

    def put_dataset(self, dataset: Dataset) -> None:
        """Describe one version of a dataset. All but its name, version and tree may be put right later."""
        path = self.folder / "datasets" / dataset.reference
        entry = _dataset_to_json(dataset)
        if _write_new(path, entry):
            return
        standing = _read(path, _dataset_entry)
        if standing.digest != dataset.digest:
            raise StoreDamaged(
                f"dataset {dataset.reference} is {standing.digest} in the journal: expected {dataset.digest}",
                where=str(path),
                hint="a version never changes its content: add it again, it becomes a new version",
            )
        _write_over(path, entry)

    def runs(self, problems: list[str] | None = None) -> Iterator[tuple[str, Digest]]:
        """All finished runs and their records, sorted by run. See `datasets` for `problems`."""
        return self._entries("runs", _run_entry, problems)

    def verdicts(self, problems: list[str] | None = None) -> Iterator[JudgedRun]:
        """All verdicts, sorted by run. See `datasets` for `problems`."""
        return self._entries("verdicts", _verdict_entry, problems)

    def datasets(self, name: str = "", *, problems: list[str] | None = None) -> Iterator[Dataset]:
        """All versions of the dataset `name`, or of all datasets.

        An entry that cannot be read raises `StoreDamaged`; where a list is given as `problems`, it is named
        there instead and left out.
        """
        found = self._entries("datasets", _dataset_entry, problems, f"{name}@" if name else "")
        return iter(sorted(found, key=lambda dataset: (dataset.name, dataset.version)))

    def is_empty(self) -> bool:
        """Whether nothing was ever finished here."""
        return not any(_names(self.folder / kind) for kind in ("runs", "verdicts", "datasets"))

    def _run_path(self, run: str) -> Path:
        return self.folder / "runs" / _file_name(run)

    def _entries(
        self,
        kind: str,
        parse: Callable[[Reader], _Entry],
        problems: list[str] | None,
        prefix: str = "",
    ) -> Iterator[_Entry]:
        folder = self.folder / kind
        for name in _names(folder):
            if not name.startswith(prefix):
                continue
            try:
                yield _read(folder / name, parse)
            except StoreDamaged as error:
                if problems is None:
                    raise
                problems.append(f"{error.where}: {error.message}")


def _names(folder: Path) -> list[str]:
    """The entries' file names, sorted; a name that begins with a dot is one somebody is still writing."""
    try:
        return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        return []


def _file_name(run: str) -> str:
    if not is_run_id(run):
        raise RecordInvalid(
            f"{run!r} is not a run's id: expected letters, digits and '-', as 20261120-154949-k3f9",
            hint="do not import this record: its run's name is not one Thaw gives",
        )
    return run


def _hex(digest: Digest) -> str:
    return digest.removeprefix("sha256:")


def _run_entry(reader: Reader) -> tuple[str, Digest]:
    return reader.text("run"), reader.digest("record")


def _verdict_entry(reader: Reader) -> JudgedRun:
    return JudgedRun(
        run=reader.text("run"),
        repeated_by=reader.text("repeated_by"),
        grade=reader.text("grade"),
        verdict=reader.digest("verdict"),
        judged=parse_time(reader.text("judged")),
    )


def _dataset_entry(reader: Reader) -> Dataset:
    return Dataset(
        name=reader.text("name"),
        version=reader.whole("version"),
        digest=reader.digest("tree"),
        path=Path(reader.text("path")),
        kept=reader.truth("kept"),
        files=reader.whole("files"),
        size=reader.whole("size"),
        added=parse_time(reader.text("added")),
        title=reader.text("title"),
        origin=reader.text("origin"),
        licence=reader.text("licence"),
    )


def _dataset_to_json(dataset: Dataset) -> dict[str, object]:
    return {
        "format": FORMAT,
        "name": dataset.name,
        "version": dataset.version,
        "tree": dataset.digest,
        "path": str(dataset.path),
        "kept": dataset.kept,
        "files": dataset.files,
        "size": dataset.size,
        "added": format_time(dataset.added),
        "title": dataset.title,
        "origin": dataset.origin,
        "licence": dataset.licence,
    }


def _read(path: Path, parse: Callable[[Reader], _Entry]) -> _Entry:
    try:
        with Reader(json.loads(path.read_bytes())) as reader:
            if reader.whole("format") != FORMAT:
                raise WrongShape(f"format {reader.whole('format')}: this Thaw reads format {FORMAT}")
            return parse(reader)
    except ValueError as error:  # no JSON, wrong shape, no time: each says what it found
        raise StoreDamaged(
            f"entry of the journal cannot be read: {error}",
            where=str(path),
            hint="restore the file from a backup or another vault, then rebuild the store",
        ) from error


def _write_new(path: Path, entry: Mapping[str, object]) -> bool:
    """Make the file unless there is one; says whether it was made."""
    try:
        with _written_aside(path, entry) as aside:
            os.link(aside, path)
    except FileExistsError:
        return False
    sync_folder(path.parent)
    return True


def _write_over(path: Path, entry: Mapping[str, object]) -> None:
    with _written_aside(path, entry) as aside:
        aside.replace(path)
    sync_folder(path.parent)


@contextmanager
def _written_aside(path: Path, entry: Mapping[str, object]) -> Iterator[Path]:
    """A synced file beside `path` with the entry in it; it is gone at the end, whatever happened."""
    aside = path.parent / f".{path.name[:150]}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_synced(aside, canonical_json(entry))
        yield aside
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DiskFull(
            "no space left to write down what was finished",
            where=str(path.parent),
            hint="free some space, then run it again",
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
