from __future__ import annotations

import bz2
import gzip
import lzma
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from provenance.compare import Comparison, Grade, compare_files

ERRORS_OF_SWS = Path(__file__).parents[2] / "data/compare/iso-sws/02400714_sws_err.fit"

Make = Callable[..., Path]


def compare(expected: Path, found: Path, **options: object) -> Comparison:
    return compare_files("fits", options, expected=expected, found=found)


def make_image(
    *, pixel: float = 274.0, date: str = "2026-01-01", exposure: float = 10.5, unit: str = "s"
) -> Any:
    image = fits.PrimaryHDU(np.arange(600, dtype="f4").reshape(20, 30))
    image.data[9, 4], image.data[0, 0] = pixel, np.nan
    image.header["DATE"] = date
    image.header["EXPTIME"] = (exposure, unit)
    return image


def make_events(**cells: Any) -> Any:
    arrays = np.empty(2, dtype=object)
    arrays[0], arrays[1] = np.array([1.0, 2.0]), np.array([3.0, 4.0, cells.get("varying", 5.0)])
    columns = [
        fits.Column("RATE", "E", array=[1.5, cells.get("rate", 3.5)]),
        fits.Column("MODE", "10A", array=["SCAN", cells.get("mode", "OFF")]),
        fits.Column("VARYING", "PD()", array=arrays),
        fits.Column("VECTOR", "3J", array=[[1, 2, 3], [4, 5, cells.get("vector", 6)]]),
        fits.Column("GOOD", "L", array=[True, cells.get("good", False)]),
        fits.Column("COUNTS", "J", bzero=2**31, array=np.array([1, cells.get("counts", 3)], dtype="u4")),
        fits.Column("VIS", "M", array=np.array([1 + 2j, cells.get("vis", 3)])),
    ]
    return fits.BinTableHDU.from_columns(columns, name="EVENTS")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    numbers = iter(range(100))

    def write(*hdus: Any, checksum: bool = False) -> Path:
        path = tmp_path / f"{next(numbers)}.fits"
        fits.HDUList(list(hdus)).writeto(path, checksum=checksum)
        return path

    return write


def test_the_same_bytes_are_identical_and_their_values_counted() -> None:
    comparison = compare(ERRORS_OF_SWS, ERRORS_OF_SWS)
    assert (comparison.grade, comparison.measures["values_compared"]) == (Grade.IDENTICAL, 3 * 48924)


def test_a_keyword_that_changed_is_named_with_both_values(make: Make) -> None:
    comparison = compare(make(make_image()), make(make_image(date="2026-02-02")))
    assert comparison.grade is Grade.DIFFERENT
    assert str(comparison.differences[0]) == (
        "HDU 0 (PRIMARY), keyword DATE: expected '2026-01-01', found '2026-02-02'"
    )


def test_ignored_keywords_leave_a_file_identical_and_are_named(make: Make) -> None:
    one = make(make_image(), make_events(), checksum=True)
    other = make(make_image(date="2026-02-02"), make_events(), checksum=True)
    comparison = compare(one, other, ignore_keywords=["DATE", "CHECKSUM", "DATASUM"])
    assert (comparison.grade, comparison.measures["hdus_compared"]) == (Grade.IDENTICAL, 2)
    assert comparison.explanation.startswith("identical but for ignored CHECKSUM, DATE; 2 HDUs, ")


def test_history_may_grow_where_it_is_ignored(make: Make) -> None:
    longer = make_image()
    longer.header["HISTORY"] = "made again"
    assert compare(make(make_image()), make(longer)).grade is Grade.DIFFERENT
    assert compare(make(make_image()), make(longer), ignore_keywords=["HIST*"]).grade is Grade.IDENTICAL


def test_comments_count_unless_ignored(make: Make) -> None:
    one, other = make(make_image()), make(make_image(unit="seconds"))
    assert str(compare(one, other).differences[0]) == (
        "HDU 0 (PRIMARY), comment of keyword EXPTIME: expected 's', found 'seconds'"
    )
    assert compare(one, other, ignore_comments=["EXPTIME"]).grade is Grade.IDENTICAL


def test_a_number_in_a_header_is_judged_within_tolerance(make: Make) -> None:
    one, other = make(make_image()), make(make_image(exposure=10.501))
    assert compare(one, other).grade is Grade.DIFFERENT
    comparison = compare(one, other, atol=0.001)
    assert comparison.grade is Grade.EQUIVALENT
    assert "keyword EXPTIME: expected 10.5, found 10.501 (+0.001, 0.0095 %)" in comparison.explanation


