"""The data of two HDUs, pixel by pixel and cell by cell."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from provenance.compare.files import Unreadable
from provenance.compare.findings import KEPT, Findings
from provenance.compare.fits_files import OpenHdu, describe_hdu, read_quietly
from provenance.compare.lines import show_line
from provenance.compare.model import Difference
from provenance.compare.numbers import finite
from provenance.compare.options import Tolerance, suggest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[Any]  # of whatever type the file declares

ELEMENTS = 1 << 20
Place = Callable[[int], str]
"""Says where the n-th value of an array is, in the words of its file."""


def compare_data(one: OpenHdu, other: OpenHdu, tolerance: Tolerance, findings: Findings) -> int:
    """Compare the data of two HDUs; gives the number of values compared."""
    place = describe_hdu(one)
    try:
        if one.is_image and other.is_image:
            return _compare_images(place, (_load_image(one), _load_image(other)), tolerance, findings)
        if one.is_table and other.is_table:
            return _compare_tables(place, (_load_columns(one), _load_columns(other)), tolerance, findings)
    except Unreadable as error:
        findings.add(Difference(place=f"{place}, data", expected="readable data", found=error.message))
        return 0
    kinds = (one.kind, other.kind) if one.kind != other.kind else ("the same bytes", "other bytes")
    findings.add(Difference(place=f"{place}, data", expected=kinds[0], found=kinds[1]))
    return 0


def _load_image(hdu: OpenHdu) -> Any:
    return read_quietly(lambda: hdu.hdu.data, f"the image of {describe_hdu(hdu)}")


def _load_columns(hdu: OpenHdu) -> dict[str, Any]:
    place = describe_hdu(hdu)
    names = read_quietly(lambda: tuple(hdu.hdu.columns.names), f"the columns of {place}")
    return {
        name: read_quietly(partial(_load_column, hdu, index), f"column {name} of {place}")
        for index, name in enumerate(names)
    }


def _load_column(hdu: OpenHdu, index: int) -> Any:
    return hdu.hdu.data.field(index)


def count_values(hdu: OpenHdu) -> int:
    """The number of pixels of an image or of values of a table; 0 where they cannot be read."""
    try:
        if hdu.is_image:
            return math.prod(hdu.hdu.shape) if hdu.hdu.shape else 0
        if hdu.is_table:
            return sum(_count_cells(column) for column in _load_columns(hdu).values())
    except Unreadable:
        return 0
    return 0


def _count_cells(column: Any) -> int:
    return int(column.size) if column.dtype != object else sum(len(cell) for cell in column)


def _compare_images(place: str, images: tuple[Any, Any], tolerance: Tolerance, findings: Findings) -> int:
    import numpy as np

    shapes = [None if image is None else image.shape for image in images]
    if shapes[0] != shapes[1] or images[0] is None:
        sizes = ["no data" if shape is None else " x ".join(map(str, reversed(shape))) for shape in shapes]
        if sizes[0] != sizes[1]:
            findings.add(Difference(place=f"{place}, data", expected=sizes[0], found=sizes[1]))
        return 0

    def name_pixel(index: int) -> str:
        pixel = [str(int(axis) + 1) for axis in reversed(np.unravel_index(index, images[0].shape))]
        return f"{place}, pixel " + (f"({', '.join(pixel)})" if len(pixel) > 1 else pixel[0])

    return compare_arrays(images[0].reshape(-1), images[1].reshape(-1), (tolerance, findings), name_pixel)


def _compare_tables(
    place: str, tables: tuple[dict[str, Any], dict[str, Any]], tolerance: Tolerance, findings: Findings
) -> int:
    one, other = tables
    rows = [len(next(iter(table.values()), ())) for table in tables]
    if rows[0] != rows[1]:
        findings.add(Difference(place=place, expected=f"{rows[0]} rows", found=f"{rows[1]} rows"))
    compared = 0
    for name, column in one.items():
        if name in other:
            cells = column[: min(rows)], other[name][: min(rows)]
            compared += _compare_columns(f"{place}, column {name}", cells, tolerance, findings)
        else:
            found = f"none{suggest(name, other)}"
            findings.add(Difference(place=f"{place}, column {name}", expected="a column", found=found))
    for name in [name for name in other if name not in one]:
        findings.add(Difference(place=f"{place}, column {name}", expected=None, found="a column"))
    return compared


def _compare_columns(place: str, cells: tuple[Any, Any], tolerance: Tolerance, findings: Findings) -> int:
    import numpy as np

    one, other = cells
    if one.dtype == object or other.dtype == object:
        return _compare_varying(place, cells, tolerance, findings)
    if one.shape != other.shape:
        sizes = [f"{math.prod(side.shape[1:])} values in a cell" for side in cells]
        findings.add(Difference(place=place, expected=sizes[0], found=sizes[1]))
        return 0
    per_cell = math.prod(one.shape[1:])

    def name_cell(index: int) -> str:
        row = f"{place}, row {index // per_cell + 1}"
        return row if per_cell == 1 else f"{row}, element {index % per_cell + 1}"

    flat = np.asarray(one).reshape(-1), np.asarray(other).reshape(-1)
    return compare_arrays(flat[0], flat[1], (tolerance, findings), name_cell)


def _compare_varying(place: str, cells: tuple[Any, Any], tolerance: Tolerance, findings: Findings) -> int:
    """Compare a column of arrays of varying length: rows of one length are compared, others noted."""
    import numpy as np

    one, other = cells
    if one.dtype != other.dtype:
        findings.add(Difference(place=place, expected=_name_kind(one), found=_name_kind(other)))
        return 0
    rows = []
    for row, (left, right) in enumerate(zip(one, other, strict=True)):
        if len(left) == len(right):
            rows.append(row)
        else:
            sizes = f"{len(left)} values", f"{len(right)} values"
            findings.add(Difference(place=f"{place}, row {row + 1}", expected=sizes[0], found=sizes[1]))
    ends = np.cumsum([len(one[row]) for row in rows])
    if not rows or not ends[-1]:
        return 0

    def name_cell(index: int) -> str:
        number = int(np.searchsorted(ends, index, side="right"))
        start = int(ends[number - 1]) if number else 0
        return f"{place}, row {rows[number] + 1}, element {index - start + 1}"

    joined = [np.concatenate([np.asarray(side[row]).reshape(-1) for row in rows]) for side in cells]
    return compare_arrays(joined[0], joined[1], (tolerance, findings), name_cell)


def _name_kind(column: Any) -> str:
    return "arrays of varying length" if column.dtype == object else f"values of type {column.dtype}"


def compare_arrays(one: Array, other: Array, judged: tuple[Tolerance, Findings], place: Place) -> int:
    """Compare two flat arrays of one length, a part at a time; NaN equals NaN. Gives the number of values."""
    words = one.dtype.kind in "SU", other.dtype.kind in "SU"
    if words[0] != words[1]:
        judged[1].add(Difference(place=place(0), expected=_name_kind(one), found=_name_kind(other)))
        return 0
    for start in range(0, one.size, ELEMENTS):
        parts = one[start : start + ELEMENTS], other[start : start + ELEMENTS]
        compare = _compare_words if words[0] else _compare_numbers
        compare(parts, judged, partial(_shift, place, start))
    return one.size


def _shift(place: Place, start: int, index: int) -> str:
    return place(start + index)


def _compare_words(parts: tuple[Array, Array], judged: tuple[Tolerance, Findings], place: Place) -> None:
    import numpy as np

    one, other = (np.char.rstrip(part) for part in parts)
    indices = np.flatnonzero(one != other)
    for index in map(int, indices[:KEPT]):
        shown = [show_line(_to_text(side[index])) for side in (one, other)]
        judged[1].add(Difference(place=place(index), expected=shown[0], found=shown[1]))
    judged[1].count(more=max(0, len(indices) - KEPT))


def _to_text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _compare_numbers(parts: tuple[Array, Array], judged: tuple[Tolerance, Findings], place: Place) -> None:
    import numpy as np

    tolerance, findings = judged
    one, other = parts
    unequal = (one != other) & ~((one != one) & (other != other))  # NaN alone is not itself
    indices = np.flatnonzero(unequal)
    if not indices.size:
        return
    left, right = one[indices], other[indices]
    with np.errstate(all="ignore"):
        deviations = _measure_deviations(left, right)
        size = np.abs(left).astype(np.float64)
        within = np.isfinite(deviations) & (deviations <= tolerance.atol + tolerance.rtol * size)
        relative = np.where(size > 0, deviations / size, np.nan)
    off = np.flatnonzero(~within)

    def describe(number: int) -> Difference:
        where = place(int(indices[number]))
        return _describe_pair(where, left[number], right[number])

    for number in map(int, off[:KEPT]):
        findings.add(describe(number))
    findings.count(more=max(0, len(off) - KEPT))
    findings.tolerated += len(indices) - len(off)
    for sizes in (deviations, relative):
        if np.isfinite(sizes).any():
            findings.note_size(describe(int(np.argmax(np.where(np.isfinite(sizes), sizes, -1)))))


def _measure_deviations(left: Array, right: Array) -> npt.NDArray[np.float64]:
    import numpy as np

    if left.dtype.kind in "iu" and left.dtype.kind == right.dtype.kind:
        # In 64 bits modulo 2**64, larger minus smaller is exact, also where the plain difference overflows.
        larger, smaller = np.maximum(left, right), np.minimum(left, right)
        exact: npt.NDArray[np.uint64] = larger.astype(np.uint64) - smaller.astype(np.uint64)
        return exact.astype(np.float64)
    if left.dtype.kind == "b":
        unequal: npt.NDArray[np.float64] = (left != right).astype(np.float64)
        return unequal
    wide = np.complex128 if "c" in (left.dtype.kind, right.dtype.kind) else np.float64
    deviations: npt.NDArray[np.float64] = np.abs(right.astype(wide) - left.astype(wide))
    return deviations


def _describe_pair(place: str, left: Any, right: Any) -> Difference:
    one, other = left.item(), right.item()
    is_real = not isinstance(one, (bool, complex)) and not isinstance(other, (bool, complex))
    deviation = float(other - one) if is_real else float(abs(other - one))
    return Difference(
        place=place,
        expected=str(left),
        found=str(right),
        absolute=finite(deviation),
        relative=finite(abs(deviation) / abs(one)) if one else None,
    )
