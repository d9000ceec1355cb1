"""Whether a file is what an input asks for, told by its first bytes: FITS, table, text."""

from __future__ import annotations

from pathlib import Path

from instantiator.recipe.model import Input, InputType
from instantiator.thread.errors import InputWrong

# FITS Standard 4.0, section 4.4.1: the first keyword is SIMPLE, its value indicator in columns 9 and 10.
_FITS = b"SIMPLE  ="
_GZIP = b"\x1f\x8b"
_LOOKED_AT = 65_536


def check_content(declared: Input, file: Path, *, name: str) -> None:
    """Raise `InputWrong` where the file `name` plainly is no FITS, table or text file; other types take any bytes.

    A gzipped FITS file counts as FITS. A table is text (CSV, columns, VOTable) or FITS. Text has no NUL byte.
    """
    with file.open("rb") as stream:
        start = stream.read(_LOOKED_AT)
    is_fits = start.startswith((_FITS, _GZIP))
    is_text = bool(start) and b"\0" not in start
    fits_well = {
        InputType.FITS: is_fits,
        InputType.TABLE: is_fits or is_text,
        InputType.TEXT: is_text,
    }
    if not fits_well.get(declared.type, True):
        raise InputWrong(
            f"{name} is no {declared.type} file: it begins with {start[:16]!r}",
            where=f"input {declared.name!r}",
            hint=f"the thread needs {declared.help or declared.type}; check that the file is complete",
        )