def test_a_pixel_is_named_as_fits_counts_it_and_nan_equals_nan(make: Make) -> None:
    comparison = compare(make(make_image()), make(make_image(pixel=275.5)))
    assert [str(difference) for difference in comparison.differences] == [
        "HDU 0 (PRIMARY), pixel (5, 10): expected 274.0, found 275.5 (+1.5, 0.55 %)"
    ]


def test_a_nan_where_a_number_was_is_within_no_tolerance(make: Make) -> None:
    comparison = compare(make(make_image()), make(make_image(pixel=np.nan)), atol=1e9, rtol=1e9)
    assert str(comparison.differences[0]) == "HDU 0 (PRIMARY), pixel (5, 10): expected 274.0, found nan"


def test_pixels_within_tolerance_are_equivalent_and_the_largest_is_named(tmp_path: Path) -> None:
    changed = tmp_path / "changed.fit"
    shutil.copy(ERRORS_OF_SWS, changed)
    with fits.open(changed, mode="update") as hdus:
        hdus[0].data[100, 1] += 0.5
        hdus[0].data[200, 2] += 0.25
    assert compare(ERRORS_OF_SWS, changed).differences_total == 2
    comparison = compare(ERRORS_OF_SWS, changed, atol=0.51)
    assert comparison.grade is Grade.EQUIVALENT
    assert "2 of 146824 values within tolerance; largest deviation at HDU 0 (PRIMARY), pixel (2, 101)" in (
        comparison.explanation
    )


@pytest.mark.parametrize(
    ("cell", "value", "said"),
    [
        ("rate", 3.75, "column RATE, row 2: expected 3.5, found 3.75 (+0.25, 7.1 %)"),
        ("mode", "SCAN", "column MODE, row 2: expected 'OFF', found 'SCAN'"),
        ("varying", 6.0, "column VARYING, row 2, element 3: expected 5.0, found 6.0 (+1, 20 %)"),
        ("vector", 9, "column VECTOR, row 2, element 3: expected 6, found 9 (+3, 50 %)"),
        ("good", True, "column GOOD, row 2: expected False, found True (+1)"),
        ("counts", 4, "column COUNTS, row 2: expected 3, found 4 (+1, 33 %)"),
        ("vis", 3 + 1j, "column VIS, row 2: expected (3+0j), found (3+1j) (+1, 33 %)"),
    ],
)
def test_a_changed_cell_is_named_by_column_and_row(make: Make, cell: str, value: object, said: str) -> None:
    one = make(fits.PrimaryHDU(), make_events())
    other = make(fits.PrimaryHDU(), make_events(**{cell: value}))
    assert [str(difference) for difference in compare(one, other).differences] == [f"HDU 1 (EVENTS), {said}"]


def test_an_array_of_another_length_is_a_difference(make: Make) -> None:
    def write(length: int) -> Path:
        arrays = np.empty(2, dtype=object)
        arrays[0], arrays[1] = np.arange(length, dtype="f8"), np.arange(9 - length, dtype="f8")
        column = fits.Column("MATRIX", "PD(9)", array=arrays)
        return make(fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column], name="RMF"))

    places = [difference.place for difference in compare(write(4), write(5)).differences]
    assert "HDU 1 (RMF), column MATRIX, row 1" in places


def test_a_table_with_fewer_rows_and_another_column_says_both(make: Make) -> None:
    one = fits.BinTableHDU.from_columns([fits.Column("RATE", "E", array=[1, 2, 3])], name="RATES")
    other = fits.BinTableHDU.from_columns([fits.Column("RATES", "E", array=[1, 2])], name="RATES")
    differences = compare(make(fits.PrimaryHDU(), one), make(fits.PrimaryHDU(), other)).differences
    said = [str(difference) for difference in differences]
    assert "HDU 1 (RATES): expected 3 rows, found 2 rows" in said
    assert "HDU 1 (RATES), column RATE: expected a column, found none (did you mean 'RATES'?)" in said


def test_64_bit_integers_are_compared_exactly(make: Make) -> None:
    one, other = (fits.PrimaryHDU(np.array([2**62 + last, -(2**62)])) for last in (1, 2))
    comparison = compare(make(one), make(other))
    assert str(comparison.differences[0]).startswith(f"HDU 0 (PRIMARY), pixel 1: expected {2**62 + 1}, ")
    assert comparison.measures["max_absolute"] == 1


def test_an_image_compressed_otherwise_is_equivalent_and_a_changed_pixel_is_not(make: Make) -> None:
    def compressed(kind: str, corner: int = 0) -> Path:
        pixels = np.arange(10_000, dtype="i4").reshape(100, 100)
        pixels[99, 99] += corner
        return make(fits.PrimaryHDU(), fits.CompImageHDU(pixels, name="SKY", compression_type=kind))

    comparison = compare(compressed("RICE_1"), compressed("GZIP_1"))
    assert (comparison.grade, comparison.measures["values_compared"]) == (Grade.EQUIVALENT, 10_000)
    assert "written otherwise: cards of HDU 1 (SKY), data of HDU 1 (SKY)" in comparison.explanation
    changed = compare(compressed("RICE_1"), compressed("RICE_1", corner=1))
    assert "HDU 1 (SKY), pixel (100, 100): expected 9999, found 10000 (+1, 0.01 %)" in changed.explanation


