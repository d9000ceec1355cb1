"""Polling, on processes of this test itself."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from instantiator.observe import ObservedContainer
from instantiator.observe.polling import PollingObserver

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_what_is_new_or_changed_in_a_writable_folder_was_written(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/kept.fits").write_text("kept")
    (tmp_path / "in/grown.fits").write_text("short")
    target = ObservedContainer(
        container_id=64 * "c", mounts={tmp_path: "/work"}, writable=frozenset((tmp_path,))
    )
    observer = PollingObserver(lambda: NOON)
    observer.start(target)
    (tmp_path / "in/grown.fits").write_text("much longer")
    (tmp_path / "two\nlines").write_text("new")
    seen = observer.stop()
    assert [path.path for path in seen.files_written] == ["/work/in/grown.fits", "/work/two\nlines"]


def test_reading_the_state_of_a_folder_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    target = ObservedContainer(container_id=64 * "c", mounts={gone: "/work"}, writable=frozenset((gone,)))
    observer = PollingObserver(lambda: NOON)
    observer.start(target)
    assert observer.stop().files_written == ()
    assert not os.path.lexists(gone)
