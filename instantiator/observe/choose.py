"""Which observer: the best this process may use, and why that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from instantiator.observe.fanotify import why_not_fanotify
from instantiator.observe.model import Observer
from instantiator.observe.polling import PollingObserver
from instantiator.observe.watching import FanotifyObserver


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An observer for one container, and why it is this one."""

    observer: Observer
    why: str
    is_degraded: bool


def choose_observer(
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    why_not: Callable[[], str] = why_not_fanotify,
) -> Choice:
    """The observer for the next container. Never raises: where nothing else is allowed, /proc is polled."""
    reason = why_not()
    if not reason:
        why = "fanotify: the kernel tells of every file opened through the container's own mounts"
        return Choice(observer=FanotifyObserver(now), why=why, is_degraded=False)
    why = f"polling of /proc, degraded: fanotify cannot be used here ({reason})"
    return Choice(observer=PollingObserver(now), why=why, is_degraded=True)
