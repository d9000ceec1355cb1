from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.compare import Comparison, Grade, compare_files
from provenance.compare.globs import matches_glob

FILES = {
    "eps_output/modes.out": b"# made 1\nSCAN\nOFF\n",
    "eps_output/power.csv": b"t,P\n1,5.1\n",
    "log": b"ok",
}

MakeTar = Callable[..., Path]
MakeFolder = Callable[..., Path]


def compare(expected: Path, found: Path, **options: object) -> Comparison:
    return compare_files("tree", options, expected=expected, found=found)


@pytest.fixture
def make_tar(tmp_path: Path) -> MakeTar:
    numbers = iter(range(100))

    def pack(
        files: dict[str, bytes], *, mode: str = "w", time: int = 0, owner: int = 0, executable: str = ""
    ) -> Path:
        path = tmp_path / f"{next(numbers)}.tar"
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is a parameter
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size, member.mtime, member.uid = len(content), time, owner
                member.mode = 0o755 if name == executable else 0o644
                archive.addfile(member, io.BytesIO(content))
        return path

    return pack


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    numbers = iter(range(100))

    def write(files: dict[str, bytes]) -> Path:
        root = tmp_path / f"folder-{next(numbers)}"
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        return root

    return write


def test_times_owners_order_and_packing_are_not_judged_unless_asked(make_tar: MakeTar) -> None:
    other = make_tar(dict(reversed(FILES.items())), mode="w:xz", time=99, owner=12345)
    comparison = compare(make_tar(FILES), other)
    assert (comparison.grade, comparison.measures["members_compared"]) == (Grade.IDENTICAL, 3)
    assert comparison.explanation == "3 members compared; not judged: times, owners, order"
    assert compare(make_tar(FILES), other, times=True).differences_total == 3
    assert compare(make_tar(FILES), other, owners=True).differences_total == 3


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_changed_byte_of_a_member_is_named_by_member_and_offset(make_tar: MakeTar, mode: str) -> None:
    comparison = compare(make_tar(FILES, mode=mode), make_tar({**FILES, "log": b"no"}, mode=mode))
    assert comparison.grade is Grade.DIFFERENT
    assert [str(difference) for difference in comparison.differences] == [
        "log: byte 0: expected 0x6f, found 0x6e"
    ]


def test_members_missing_and_extra_are_named(make_tar: MakeTar) -> None:
    one = make_tar({"a": b"", "b": b""})
    comparison = compare(one, make_tar({"b": b"", "c": b""}))
    assert [str(difference) for difference in comparison.differences] == [
        "member a: expected file, found nothing",
        "member c: expected nothing, found file",
    ]


def test_each_member_is_judged_by_the_first_rule_that_matches(make_tar: MakeTar) -> None:
    again = {
        **FILES,
        "eps_output/modes.out": b"# made 2\nSCAN\nOFF\n",
        "eps_output/power.csv": b"t,P\n1,5.10\n",
    }
    rules = [
        {"match": "*.out", "rule": "text", "ignore": ["# made .*"]},
        {"match": "eps_output/*.csv", "rule": "table"},
        {"match": "**", "rule": "bytes"},
    ]
    comparison = compare(make_tar(FILES), make_tar(again), members=rules)
    assert comparison.grade is Grade.EQUIVALENT
    assert "eps_output/modes.out (text): identical but for 1 ignored line: # made 1" in comparison.explanation
    assert "eps_output/power.csv (table): all 2 values are equal" in comparison.explanation
    assert comparison.measures["values_compared"] == 2


def test_a_tree_within_a_tree_is_judged_as_one(make_tar: MakeTar) -> None:
    inner = [make_tar({"log": content}).read_bytes() for content in (b"ok", b"no")]
    one, other = (make_tar({"inner.tar": content}) for content in inner)
    comparison = compare(one, other, members=[{"match": "*.tar", "rule": "tree"}])
    assert comparison.differences[0].place == "inner.tar: log: byte 0"


