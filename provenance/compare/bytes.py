"""Rule `bytes`: the same bytes, or where they first differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from provenance.compare.files import check_files, first_difference, same_bytes
from provenance.compare.findings import Findings, different
from provenance.compare.model import Comparison, Difference
from provenance.compare.options import OptionReader


class BytesRule:
    """Two files are the same where all their bytes are. Takes no option."""

    def parse_options(self, options: Mapping[str, object]) -> None:
        """Refuse every option."""
        OptionReader("bytes", options).finish()

    def compare(self, expected: Path, found: Path, options: None) -> Comparison:  # noqa: ARG002 (the protocol)
        """Judge `found` against `expected`, reading no further than the first difference."""
        if settled := check_files(expected, found, "bytes"):
            return settled
        offset = first_difference(expected, found)
        if offset is None:
            return same_bytes("bytes", expected.stat().st_size)
        return _describe_offset(expected, found, offset)


def _describe_offset(expected: Path, found: Path, offset: int) -> Comparison:
    findings = Findings()
    findings.add(
        Difference(
            place=f"byte {offset}",
            expected=_describe_byte(expected, offset),
            found=_describe_byte(found, offset),
        )
    )
    sizes = expected.stat().st_size, found.stat().st_size
    same = (
        f"{sizes[0]} bytes each" if sizes[0] == sizes[1] else f"expected {sizes[0]} bytes, found {sizes[1]}"
    )
    measures = {"bytes_compared": offset, "bytes_expected": sizes[0], "bytes_found": sizes[1]}
    return different("bytes", findings, same, measures)


def _describe_byte(path: Path, offset: int) -> str:
    with path.open("rb") as stream:
        stream.seek(offset)
        byte = stream.read(1)
    return f"0x{byte.hex()}" if byte else "the end of the file"
