"""Identifiers of archives: what is one, which addresses it stands for, and what counts as an answer."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from instantiator.dataset import DatasetUnknown, find_dataset
from instantiator.dataset.archives import find_files, is_identifier, name_of
from instantiator.dataset.archives_fetch import unpack_answer
from instantiator.dataset.archives_integral import folders_of, names_in, parse_windows
from instantiator.dataset.archives_model import ArchiveRefused, ArchiveUnknown
from provenance.store import Journal, Store

URL = "https://archive.example/odf"


def tar_of(*names: str) -> bytes:
    """A tar with these files, each of 2000 bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 2000
            archive.addfile(member, io.BytesIO(b"T" * 2000))
    return packed.getvalue()


ODF = tar_of("0070_0123700101_SCX00000SUM.SAS", "0070_0123700101_M1S.FIT")


def test_an_observation_stands_for_one_address() -> None:
    (file,) = find_files("xmm:0123700101")
    expected = "https://nxsa.esac.esa.int/nxsa-sl/servlet/data-action-aio?obsno=0123700101&level=ODF"
    assert (file.url, file.digest, file.is_tar) == (expected, None, True)


@pytest.mark.parametrize("text", ["123700101", "01237001011", "0123700101 ", "012370010x", "", "../0123701"])
def test_what_is_no_observation_number_is_refused_before_anybody_is_asked(text: str) -> None:
    with pytest.raises(ArchiveUnknown, match="expected its ten digits"):
        find_files(f"xmm:{text}")


@pytest.mark.parametrize("text", ["", "1972", "197200240010,", "197200240010 197200250010", "19720024001x"])
def test_what_is_no_list_of_science_windows_is_refused(text: str) -> None:
    with pytest.raises(ArchiveUnknown, match="science windows"):
        find_files(f"integral:{text}")


def test_science_windows_bring_their_revolution_along() -> None:
    windows = parse_windows("197200240010,197200250010,197300010010,197200240010")
    assert folders_of(windows) == (
        "scw/1972/197200240010.001",
        "scw/1972/197200250010.001",
        "scw/1973/197300010010.001",
        "scw/1972/rev.001",
        "scw/1973/rev.001",
        "aux/adp/1972.001",
        "aux/adp/1973.001",
        "aux/adp/ref",
    )


def test_a_listing_names_what_lies_below_it_and_nothing_else() -> None:
    links = [
        "?C=N;O=D",
        "/FTP/integral/",
        "../",
        "swg.fits.gz",
        "raw/",
        "swg.fits.gz",
        "https://elsewhere.example/x",
    ]
    text = "".join(f'<a href="{link}">x</a>' for link in links)
    assert names_in(text) == ("swg.fits.gz", "raw/")


def test_an_identifier_is_told_from_a_path_and_has_a_name() -> None:
    assert [is_identifier(text) for text in ("xmm:0123700101", "chandra:1", "./xmm", "m31")] == [True] + [
        False
    ] * 3
    assert name_of("xmm:0123700101") == "xmm-0123700101"
    one, other = name_of("integral:197200240010,197200250010"), name_of("integral:197200240010,197200260010")
    assert one.startswith("integral-197200240010-and-1-more-")
    assert one != other


def test_an_identifier_nobody_fetched_says_how_it_is_fetched(own_state_folder: Path) -> None:
    store = Store(own_state_folder / "store.sqlite", journal=Journal(own_state_folder / "vault"))
    with pytest.raises(DatasetUnknown) as error:
        find_dataset("xmm:0123700101", store)
    store.close()
    assert error.value.hint == "fetch it once: thaw dataset add xmm:0123700101"


@pytest.mark.parametrize("content", [ODF, gzip.compress(ODF)], ids=["tar", "tar.gz"])
def test_the_members_of_a_tar_are_the_data(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ODF.tar").write_bytes(content)
    unpack_answer(tmp_path / "ODF.tar", tmp_path / "ODF", URL)
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert found == ["ODF/0070_0123700101_M1S.FIT", "ODF/0070_0123700101_SCX00000SUM.SAS"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Observation 0123700101 is proprietary\n", "said: Observation 0123700101 is proprietary"),
        (ODF[:3000], "no whole tar: 3,000 bytes"),
        (ODF[:2560], "no whole tar: 2,560 bytes"),
        (ODF[:5120], "no whole tar: 5,120 bytes"),
        (gzip.compress(ODF)[:-20], "no whole tar"),
        (b"", "no whole tar: 0 bytes"),
        (b"\x89PNG\r\n\x1a\n" * 200, "no whole tar"),
        (tar_of(), "no whole tar"),
        (tar_of("../../outside"), "no whole tar"),
    ],
    ids=[
        "text",
        "in a file",
        "between files",
        "before its end",
        "gzip",
        "nothing",
        "image",
        "empty",
        "outside",
    ],
)
def test_what_is_no_whole_tar_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "ODF.tar").write_bytes(content)
    with pytest.raises(ArchiveRefused, match=said):
        unpack_answer(tmp_path / "ODF.tar", tmp_path / "ODF", URL)
    assert not (tmp_path.parent / "outside").exists()
