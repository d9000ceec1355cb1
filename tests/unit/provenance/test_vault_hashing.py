from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from provenance.digest import CHUNK, SMALL, hash_files, map_in_threads


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, SMALL + CHUNK, 2 * CHUNK + 7])
def test_a_file_of_any_size_has_the_digest_sha256sum_gives(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    told = list[int]()
    expected = ("sha256:" + hashlib.sha256(content).hexdigest(), size)
    assert hash_files([tmp_path / "file"], progress=told.append) == [expected]
    assert sum(told) == size


def test_many_files_are_hashed_in_the_order_given(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}" for number in range(200)]
    for number, path in enumerate(paths):
        path.write_bytes(b"%d" % number)
    assert hash_files(paths) == [
        ("sha256:" + hashlib.sha256(b"%d" % number).hexdigest(), len(str(number))) for number in range(200)
    ]
    assert hash_files([]) == []


def test_a_file_that_is_gone_raises_what_opening_it_raises(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"")
    with pytest.raises(FileNotFoundError):
        hash_files([tmp_path / "there", tmp_path / "gone"])


def test_after_an_error_nothing_more_is_started() -> None:
    started = list[int]()

    def fail_on_the_third(number: int) -> None:
        started.append(number)
        if number == 3:
            raise ValueError("third")

    with pytest.raises(ValueError, match="third"):
        map_in_threads(fail_on_the_third, range(10_000), threads=4)
    assert len(started) < 10_000


def test_threads_really_run_at_once() -> None:
    meeting = threading.Barrier(4, timeout=5)
    assert len(map_in_threads(lambda _item: meeting.wait(), range(4), threads=4)) == 4
