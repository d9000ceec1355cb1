"""What a flow may ask of whoever drives it. A flow decides; a driver sends, reads, waits."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `path` is below the service's address; `repeatable`: to send it twice does no harm."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    json: object | None = None
    content: bytes | None = None
    repeatable: bool = True
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What was answered; `headers` by their names in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    path: str


@dataclass(frozen=True, slots=True)
class Open:
    """Send a request and leave its answer open: answered by a `Reply` whose content is empty unless it refuses."""

    request: Request


@dataclass(frozen=True, slots=True)
class Read:
    """The next piece of what is open: answered by bytes, empty at the end."""


@dataclass(frozen=True, slots=True)
class Shut:
    """Close what is open."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Now:
    """A clock that only goes forward: answered by seconds."""


@dataclass(frozen=True, slots=True)
class Do:
    """Something slow on this host (reading, hashing): answered by what it gives."""

    call: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Tell:
    """Something for whoever iterates or listens."""

    value: object


Action = Request | Open | Read | Shut | Pause | Now | Do | Tell
Flow = Generator[Action, Any, Result]
"""What is sent in is the answer of the action before (Any: each action has its own kind of answer).

`ServiceUnreachable` is thrown in where a request or a piece did not come through.
"""
