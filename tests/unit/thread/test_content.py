"""Whether a file is what an input asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from instantiator.recipe.model import Input, InputType, Location
from instantiator.thread.content import check_content
from instantiator.thread.errors import InputWrong

FITS = b"SIMPLE  =                    T / conforms to FITS standard" + b" " * 22
CSV = b"wavelength,flux\n15.5525,3170.39\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def an_input(kind: InputType) -> Input:
    return Input(location=Location(file=Path("recipe.yaml"), line=1), name="spectrum", type=kind)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (InputType.FITS, FITS),
        (InputType.FITS, b"\x1f\x8b\x08\0" + bytes(20)),
        (InputType.TABLE, CSV),
        (InputType.TABLE, FITS),
        (InputType.TEXT, CSV),
        (InputType.FILE, PNG),
        (InputType.FILE, b""),
    ],
)
def test_what_the_input_asks_for_is_taken(kind: InputType, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "02400714_sws.fit"
    file.write_bytes(content)
    check_content(an_input(kind), file, name=file.name)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (InputType.FITS, CSV),
        (InputType.FITS, b""),
        (InputType.TABLE, PNG),
        (InputType.TEXT, PNG),
        (InputType.TEXT, b""),
    ],
)
def test_a_file_that_is_something_else_is_refused_by_name(
    kind: InputType, content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "02400714_sws.fit"
    file.write_bytes(content)
    with pytest.raises(InputWrong, match=f"02400714_sws.fit is no {kind} file"):
        check_content(an_input(kind), file, name=file.name)