def test_ignored_members_are_left_out_with_all_that_is_in_them(make_folder: MakeFolder) -> None:
    one, other = make_folder(FILES), make_folder({**FILES, "tmp/cache/x": b"1", "log": b"other"})
    comparison = compare(one, other, ignore=["tmp", "log"])
    assert (comparison.grade, comparison.measures["members_ignored"]) == (Grade.IDENTICAL, 4)


def test_a_tree_of_which_nothing_is_left_proves_nothing(make_tar: MakeTar) -> None:
    comparison = compare(make_tar(FILES), make_tar({**FILES, "log": b"no"}), ignore=["**"])
    assert (comparison.grade, comparison.explanation) == (
        Grade.DIFFERENT,
        "nothing was compared: the trees hold no member to judge, 3 ignored",
    )


def test_the_executable_bit_counts_for_files(make_tar: MakeTar) -> None:
    comparison = compare(make_tar(FILES), make_tar(FILES, executable="log"))
    assert str(comparison.differences[0]) == "member log: expected not executable, found executable"


def test_links_are_compared_by_target_and_never_followed(make_folder: MakeFolder) -> None:
    one, other, third = (make_folder({"log": b"ok"}) for _ in range(3))
    (one / "latest").symlink_to("log")
    (other / "latest").symlink_to("/etc/hostname")
    (third / "latest").write_bytes(b"ok")
    assert str(compare(one, other).differences[0]) == (
        "member latest, target: expected 'log', found '/etc/hostname'"
    )
    assert str(compare(one, third).differences[0]) == "member latest: expected link, found file"


def test_a_folder_and_an_archive_of_it_are_identical(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(FILES)
    (folder / "empty").mkdir()
    os.link(folder / "log", folder / "same-log")
    with tarfile.open(tmp_path / "packed.tar.gz", "w:gz") as archive:
        archive.add(folder, arcname=".")
    comparison = compare(folder, tmp_path / "packed.tar.gz")
    assert (comparison.grade, comparison.measures["members_compared"]) == (Grade.IDENTICAL, 6)


def test_the_name_of_a_member_never_becomes_a_path(make_tar: MakeTar, tmp_path: Path) -> None:
    evil = f"../../../..{tmp_path}/escaped"
    comparison = compare(make_tar({evil: b"1"}), make_tar({evil: b"2"}))
    assert (comparison.grade, (tmp_path / "escaped").exists()) == (Grade.DIFFERENT, False)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0, 0.3, 0.7])
def test_a_truncated_archive_is_different_in_words(make_tar: MakeTar, mode: str, share: float) -> None:
    files = {f"{number}.out": os.urandom(30_000) for number in range(3)}
    whole, cut = make_tar(files, mode=mode), make_tar(files, mode=mode)
    cut.write_bytes(cut.read_bytes()[: int(cut.stat().st_size * share)])
    comparison = compare(whole, cut)
    said = ("the found file is no tar archive that can be read", "member 2.out: expected file, found nothing")
    assert comparison.grade is Grade.DIFFERENT
    assert any(words in f"{comparison.explanation} {comparison.differences[-1]}" for words in said)


def test_what_is_no_archive_is_different_in_words(make_tar: MakeTar, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"SCAN\n" * 1000)
    assert "the found file is no tar archive" in compare(make_tar(FILES), tmp_path / "text").explanation


@pytest.mark.parametrize(
    ("path", "pattern", "matches"),
    [
        ("a/b/power.fits", "*.fits", True),
        ("a/b/power.fits", "a/*.fits", False),
        ("a/b/power.fits", "a/**/*.fits", True),
        ("a/power.fits", "a/**/*.fits", True),
        ("power.fits", "/power.fits", True),
        ("x[1].out", "x[[]1].out", True),
        ("mode1.out", "mode[!1].out", False),
        ("mode2.out", "mode[!1].out", True),
        ("a/b", "a?b", False),
        ("a.b", "a?b", True),
        ("a+b", "a+b", True),
        ("aab", "a+b", False),
    ],
)
def test_globs_know_folders(path: str, pattern: str, matches: bool) -> None:
    assert matches_glob(path, pattern) is matches
