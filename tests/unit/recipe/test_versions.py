"""Versions are ordered as the people who number software mean them."""

from __future__ import annotations

import pytest

from instantiator.recipe.versions import version_key


@pytest.mark.parametrize(
    "old_to_new",
    [
        ("9.3.9", "9.3.35", "9.10", "10.0"),
        ("1.0rc1", "1.0", "1.0.1"),
        ("2.0beta", "2.0"),
        ("22.02", "22.02pl1", "22.02pl1.1"),
        ("94NOV", "95NOV", "17FEB", "17SEP", "22SEP"),
        ("11.1-16", "11.2", "11.2-2"),
    ],
)
def test_versions_sort_from_old_to_new(old_to_new: tuple[str, ...]) -> None:
    assert tuple(sorted(set(old_to_new), key=version_key)) == old_to_new