def test_an_image_of_another_shape_is_a_difference(make: Make) -> None:
    comparison = compare(make(fits.PrimaryHDU(np.zeros((2, 3)))), make(fits.PrimaryHDU(np.zeros((3, 2)))))
    assert "HDU 0 (PRIMARY), data: expected 3 x 2, found 2 x 3" in map(str, comparison.differences)


def test_an_hdu_more_is_named_unless_it_is_ignored(make: Make) -> None:
    one, other = make(make_image()), make(make_image(), fits.ImageHDU(np.zeros(3), name="MASK"))
    assert "HDU 1 (MASK): expected nothing, found ImageHDU" in compare(one, other).explanation
    assert compare(one, other, ignore_hdus=["mask"]).grade is Grade.IDENTICAL
    assert compare(one, other, ignore_hdus=[1]).grade is Grade.IDENTICAL


def test_a_rule_that_ignores_every_hdu_proves_nothing(make: Make) -> None:
    comparison = compare(make(make_image()), make(make_image(pixel=1.0)), ignore_hdus=["*"])
    assert comparison.grade is Grade.DIFFERENT
    assert comparison.explanation.startswith("nothing was compared: every HDU is ignored")


def test_cards_in_another_order_are_equivalent(make: Make) -> None:
    swapped = make_image()
    date = swapped.header.pop("DATE")
    swapped.header["DATE"] = date
    comparison = compare(make(make_image()), make(swapped))
    assert (comparison.grade, comparison.differences_total) == (Grade.EQUIVALENT, 0)
    assert comparison.explanation.endswith("written otherwise: cards of HDU 0 (PRIMARY)")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_file_is_equivalent_to_the_same_file_unpacked(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    packed = tmp_path / "errors.fit.packed"
    packed.write_bytes(pack(ERRORS_OF_SWS.read_bytes()))
    comparison = compare(ERRORS_OF_SWS, packed)
    assert (comparison.grade, comparison.measures["values_compared"]) == (Grade.EQUIVALENT, 3 * 48924)
    packed.write_bytes(packed.read_bytes()[:50_000])
    assert compare(ERRORS_OF_SWS, packed).explanation.startswith("the found file cannot be unpacked: ")


@pytest.mark.parametrize(
    ("keep", "words"),
    [
        (0, "the found file is empty"),
        (100, "the found file is not FITS: Empty or corrupt FITS file"),
        (500_000, "the found file is truncated: 92848 bytes of the data of HDU 0 (PRIMARY) are not there"),
    ],
)
def test_a_truncated_file_is_different_in_words(tmp_path: Path, keep: int, words: str) -> None:
    short = tmp_path / "short.fit"
    short.write_bytes(ERRORS_OF_SWS.read_bytes()[:keep])
    comparison = compare(ERRORS_OF_SWS, short)
    assert (comparison.grade, comparison.explanation) == (Grade.DIFFERENT, words)


def test_bytes_after_the_last_hdu_are_a_difference(tmp_path: Path) -> None:
    longer = tmp_path / "longer.fit"
    longer.write_bytes(ERRORS_OF_SWS.read_bytes() + b"xx")
    assert compare(ERRORS_OF_SWS, longer).explanation.endswith(
        "after the last HDU: expected 0 further bytes, found 2 further bytes"
    )


def test_what_is_no_fits_is_different_in_words(tmp_path: Path) -> None:
    text = tmp_path / "text.fit"
    text.write_text("t,power\n" * 1000)
    assert compare(ERRORS_OF_SWS, text).explanation.startswith("the found file is not FITS: No SIMPLE card")


def test_no_damaged_file_is_identical_and_none_is_a_stack_trace(make: Make, tmp_path: Path) -> None:
    sky = fits.CompImageHDU(np.arange(400, dtype="i4").reshape(20, 20), name="SKY", compression_type="RICE_1")
    sound = make(make_image(), make_events(), sky)
    damaged, chance = tmp_path / "damaged.fits", random.Random(67)
    for _ in range(60):
        content = bytearray(sound.read_bytes())
        for position in chance.sample(range(len(content)), 4):
            content[position] ^= 1 << chance.randrange(8)
        damaged.write_bytes(content)
        assert compare(sound, damaged).grade in (Grade.DIFFERENT, Grade.EQUIVALENT)
