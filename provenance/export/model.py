"""What an export is made from beside the record: facts on the software, and the bytes that go with a crate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from provenance.digest import Digest
from provenance.errors import ThawError
from provenance.record import Record
from provenance.vault import Vault


class ExportRefused(ThawError):
    """A run cannot be exported as asked."""

    code = "export-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """One thing to cite for the software: `scheme` is doi, ascl or ads, `value` the bare identifier."""

    scheme: str
    value: str
    note: str = ""

    @property
    def url(self) -> str:
        """Where the identifier leads."""
        if self.scheme == "doi":
            return f"https://doi.org/{self.value}"
        if self.scheme == "ascl":
            return f"https://ascl.net/{self.value.removeprefix('ascl:')}"
        return f"https://ui.adsabs.harvard.edu/abs/{self.value}"

    @property
    def label(self) -> str:
        """The identifier as it is written in a text."""
        return f"{self.scheme}:{self.value.removeprefix(f'{self.scheme}:')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """What is known of the software a run executed.

    `known_from` says where the facts are from; empty where nothing but the record's own words is known: the
    recipe is gone, and neither record nor lock holds title, licence or citations.
    """

    name: str
    version: str
    title: str
    description: str = ""
    licence: str = ""
    homepage: str = ""
    citations: tuple[Cited, ...] = ()
    mission: tuple[str, ...] = ()
    known_from: str = ""

    @property
    def uri(self) -> str:
        """What names the software: its page, else a name that says it leads nowhere (RFC 2606)."""
        return self.homepage or f"https://thaw.invalid/recipe/{self.name}/{self.version}"


def bare_software(record: Record) -> Software:
    """The software as far as a record alone tells."""
    name, _, version = record.recipe.partition("/")
    return Software(name=name, version=version, title=name)


NOT_KNOWN = (
    "The recipe of this run is no longer here: its title, licence and citations are not known to this export."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundled:
    """A file that goes with a crate: an object of the vault, or a file elsewhere that must have this digest."""

    path: str
    digest: Digest
    size: int
    media_type: str
    what: str
    source: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """What a dataset is, in words."""

    title: str = ""
    origin: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What goes with a crate beside the run itself.

    `references` says where files of inputs lie that are not in the vault; `environment` is what the image is
    made of, `image` an OCI layout of it as one tar; `image_name` is what engines call it. `licence` and
    `organisation` are what whoever exports says of the crate.
    """

    references: Mapping[Digest, Path] = field(default_factory=dict)
    datasets: Mapping[Digest, DatasetFacts] = field(default_factory=dict)
    environment: tuple[Bundled, ...] = ()
    image: Bundled | None = None
    image_name: str = ""
    licence: str = ""
    organisation: str = ""
    organisation_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A finished run and all an export may look at."""

    record: Record
    vault: Vault
    software: Software
    bundle: Bundle = field(default_factory=Bundle)


class ExportFormat(StrEnum):
    """How a run leaves."""

    PROV_JSON = "prov-json"
    PROV_N = "prov-n"
    PROV_GRAPH = "prov-graph"
    IVOA = "ivoa"
    RO_CRATE = "ro-crate"
    BAGIT = "bagit"

    @property
    def media_type(self) -> str:
        """What the file is."""
        return _FILES[self][0]

    def file_name(self, run: str) -> str:
        """What the file is called."""
        return f"{run}{_FILES[self][1]}"

    @property
    def has_bytes(self) -> bool:
        """Whether the export carries the run's own bytes, and is a zip or a folder."""
        return self in (ExportFormat.RO_CRATE, ExportFormat.BAGIT)


_FILES: Mapping[ExportFormat, tuple[str, str]] = {
    ExportFormat.PROV_JSON: ("application/json", ".prov.json"),
    ExportFormat.PROV_N: ("text/provenance-notation; charset=utf-8", ".provn"),
    ExportFormat.PROV_GRAPH: ("image/svg+xml", ".prov.svg"),
    ExportFormat.IVOA: ("application/x-votable+xml", ".ivoa-prov.vot"),
    ExportFormat.RO_CRATE: ("application/zip", ".crate.zip"),
    ExportFormat.BAGIT: ("application/zip", ".bag.zip"),
}
