"""Display profiles: read from a recipe's text, told to the start script."""

from __future__ import annotations

import pytest

from instantiator.display.profile import DisplayInvalid, DisplayKind, Windows, parse_profile


def test_a_bare_kind_takes_the_users_screen() -> None:
    profile = parse_profile("truecolor", geometry=(1920, 1080))
    assert profile.arguments() == ("truecolor", "1920x1080", "96", "us", "desktop")
    assert profile.can_resize


def test_all_of_a_profile_can_be_said_and_is_read_back() -> None:
    profile = parse_profile("fixed 800x600 dpi=75 keymap=us:intl windows=single", geometry=(1920, 1080))
    assert (profile.kind, profile.size, profile.windows) == (DisplayKind.FIXED, "800x600", Windows.SINGLE)
    assert parse_profile(profile.text) == profile
    assert not profile.can_resize


def test_eight_bits_are_asked_for_by_name() -> None:
    assert parse_profile("pseudocolor8").kind is DisplayKind.PSEUDOCOLOR8


@pytest.mark.parametrize(
    "text",
    (
        "vga",
        "fixed 8x6",
        "fixed 800x600x24",
        "truecolor dpi=1",
        "truecolor keymap=../x",
        "truecolor windows=none",
        "truecolor colour=red",
    ),
)
def test_a_profile_nobody_can_make_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(DisplayInvalid, match="expected KIND"):
        parse_profile(text)
