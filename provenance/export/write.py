"""Write an export: a document, a crate or a bag, as one file or as a folder. Whole, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from provenance.export.model import Export, ExportFormat, ExportRefused

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_STORED = (".deb", ".whl", ".gz", ".xz", ".zip", ".bz2", ".png", ".jpg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written: `file_name` and `media_type` are what an answer over HTTP says of it."""

    path: Path
    file_name: str
    media_type: str
    size: int


def export_run(export: Export, how: ExportFormat, target: Path) -> Exported:
    """Write the run as `how` to the new file `target`, a crate or bag zipped. The same run gives the same bytes."""
    _refuse_taken(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if how.has_bytes:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".crate-") as scratch:
                folder = Path(scratch) / "crate"
                _write_folder(export, how, folder)
                _zip(folder, temporary)
        else:
            temporary.write_bytes(export_document(export, how))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    name = how.file_name(export.record.run)
    return Exported(path=target, file_name=name, media_type=how.media_type, size=target.stat().st_size)


def export_folder(export: Export, how: ExportFormat, target: Path) -> None:
    """Write a crate or bag as the new folder `target`."""
    _refuse_taken(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".crate-") as scratch:
        folder = Path(scratch) / "crate"
        _write_folder(export, how, folder)
        folder.replace(target)


def export_document(export: Export, how: ExportFormat) -> bytes:
    """The bytes of a format that is one document."""
    return _DOCUMENTS[how](export)


def _prov_json(export: Export) -> bytes:
    from provenance.export.w3c import prov_json

    return prov_json(export)


def _prov_n(export: Export) -> bytes:
    from provenance.export.w3c import prov_n

    return prov_n(export)


def _prov_graph(export: Export) -> bytes:
    from provenance.export.graph import prov_graph

    return prov_graph(export)


def _ivoa(export: Export) -> bytes:
    from provenance.export.ivoa import ivoa_votable

    return ivoa_votable(export)


_DOCUMENTS: Mapping[ExportFormat, Callable[[Export], bytes]] = {
    ExportFormat.PROV_JSON: _prov_json,
    ExportFormat.PROV_N: _prov_n,
    ExportFormat.PROV_GRAPH: _prov_graph,
    ExportFormat.IVOA: _ivoa,
}


def _write_folder(export: Export, how: ExportFormat, folder: Path) -> None:
    from provenance.export.crate import write_crate

    write_crate(export, folder)
    for file in folder.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    if how is ExportFormat.BAGIT:
        from provenance.export.bag import make_bag

        make_bag(folder, export.record)


def _zip(folder: Path, target: Path) -> None:
    """A zip with fixed times and sorted names; what is compressed already is only stored."""
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _ZIP_TIME)
            entry.external_attr = 0o100644 << 16
            is_packed = file.suffix in _STORED
            entry.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
            size = file.stat().st_size
            with file.open("rb") as source, archive.open(entry, "w", force_zip64=size >= 1 << 31) as kept:
                shutil.copyfileobj(source, kept, 1 << 20)


def _refuse_taken(target: Path) -> None:
    if target.exists():
        raise ExportRefused(
            f"{target.name!r} is there already", where=str(target), hint="name a new file or folder"
        )
