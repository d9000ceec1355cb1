"""What a file looks like, without taking it home: FITS images and tables, PNG, text. Bounded in time and memory."""

from __future__ import annotations

import base64
import csv
import io
import math
import struct
import warnings
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO

from provenance.errors import ThawError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TEXT_SHOWN = 64 * 1024
ROWS_SHOWN = 50
COLUMNS_SHOWN = 20
SIDE = 800
PIXEL_LIMIT = 100_000_000
PICTURE_LIMIT = 8 * 1024**2
FITS_LIMIT = 2 * 1024**3
_PNG = b"\x89PNG\r\n\x1a\n"


class PreviewImpossible(ThawError):
    """A file cannot be shown here; it can be downloaded."""

    code = "preview-impossible"


def preview_file(stream: BinaryIO, name: str) -> dict[str, object]:
    """`kind` is image, table or text, with what belongs to it. Raises `PreviewImpossible` saying why."""
    start = stream.read(TEXT_SHOWN + 1)
    if start.startswith(_PNG):
        return _picture(start + stream.read(PICTURE_LIMIT))
    if start.startswith((b"SIMPLE  =", b"\x1f\x8b")) and _is_fits_name(name, start):
        stream.seek(0)
        return _fits(stream)
    if b"\0" in start:
        raise PreviewImpossible("this file is binary: there is no preview of it", hint="download it")
    return _text(start, name)


def _is_fits_name(name: str, start: bytes) -> bool:
    return start.startswith(b"SIMPLE") or name.lower().endswith((".fits.gz", ".fit.gz", ".fts.gz"))


def _picture(content: bytes) -> dict[str, object]:
    if len(content) > PICTURE_LIMIT:
        raise PreviewImpossible("this picture is larger than 8 MiB", hint="download it")
    return {"kind": "image", "png": base64.b64encode(content).decode(), "caption": "PNG picture"}


def _text(start: bytes, name: str) -> dict[str, object]:
    text = start[:TEXT_SHOWN].decode(errors="replace")
    is_cut = len(start) > TEXT_SHOWN
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    is_table = name.lower().endswith((".csv", ".tsv")) or _looks_like_table(lines)
    if is_table and lines:
        sign = "\t" if "\t" in lines[0] else ","
        rows = list(csv.reader(lines[: ROWS_SHOWN + 1], delimiter=sign))
        if min(len(row) for row in rows) > 1:
            return {
                "kind": "table",
                "header": rows[0][:COLUMNS_SHOWN],
                "rows": [row[:COLUMNS_SHOWN] for row in rows[1:]],
                "caption": f"the first {len(rows) - 1} rows" + (" of more" if len(lines) > len(rows) else ""),
            }
    caption = f"the first {TEXT_SHOWN // 1024} KiB" if is_cut else f"{len(start)} bytes of text"
    return {"kind": "text", "text": text, "caption": caption}


def _looks_like_table(lines: list[str]) -> bool:
    counts = {line.count(",") for line in lines[:20]}
    return len(lines) > 1 and len(counts) == 1 and counts.pop() >= 2


def _fits(stream: BinaryIO) -> dict[str, object]:
    from astropy.io import fits

    stream.seek(0, io.SEEK_END)
    if stream.tell() > FITS_LIMIT:
        raise PreviewImpossible("this FITS file is larger than 2 GiB", hint="open it in a session")
    stream.seek(0)
    try:
        with warnings.catch_warnings(action="ignore"), fits.open(stream, memmap=False) as units:
            for number, unit in enumerate(units):
                if getattr(unit, "is_image", False) and unit.header.get("NAXIS", 0) >= 2:
                    _refuse_huge(unit.header)
                    return _fits_image(unit, number)
                if isinstance(unit, (fits.BinTableHDU, fits.TableHDU)):
                    return _fits_table(unit, number)
            header = repr(units[0].header)[:TEXT_SHOWN]
            return {
                "kind": "text",
                "text": header,
                "caption": "FITS header; there is no image or table in it",
            }
    except (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, zlib.error) as error:
        raise PreviewImpossible(f"this FITS file cannot be read: {error}", hint="download it") from error


def _refuse_huge(header: Mapping[str, int]) -> None:
    """A few bytes of gzip may say they are a picture of any size: ask the header first."""
    pixels = math.prod(header.get(f"NAXIS{axis + 1}", 0) for axis in range(header.get("NAXIS", 0)))
    if pixels > PIXEL_LIMIT:
        raise PreviewImpossible(f"this image has {pixels:,} pixels", hint="open it in a session")


def _fits_image(unit: object, number: int) -> dict[str, object]:
    import numpy as np

    data = np.asarray(getattr(unit, "data"), dtype=np.float64)  # noqa: B009  # astropy has no types here
    while data.ndim > 2:
        data = data[0]
    shape = data.shape
    if not data.size:
        raise PreviewImpossible("the image in this FITS file is empty", hint="download it")
    factor = max(1, -(-max(shape) // SIDE))
    shrunk = data[::factor, ::factor]
    finite = shrunk[np.isfinite(shrunk)]
    low, high = np.percentile(finite, (1, 99.7)) if finite.size else (0.0, 1.0)
    if high <= low:
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    scaled = np.clip((np.nan_to_num(shrunk, nan=low) - low) / max(high - low, 1e-300), 0, 1)
    grey = (np.arcsinh(10 * scaled) / np.arcsinh(10) * 255).astype(np.uint8)[::-1]
    caption = f"HDU {number}, {shape[1]} x {shape[0]} pixels, {low:.6g} to {high:.6g}, asinh"
    return {"kind": "image", "png": base64.b64encode(encode_png(grey)).decode(), "caption": caption}


def _fits_table(unit: object, number: int) -> dict[str, object]:
    data = getattr(unit, "data")  # noqa: B009  # astropy has no types here
    names = list(data.names)[:COLUMNS_SHOWN]
    rows = [[str(data[name][row])[:60] for name in names] for row in range(min(ROWS_SHOWN, len(data)))]
    caption = f"HDU {number}, {len(data)} rows, {len(data.names)} columns"
    return {"kind": "table", "header": names, "rows": rows, "caption": caption}


def encode_png(grey: NDArray[np.uint8]) -> bytes:
    """An 8-bit greyscale picture as PNG; Thaw needs no imaging library for it."""
    height, width = grey.shape
    raw = b"".join(b"\0" + row.tobytes() for row in grey)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(raw, 6)), (b"IEND", b""))
    return _PNG + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
