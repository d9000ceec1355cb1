"""Leave the house: a record as W3C PROV, IVOA provenance, RO-Crate, BagIt or a citation (docs/provenance-export.md)."""

from provenance.export.cite import CitationStyle, cite_run
from provenance.export.model import (
    Bundle,
    Bundled,
    Cited,
    DatasetFacts,
    Export,
    ExportFormat,
    ExportRefused,
    Software,
    bare_software,
)
from provenance.export.write import Exported, export_document, export_folder, export_run

__all__ = [
    "Bundle",
    "Bundled",
    "CitationStyle",
    "Cited",
    "DatasetFacts",
    "Export",
    "ExportFormat",
    "ExportRefused",
    "Exported",
    "Software",
    "bare_software",
    "cite_run",
    "export_document",
    "export_folder",
    "export_run",
]
