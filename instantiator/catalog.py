"""The catalogue: the published index of recipes, `catalog.yaml` beside them. Quick to read, made by `publish`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from provenance.errors import ThawError

FORMAT = 1
FILE = "catalog.yaml"
_LISTS = ("mission", "threads", "guis", "awaits", "missing")


class CatalogInvalid(ThawError):
    """The catalogue cannot be read."""

    code = "catalog-invalid"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class CatalogEntry:
    """One published version of one application.

    `awaits` says of each deposit nobody has handed in: which file, from where, how its bytes are known. `missing`
    are the facts a draft lacks. A retired entry leaves the lists, and can be run and verified all the same.
    """

    name: str
    version: str
    title: str
    mission: tuple[str, ...] = ()
    threads: tuple[str, ...] = ()
    guis: tuple[str, ...] = ()
    image: str | None = None
    awaits: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    retired: str = ""
    superseded_by: str = ""

    @property
    def id(self) -> str:
        """`name/version`."""
        return f"{self.name}/{self.version}"

    @property
    def can_run(self) -> bool:
        """Whether it can be opened and run: nothing is missing, nothing is waited for."""
        return not self.missing and not self.awaits

    @property
    def status(self) -> str:
        """Derived, never written down: `draft`, `awaiting deposit`, `built` (the lock pins an image) or `locked`.

        Whether it is `verified` is for the evidence to say: see `instantiator.curate.catalog_status`.
        """
        if self.missing:
            return "draft"
        if self.awaits:
            return "awaiting deposit"
        return "built" if self.image else "locked"

    def to_json(self) -> dict[str, object]:
        """The entry as data, with its status."""
        return {**asdict(self), "status": self.status}


def catalog_file(recipes_dir: Path) -> Path:
    """Where the catalogue of these recipes lies."""
    return recipes_dir.parent / FILE


def read_catalog(recipes_dir: Path) -> tuple[CatalogEntry, ...]:
    """The entries by name and version; none where nothing was published."""
    path = catalog_file(recipes_dir)
    if not path.is_file():
        return ()
    import yaml

    try:
        value = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        if not isinstance(value, Mapping) or value.get("format") != FORMAT:
            raise ValueError(f"expected a mapping with format: {FORMAT}")
        return tuple(sorted(_entry(item) for item in value["recipes"]))
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise CatalogInvalid(
            f"the catalogue cannot be read: {error}",
            where=str(path),
            hint="make it again: thaw recipe publish NAME",
        ) from error


def _entry(item: Any) -> CatalogEntry:
    if not isinstance(item, dict):
        raise TypeError(f"{item!r} is no entry")
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in item.items()
    }
    entry = CatalogEntry(**given)
    for name, value in asdict(entry).items():
        if not (
            _is_texts(value) if name in _LISTS else isinstance(value, str) or (name, value) == ("image", None)
        ):
            raise TypeError(f"{name} is {value!r}")
    return entry


def _is_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(text, str) for text in value)


def catalog_text(entries: tuple[CatalogEntry, ...]) -> str:
    """The catalogue as YAML, sorted, empty fields left out."""
    import yaml

    items = [{key: _plain(value) for key, value in asdict(e).items() if value} for e in sorted(entries)]
    head = "# The published recipes. Made by `thaw recipe publish`; do not edit.\n"
    body = yaml.safe_dump(
        {"format": FORMAT, "recipes": items}, sort_keys=False, width=110, allow_unicode=True
    )
    return head + body


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
