"""What a preserved recipe says of itself: `thaw-preserve.json`, format 1 (docs/preservation.md)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from instantiator.curate.preserve.errors import PreserveRefused
from provenance.digest import Digest, canonical_json, parse_digest
from provenance.errors import DigestMismatch
from provenance.reader import Reader, WrongShape

FORMAT = 1
FILE = "thaw-preserve.json"
_RECIPE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*/[0-9A-Za-z][0-9A-Za-z._+~-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One object of the vault that goes with the recipe, and in words what it is."""

    digest: Digest
    size: int
    what: str

    @property
    def path(self) -> str:
        """Where it lies among the files."""
        return object_path(self.digest)


def object_path(digest: Digest) -> str:
    """Where an object lies among the files."""
    return f"objects/{digest[7:9]}/{digest[9:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A recipe with all its bytes.

    `run` is the newest verified run, empty where there is none; `records` are its record and that of its repeat.
    """

    recipe: str
    recipe_digest: Digest
    lock: Digest
    image: str
    run: str
    records: tuple[Digest, ...]
    verdict: Digest | None
    objects: tuple[Kept, ...]

    @property
    def size(self) -> int:
        """The bytes of all objects."""
        return sum(item.size for item in self.objects)

    def to_bytes(self) -> bytes:
        """The index as canonical JSON."""
        return canonical_json(
            {
                "format": FORMAT,
                "recipe": self.recipe,
                "recipe_digest": self.recipe_digest,
                "lock": self.lock,
                "image": self.image,
                "run": self.run,
                "records": list(self.records),
                "verdict": self.verdict,
                "objects": [
                    {"digest": item.digest, "size": item.size, "what": item.what} for item in self.objects
                ],
            }
        )


def read_index(content: Path) -> Index:
    """The index among the files of an object or bag; raises `PreserveRefused` where there is none of this format."""
    file = content / FILE
    try:
        return _index(json.loads(file.read_bytes()))
    except (OSError, ValueError, DigestMismatch) as error:
        raise PreserveRefused(
            f"its {FILE} cannot be read: {error}",
            where=str(file),
            hint="it is no preserved recipe, or of a newer Thaw: export it again, or update Thaw",
        ) from error


def _index(value: object) -> Index:
    with Reader(value) as read:
        if read.whole("format") != FORMAT:
            raise WrongShape(f"format {read.whole('format')}: expected {FORMAT}")
        return Index(
            recipe=_recipe(read.text("recipe")),
            recipe_digest=read.digest("recipe_digest"),
            lock=read.digest("lock"),
            image=read.text("image"),
            run=read.text("run"),
            records=tuple(parse_digest(text) for text in read.texts("records")),
            verdict=read.optional(read.digest, "verdict"),
            objects=tuple(_kept(item) for item in read.mappings("objects")),
        )


def _recipe(text: str) -> str:
    """A name that leads nowhere else than to a recipe's folder."""
    if not _RECIPE.fullmatch(text):
        raise WrongShape(f"recipe {text!r}: expected NAME/VERSION")
    return text


def _kept(value: object) -> Kept:
    with Reader(value) as read:
        return Kept(digest=read.digest("digest"), size=read.whole("size"), what=read.text("what"))
