"""A Jupyter notebook as JSON (nbformat 4), down to what a comparison looks at: cells and what they gave."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.compare.files import Unreadable
from provenance.digest import digest_bytes

# <Figure at 0x7f3a...>: another one in every run, and no result.
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b")
_IMAGE_TEXTS = ("image/svg+xml",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thing a cell gave, in one form: `what` is a stream, a media type or `error`; text or an image's digest."""

    what: str
    text: str
    is_image: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell: its number in the notebook (from 1), kind, source, and what it gave."""

    number: int
    kind: str
    source: str
    parts: tuple[Part, ...]


def read_notebook(file: Path, which: str) -> tuple[Cell, ...]:
    """The cells of a notebook; raises `Unreadable` where the file is none of nbformat 4."""
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the {which} file is no notebook: {error}") from error
    if not isinstance(content, dict) or content.get("nbformat") != 4:
        raise Unreadable(f"the {which} file is no notebook of nbformat 4")
    try:
        return tuple(_read_cell(number, cell) for number, cell in enumerate(content["cells"], 1))
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"the {which} file is no notebook as nbformat 4 has it: {error!r}") from error


def _read_cell(number: int, cell: Mapping[str, object]) -> Cell:
    outputs = cell["outputs"] if cell["cell_type"] == "code" else ()
    if not isinstance(outputs, Sequence):
        raise TypeError(f"the outputs of cell {number} are no list")
    return Cell(
        number=number,
        kind=str(cell["cell_type"]),
        source=_joined(cell["source"]),
        parts=(*_read_streams(outputs), *(part for one in outputs for part in _read_output(one))),
    )


def _read_streams(outputs: Sequence[Mapping[str, object]]) -> Iterator[Part]:
    """What was printed, whole: in how many pieces it came, and between what, is a matter of time."""
    streams: dict[str, list[str]] = {}
    for output in outputs:
        if output["output_type"] == "stream":
            streams.setdefault(str(output["name"]), []).append(_joined(output["text"]))
    for name, texts in sorted(streams.items()):
        yield Part(what=name, text=_without_addresses("".join(texts)))


def _read_output(output: Mapping[str, object]) -> Iterator[Part]:
    if output["output_type"] == "error":
        yield Part(what="error", text=f"{output['ename']}: {output['evalue']}")
    elif output["output_type"] != "stream":
        data = output["data"]
        if not isinstance(data, Mapping):
            raise TypeError("the data of an output are no mapping")
        for media_type, content in sorted(data.items()):
            yield _read_content(str(media_type), content)


def _read_content(media_type: str, content: object) -> Part:
    if media_type.endswith("json") and not isinstance(content, str):
        return Part(what=media_type, text=json.dumps(content, sort_keys=True, indent=1))
    text = _joined(content)
    if not media_type.startswith("image/"):
        return Part(what=media_type, text=_without_addresses(text))
    image = text.encode() if media_type in _IMAGE_TEXTS else _decoded(text)
    return Part(what=media_type, text=f"{len(image)} bytes, {digest_bytes(image)}", is_image=True)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error as error:
        raise TypeError(f"an image is not in base64: {error}") from error


def _joined(text: object) -> str:
    """A text, which nbformat may keep as a list of lines."""
    if isinstance(text, str):
        return text
    if not isinstance(text, Sequence) or not all(isinstance(line, str) for line in text):
        raise TypeError(f"expected a text, found {type(text).__name__}")
    return "".join(text)


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub("0x...", text)
