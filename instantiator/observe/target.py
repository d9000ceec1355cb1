"""A container as the engine describes it, made a target of observation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from instantiator.engine.containers import check_answer
from instantiator.engine.door import Bind
from instantiator.engine.wire import Wire
from instantiator.observe.model import ObservedContainer


def describe_target(wire: Wire, container: str, mounts: Iterable[Bind] = ()) -> ObservedContainer:
    """The container with this ID or name, started or not. One call to the engine."""
    answer = wire.ask("GET", f"/containers/{container}/json")
    check_answer(wire, answer)
    value = answer.json()
    assert isinstance(value, dict)
    binds = tuple(mounts)
    return ObservedContainer(
        container_id=str(value["Id"]),
        pid=int(value["State"].get("Pid") or 0),
        mounts={mount.source.resolve(): mount.target for mount in binds},
        root=_find_root(value),
        writable=frozenset(mount.source.resolve() for mount in binds if not mount.read_only),
    )


def _find_root(value: dict[str, object]) -> Path | None:
    """Where the root is mounted; engines whose images lie in containerd do not say."""
    driver = value.get("GraphDriver")
    data = driver.get("Data") if isinstance(driver, dict) else None
    merged = data.get("MergedDir") if isinstance(data, dict) else None
    return Path(merged) if isinstance(merged, str) and merged else None
