"""Whose turn it is to launch: a few at a time, in the order they were asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOOK_S = 0.5


class Turns:
    """At most `together` launches at a time; the others wait in line."""

    def __init__(self, together: int) -> None:
        self._together = together
        self._line: list[object] = []
        self._changed = threading.Condition()

    @contextmanager
    def take(self, tell: Callable[[int], None], check: Callable[[], None]) -> Iterator[None]:
        """Wait for a turn, and keep it for the body. `tell` hears how many are before it, whenever that changes.

        `check` is called now and then, and raises where waiting is in vain: the place in the line is given up then.
        """
        place, told = object(), -1
        with self._changed:
            self._line.append(place)
        try:
            while (ahead := self._wait_for_change(place, told)) >= self._together:
                if ahead != told:
                    tell(ahead)
                told = ahead
                check()
            yield
        finally:
            with self._changed:
                self._line.remove(place)
                self._changed.notify_all()

    def _wait_for_change(self, place: object, told: int) -> int:
        """How many are before this one, as soon as they are not `told` any more, or after a moment."""
        with self._changed:
            self._changed.wait_for(lambda: self._line.index(place) != told, timeout=_LOOK_S)
            return self._line.index(place)
