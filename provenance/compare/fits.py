"""Rule `fits`: the same HDUs with the same keywords and values, within a stated tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provenance.compare.files import Unreadable, check_files, first_difference, same_bytes
from provenance.compare.findings import Findings, count_of, different, nothing_compared, say_unreadable
from provenance.compare.fits_arrays import compare_data, count_values
from provenance.compare.fits_files import (
    OpenFits,
    OpenHdu,
    describe_hdu,
    have_same_bytes,
    have_same_tail,
    open_fits,
)
from provenance.compare.fits_headers import FitsOptions, compare_headers, is_named
from provenance.compare.model import Comparison, Difference, Grade
from provenance.compare.options import OptionReader


class FitsRule:
    """Two FITS files are identical where every HDU has the same cards and data, but for ignored keywords."""

    def parse_options(self, options: Mapping[str, object]) -> FitsOptions:
        """Read `ignore_keywords`, `ignore_comments`, `ignore_hdus`, `rtol` and `atol`."""
        reader = OptionReader("fits", options)
        parsed = FitsOptions(
            ignore_keywords=_upper(reader.words("ignore_keywords")),
            ignore_comments=_upper(reader.words("ignore_comments")),
            ignore_hdus=_upper(reader.words("ignore_hdus")),
            tolerance=reader.tolerance(),
        )
        reader.finish()
        return parsed

    def compare(self, expected: Path, found: Path, options: FitsOptions) -> Comparison:
        """Judge `found` against `expected`, HDU by HDU."""
        if settled := check_files(expected, found, "fits"):
            return settled
        if first_difference(expected, found) is None:
            return same_bytes("fits", expected.stat().st_size, _measure_one(expected))
        try:
            with open_fits(expected, "expected") as one, open_fits(found, "found") as other:
                return _conclude(_judge_files(one, other, options))
        except Unreadable as error:
            return say_unreadable("fits", error.message)


def _upper(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word.upper() for word in words)


def _measure_one(path: Path) -> dict[str, float]:
    try:
        with open_fits(path, "expected") as opened:
            return {
                "hdus_compared": len(opened.hdus),
                "values_compared": sum(count_values(hdu) for hdu in opened.hdus),
            }
    except Unreadable:
        return {}


@dataclass(slots=True)
class _Judging:
    """What was seen while two FITS files were compared."""

    options: FitsOptions
    findings: Findings = field(default_factory=Findings)
    hdus: int = 0
    keywords: int = 0
    values: int = 0
    ignored: set[str] = field(default_factory=set)
    otherwise: list[str] = field(default_factory=list)

    def measures(self) -> dict[str, float]:
        counts = {
            "hdus_compared": self.hdus,
            "keywords_compared": self.keywords,
            "values_compared": self.values,
        }
        return {**counts, **self.findings.measures()}


def _judge_files(expected: OpenFits, found: OpenFits, options: FitsOptions) -> _Judging:
    judging = _Judging(options)
    left, right = (_drop_ignored(opened, judging) for opened in (expected, found))
    for one, other in _pair_hdus(left, right, judging.findings):
        _judge_hdu(one, other, judging)
    if not have_same_tail(expected, found):
        judging.findings.add(
            Difference(
                place="after the last HDU",
                expected=count_of(expected.tail_size, "further byte"),
                found=count_of(found.tail_size, "further byte"),
            )
        )
    return judging


def _drop_ignored(opened: OpenFits, judging: _Judging) -> list[OpenHdu]:
    kept = []
    for hdu in opened.hdus:
        if is_named(str(hdu.index), judging.options.ignore_hdus) or is_named(
            hdu.name, judging.options.ignore_hdus
        ):
            judging.ignored.add(describe_hdu(hdu))
        else:
            kept.append(hdu)
    return kept


def _pair_hdus(
    left: list[OpenHdu], right: list[OpenHdu], findings: Findings
) -> list[tuple[OpenHdu, OpenHdu]]:
    """HDUs that answer each other: by position where there are as many, else by name and version."""
    if len(left) == len(right):
        return list(zip(left, right, strict=True))
    named, answers = ({(hdu.name, hdu.version): hdu for hdu in side} for side in (left, right))
    for name, hdu in named.items():
        if name not in answers:
            findings.add(Difference(place=describe_hdu(hdu), expected=hdu.kind, found=None))
    for name, hdu in answers.items():
        if name not in named:
            findings.add(Difference(place=describe_hdu(hdu), expected=None, found=hdu.kind))
    findings.add(Difference(place="the file", expected=f"{len(left)} HDUs", found=f"{len(right)} HDUs"))
    return [(hdu, answers[name]) for name, hdu in named.items() if name in answers]


def _judge_hdu(one: OpenHdu, other: OpenHdu, judging: _Judging) -> None:
    judging.hdus += 1
    place = describe_hdu(one)
    header = compare_headers(one, other, judging.options, judging.findings)
    judging.keywords += header.compared
    judging.ignored |= header.ignored
    if not header.is_exact:
        judging.otherwise.append(f"cards of {place}")
    are_same = have_same_bytes(one, other)
    if are_same and header.is_exact:
        judging.values += count_values(one)
        return
    before = judging.findings.total + judging.findings.tolerated
    judging.values += compare_data(one, other, judging.options.tolerance, judging.findings)
    if not are_same and judging.findings.total + judging.findings.tolerated == before:
        judging.otherwise.append(f"data of {place}")


def _conclude(judging: _Judging) -> Comparison:
    findings, measures = judging.findings, judging.measures()
    compared = (
        f"{count_of(judging.hdus, 'HDU')}, {judging.keywords} keywords, {judging.values} values compared"
    )
    if findings.total:
        differs = "differs" if findings.total == 1 else "differ"
        return different(
            "fits", findings, f"{count_of(findings.total, 'place')} {differs}; {compared}", measures
        )
    if not judging.hdus or not judging.keywords + judging.values:
        return nothing_compared("fits", "every HDU is ignored; narrow `ignore_hdus` or `ignore_keywords`")
    ignored = f"but for ignored {', '.join(sorted(judging.ignored))}" if judging.ignored else ""
    if findings.tolerated:
        text = f"equal within {judging.options.tolerance} {ignored}".strip()
        text += f": {findings.tolerated} of {judging.values + judging.keywords} values within tolerance; "
        return _passed(Grade.EQUIVALENT, text + findings.describe_largest(), measures)
    if judging.otherwise or not judging.ignored:
        text = f"all keywords and values are equal (rtol=0, atol=0) {ignored}".strip()
        return _passed(
            Grade.EQUIVALENT,
            f"{text}; written otherwise: {', '.join(judging.otherwise) or 'padding'}",
            measures,
        )
    return _passed(Grade.IDENTICAL, f"identical {ignored}; {compared}", measures)


def _passed(grade: Grade, explanation: str, measures: dict[str, float]) -> Comparison:
    return Comparison(grade=grade, rule="fits", explanation=explanation, measures=measures)
