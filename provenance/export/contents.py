"""Which bytes go with a crate: everything a record names, so that it can be repeated from the crate alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from provenance.digest import digest_file
from provenance.errors import DigestMismatch
from provenance.export.model import Bundled, Export
from provenance.record import RecordedInput

RECORD_PATH, LOCK_PATH = "record.json", "lock.json"
LOG_PATH, SCRIPT_PATH = "log.txt", "script"
IMAGE_PATH = "image.oci.tar"
RECIPE_FOLDER, INPUT_FOLDER, OUTPUT_FOLDER = "recipe", "inputs", "outputs"
ENVIRONMENT_FOLDER = "environment"
TREE_ENDING = ".tree.json"
_JSON, _PLAIN, _BYTES = "application/json", "text/plain", "application/octet-stream"


def list_contents(export: Export) -> tuple[Bundled, ...]:
    """Every file of the crate, by path. The record itself is among them."""
    found = [*_own(export), *_outputs(export), *_recipe(export)]
    for item in export.record.inputs:
        found += _input(export, item)
    found += export.bundle.environment
    if export.bundle.image is not None:
        found.append(export.bundle.image)
    return tuple(sorted(found, key=lambda part: part.path))


def check_contents(export: Export, contents: tuple[Bundled, ...]) -> None:
    """Hash every file on its way out; raises where one is missing, rotten or was changed."""
    run = export.record.run
    export.vault.verify_many(
        {
            part.digest: f"run {run}: {part.what}"
            for part in contents
            if part.source is None and part.path != RECORD_PATH
        }
    )
    for part in contents:
        if part.source is not None:
            _check_elsewhere(part, part.source)


def _check_elsewhere(part: Bundled, source: Path) -> None:
    found = digest_file(source)
    if found != part.digest:
        raise DigestMismatch(
            f"{part.what}: expected {part.digest}, found {found}",
            where=str(source),
            hint="restore the file; it is no longer the one the run was given",
        )


def source_of(export: Export, part: Bundled) -> Path:
    """Where the bytes of a file lie on this host."""
    return part.source or export.vault.path(part.digest)


def _own(export: Export) -> Iterator[Bundled]:
    record, vault = export.record, export.vault
    content = record.to_bytes()
    yield Bundled(
        path=RECORD_PATH,
        digest=record.digest,
        size=len(content),
        media_type=_JSON,
        what="the record of the run",
    )
    named = [(LOCK_PATH, record.lock, _JSON, "the lock: every byte the image is made of")]
    if record.job.script is not None:
        named.append((SCRIPT_PATH, record.job.script, _PLAIN, "the script as it was executed"))
    if record.log is not None:
        named.append((LOG_PATH, record.log, _PLAIN, "what the program printed"))
    for path, digest, media_type, what in named:
        yield Bundled(path=path, digest=digest, size=vault.size(digest), media_type=media_type, what=what)


def _outputs(export: Export) -> Iterator[Bundled]:
    for item in export.record.outputs:
        yield Bundled(
            path=f"{OUTPUT_FOLDER}/{item.path}",
            digest=item.digest,
            size=item.size,
            media_type=item.media_type,
            what=f"output {item.name}",
        )


def _recipe(export: Export) -> Iterator[Bundled]:
    """The recipe's files, where the vault has them: a run is repeated without, but read more easily with them."""
    digest, vault = export.record.recipe_digest, export.vault
    if not vault.has(digest):
        return
    yield Bundled(
        path=f"{RECIPE_FOLDER}{TREE_ENDING}",
        digest=digest,
        size=vault.size(digest),
        media_type=_JSON,
        what="list of the recipe's files",
    )
    for entry in vault.read_tree(digest).entries:
        yield Bundled(
            path=f"{RECIPE_FOLDER}/{entry.path}",
            digest=entry.digest,
            size=entry.size,
            media_type=_PLAIN if entry.path.endswith((".yaml", ".md", ".txt", ".sh")) else _BYTES,
            what=f"file of recipe {export.record.recipe}",
        )


def _input(export: Export, item: RecordedInput) -> Iterator[Bundled]:
    yield Bundled(
        path=f"{INPUT_FOLDER}/{item.name}{TREE_ENDING}",
        digest=item.digest,
        size=export.vault.size(item.digest),
        media_type=_JSON,
        what=f"list of the files of input {item.name}",
    )
    for entry in export.vault.read_tree(item.digest).entries:
        yield Bundled(
            path=f"{INPUT_FOLDER}/{item.name}/{entry.path}",
            digest=entry.digest,
            size=entry.size,
            media_type=_BYTES,
            what=f"input {item.name}, dataset {item.dataset}",
            source=None if export.vault.has(entry.digest) else export.bundle.references.get(entry.digest),
        )
