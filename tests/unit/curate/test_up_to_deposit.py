"""What of a lock is built before its deposits are there: another image, under a name that says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instantiator.curate.build import up_to_deposit
from instantiator.image.errors import NothingAwaited
from instantiator.image.lock import LockedDeposit
from tests.examples import MIDAS_IMAGE, MIDAS_LOCK

TAPE = LockedDeposit(name="tape", file="midas.tar", sha256=None, size=None, unpack="/opt")
WAITING = replace(MIDAS_LOCK, deposits=(TAPE,), steps=("./install",), image=MIDAS_IMAGE)


def test_the_packages_stay_and_what_needs_the_deposit_goes() -> None:
    found = up_to_deposit(WAITING)
    assert (found.packages, found.environment) == (WAITING.packages, WAITING.environment)
    assert (found.deposits, found.steps, found.image) == ((), (), None)


def test_it_is_never_taken_for_the_recipes_own_image() -> None:
    found = up_to_deposit(WAITING)
    assert found.digest != WAITING.digest
    assert found.recipe == f"{WAITING.recipe}+up-to-deposit"
    assert "up-to-deposit" in found.image_name
    assert found.image_name != WAITING.image_name


def test_a_recipe_that_awaits_nothing_is_built_whole() -> None:
    with pytest.raises(NothingAwaited, match="asks for no deposit"):
        up_to_deposit(replace(WAITING, deposits=()))
