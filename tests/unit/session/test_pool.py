"""How many displays may wait for sessions."""

from __future__ import annotations

from pathlib import Path

import pytest

from instantiator.session.pool import bound_idle, read_free_mb


@pytest.mark.parametrize(
    ("wanted", "free_mb", "kept"),
    ((1, 16_000, 1), (99, 16_000, 50), (1, 319, 0), (0, 16_000, 0), (2, 640, 2)),
)
def test_idle_displays_take_a_tenth_of_the_free_memory_at_most(wanted: int, free_mb: int, kept: int) -> None:
    assert bound_idle(wanted, free_mb=free_mb) == kept


def test_free_memory_is_what_programs_can_have(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 8000000 kB\nMemFree: 100 kB\nMemAvailable:  2048000 kB\n")
    assert read_free_mb(tmp_path / "meminfo") == 2000
