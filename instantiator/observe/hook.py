"""What a backend and a session call between a container's making and its start: the best observer, begun."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from instantiator.engine.door import Bind
from instantiator.engine.wire import Wire
from instantiator.observe.choose import choose_observer
from instantiator.observe.target import describe_target


class Observable(Protocol):
    """A job, as far as an observer cares."""

    @property
    def mounts(self) -> Iterable[Bind]:
        """What it sees of this host."""
        ...


def observe_on(wire: Wire) -> Callable[[str, Observable], Callable[[], Mapping[str, object]]]:
    """Observes containers of this engine: each by an observer of its own, chosen then."""

    def observe(container: str, job: Observable) -> Callable[[], Mapping[str, object]]:
        choice = choose_observer()
        choice.observer.start(describe_target(wire, container, job.mounts))
        return lambda: {**choice.observer.stop().to_json(), "why": choice.why}

    return observe
