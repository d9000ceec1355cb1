"""What an ELF file asks of its environment: loader, libraries, processor. The one door to `elftools`."""

from __future__ import annotations

import io
from dataclasses import dataclass

MAGIC = b"\x7fELF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """An executable or library: `interpreter` is the loader it names, `soname` what it is called by others."""

    machine: str
    bits: int
    interpreter: str = ""
    needed: tuple[str, ...] = ()
    soname: str = ""


def read_elf(content: bytes) -> Elf | None:
    """What the bytes ask for; None where they are no ELF file that can be read."""
    if not content.startswith(MAGIC):
        return None
    from elftools.common.exceptions import ELFError
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import InterpSegment

    interpreter, needed, soname = "", [], ""
    try:
        elf = ELFFile(io.BytesIO(content))
        for segment in elf.iter_segments():
            if isinstance(segment, InterpSegment):
                interpreter = segment.get_interp_name()
            elif isinstance(segment, DynamicSegment):
                for tag in segment.iter_tags():
                    values = vars(tag)  # the library gives each kind of tag an attribute of its own
                    if tag.entry.d_tag == "DT_NEEDED":
                        needed.append(str(values["needed"]))
                    elif tag.entry.d_tag == "DT_SONAME":
                        soname = str(values["soname"])
        return Elf(
            machine=elf.get_machine_arch(),
            bits=elf.elfclass,
            interpreter=interpreter,
            needed=tuple(needed),
            soname=soname,
        )
    except (
        ELFError,
        AttributeError,
        IndexError,
        KeyError,
        OverflowError,
        TypeError,
        ValueError,
        UnicodeError,
    ):
        return None  # forged or cut off: the library raises whatever it stumbles over
