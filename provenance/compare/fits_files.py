"""FITS files, opened: their HDUs, and the raw cards and bytes behind each."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any, BinaryIO, TypeVar

from provenance.compare.files import Unreadable
from provenance.digest import CHUNK

CARD = 80
Unpack = Callable[[BinaryIO], IO[bytes] | lzma.LZMAFile | gzip.GzipFile]
PACKED: dict[bytes, Unpack] = {
    b"\x1f\x8b": lambda packed: gzip.GzipFile(fileobj=packed),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHdu:
    """An HDU of an open file: astropy's object, and where its header and data lie in the (unpacked) file."""

    index: int
    name: str
    version: int
    kind: str
    is_image: bool
    is_table: bool
    hdu: Any  # astropy has no types
    stream: Any  # the file as astropy opened it: seek, read, size
    header_at: int
    data_at: int
    data_size: int

    @property
    def lacks(self) -> int:
        """How many bytes of its data a truncated file does not have; the padding at the end may be absent."""
        lacks: int = self.data_at + self.data_size - self.stream.size
        return max(0, lacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFits:
    """An open FITS file. `tail_size` counts bytes that belong to no HDU."""

    hdus: tuple[OpenHdu, ...]
    stream: Any  # as in OpenHdu
    tail_at: int
    tail_size: int


@contextmanager
def open_fits(path: Path, which: str) -> Iterator[OpenFits]:
    """A FITS file, open for the time of a `with`. Raises `Unreadable` in words where it is none."""
    from astropy.io import fits

    if not path.stat().st_size:
        raise Unreadable(f"the {which} file is empty")
    with _open_unpacked(path, which) as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they warn of (truncation, bytes at the end) is looked for here
        hdus = read_quietly(lambda: fits.open(stream), f"the {which} file is not FITS")
        try:
            yield _describe_file(hdus, which)
        finally:
            hdus.close()


@contextmanager
def _open_unpacked(path: Path, which: str) -> Iterator[BinaryIO]:
    with path.open("rb") as stream:
        begin = stream.read(6)
        stream.seek(0)
        unpack = next((opener for magic, opener in PACKED.items() if begin.startswith(magic)), None)
        if unpack is None:
            yield stream
            return
        with NamedTemporaryFile(prefix="thaw-compare-") as unpacked:
            read_quietly(partial(_unpack, unpack, stream, unpacked), f"the {which} file cannot be unpacked")
            with Path(unpacked.name).open("rb") as plain:  # astropy refuses a file that is open for writing
                yield plain


def _unpack(unpack: Unpack, packed: BinaryIO, unpacked: IO[bytes]) -> None:
    with unpack(packed) as stream:
        shutil.copyfileobj(stream, unpacked)
    unpacked.flush()


def read_quietly(read: Callable[[], T], otherwise: str) -> T:
    """What `read` gives; raises `Unreadable` where it fails. For calls into libraries, never for our own."""
    try:
        return read()
    except Exception as error:  # a broken file makes astropy and its decoders raise almost anything
        raise Unreadable(f"{otherwise}: {str(error).rstrip('.') or type(error).__name__}") from error


def _describe_file(hdus: Any, which: str) -> OpenFits:
    count = read_quietly(lambda: len(hdus), f"the {which} file is not FITS that can be read")
    opened = tuple(
        read_quietly(partial(_describe, hdus, index), f"HDU {index} of the {which} file cannot be read")
        for index in range(count)
    )
    for hdu in opened:
        if hdu.lacks:
            place = describe_hdu(hdu)
            raise Unreadable(
                f"the {which} file is truncated: {hdu.lacks} bytes of the data of {place} are not there"
            )
    end = hdus.fileinfo(len(hdus) - 1)
    tail_at = end["datLoc"] + end["datSpan"]
    stream = end["file"]
    return OpenFits(hdus=opened, stream=stream, tail_at=tail_at, tail_size=max(0, stream.size - tail_at))


def _describe(hdus: Any, index: int) -> OpenHdu:
    from astropy.io import fits

    hdu, where = hdus[index], hdus.fileinfo(index)
    # The size of a compressed image is that of the image, not of what is in the file: allow for padding.
    size = where["datSpan"] - 2879 if type(hdu).__name__ == "CompImageHDU" else hdu.size
    return OpenHdu(
        index=index,
        name=str(hdu.name).upper(),
        version=int(hdu.ver),
        kind=type(hdu).__name__,
        is_image=bool(hdu.is_image),
        is_table=isinstance(hdu, (fits.BinTableHDU, fits.TableHDU)) and not hdu.is_image,
        hdu=hdu,
        stream=where["file"],
        header_at=where["hdrLoc"],
        data_at=where["datLoc"],
        data_size=max(0, min(size, where["datSpan"])),
    )


def describe_hdu(hdu: OpenHdu) -> str:
    """An HDU as messages name it: `HDU 1 (SPECTRUM)`."""
    return f"HDU {hdu.index} ({hdu.name})" if hdu.name else f"HDU {hdu.index}"


def read_cards(hdu: OpenHdu) -> tuple[list[str], str]:
    """The header's cards as they stand in the file, 80 characters each, without END; and what follows END."""
    hdu.stream.seek(hdu.header_at)
    text = hdu.stream.read(hdu.data_at - hdu.header_at).decode("latin-1")
    cards = [text[start : start + CARD] for start in range(0, len(text), CARD)]
    end = next((n for n, card in enumerate(cards) if card.rstrip() == "END"), len(cards))
    rest = "".join(cards[end + 1 :]).strip()
    while end and not cards[end - 1].strip():
        end -= 1
    return cards[:end], rest


def have_same_bytes(one: OpenHdu, other: OpenHdu) -> bool:
    """Whether the data of two HDUs are the same bytes, whatever they mean."""
    if one.hdu.fileinfo()["datSpan"] != other.hdu.fileinfo()["datSpan"]:
        return False
    span = one.hdu.fileinfo()["datSpan"]
    return _are_same((one.stream, one.data_at), (other.stream, other.data_at), span)


def have_same_tail(one: OpenFits, other: OpenFits) -> bool:
    """Whether the same bytes, or none, follow the last HDU."""
    if one.tail_size != other.tail_size:
        return False
    return _are_same((one.stream, one.tail_at), (other.stream, other.tail_at), one.tail_size)


def _are_same(one: tuple[Any, int], other: tuple[Any, int], size: int) -> bool:
    for start in range(0, size, CHUNK):
        wanted = min(CHUNK, size - start)
        if _read(*one, start, wanted) != _read(*other, start, wanted):
            return False
    return True


def _read(stream: Any, at: int, start: int, size: int) -> bytes:
    if at + start >= stream.size:
        return b""
    stream.seek(at + start)
    content: bytes = stream.read(size)
    return content
