"""A few launches at a time: the others wait in line, and are told how many are before them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from instantiator.session.turns import Turns


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.005)


class Launching:
    """A launch in a thread of its own, which goes on when it is told to."""

    def __init__(self, turns: Turns, *, check: Callable[[], None] = lambda: None) -> None:
        self.told: list[int] = []
        self.began, self.may_end, self.refused = threading.Event(), threading.Event(), threading.Event()
        self._turns, self._check = turns, check
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self._turns.take(self.told.append, self._check):
                self.began.set()
                self.may_end.wait(5)
        except InterruptedError:
            self.refused.set()

    def end(self) -> None:
        self.may_end.set()
        self.thread.join(5)


def test_no_more_than_so_many_launch_at_a_time_and_in_the_order_they_came() -> None:
    turns, launches = Turns(2), list[Launching]()
    for number in range(4):
        launches.append(Launching(turns))
        until(lambda number=number: launches[number].began.is_set() or bool(launches[number].told))  # type: ignore[misc]  # a default argument binds the number
    first, second, third, fourth = launches
    assert [one.began.is_set() for one in launches] == [True, True, False, False]
    assert (first.told, third.told, fourth.told) == ([], [2], [3])
    second.end()
    assert third.began.wait(5)
    until(lambda: fourth.told == [3, 2])
    assert not fourth.began.is_set()
    for one in (first, third, fourth):
        one.end()
    assert fourth.began.is_set()


def test_a_launch_that_is_given_up_leaves_the_line() -> None:
    def give_up() -> None:
        raise InterruptedError

    turns = Turns(1)
    first = Launching(turns)
    assert first.began.wait(5)
    gone = Launching(turns, check=give_up)
    assert gone.refused.wait(5)
    third = Launching(turns)
    until(lambda: third.told == [1])
    first.end()
    assert third.began.wait(5)
    third.end()
    gone.end()


def test_a_turn_ends_with_what_the_launch_raises() -> None:
    turns = Turns(1)
    with pytest.raises(OSError, match="no engine"), turns.take(lambda _: None, lambda: None):
        raise OSError("no engine")
    with turns.take(lambda _: None, lambda: None):
        pass
