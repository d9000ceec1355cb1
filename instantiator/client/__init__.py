"""A client of a running Thaw: `from instantiator.client import Thaw, AsyncThaw` (docs/client.md).

Needs httpx and nothing of what executes runs. What is asked and what an answer means is written once, without
input and output (`flows/`); two drivers carry it out, one that waits and one that awaits.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instantiator.client.asynchronous import AsyncOutput, AsyncRun, AsyncThaw
    from instantiator.client.errors import (
        AnswerInvalid,
        OutputWrong,
        RemoteError,
        RunNotOver,
        ServiceNotNamed,
        ServiceRefused,
        ServiceUnreachable,
        TokenMissing,
    )
    from instantiator.client.models import Dataset, Event, Recipe, RecipeEntry, RunStatus, Session, Thread
    from instantiator.client.synchronous import Output, Run, Thaw

__all__ = [
    "AnswerInvalid",
    "AsyncOutput",
    "AsyncRun",
    "AsyncThaw",
    "Dataset",
    "Event",
    "Output",
    "OutputWrong",
    "Recipe",
    "RecipeEntry",
    "RemoteError",
    "Run",
    "RunNotOver",
    "RunStatus",
    "ServiceNotNamed",
    "ServiceRefused",
    "ServiceUnreachable",
    "Session",
    "Thaw",
    "Thread",
    "TokenMissing",
]

_MODULES = {
    "AnswerInvalid": "errors",
    "AsyncOutput": "asynchronous",
    "AsyncRun": "asynchronous",
    "AsyncThaw": "asynchronous",
    "Dataset": "models",
    "Event": "models",
    "Output": "synchronous",
    "OutputWrong": "errors",
    "Recipe": "models",
    "RecipeEntry": "models",
    "RemoteError": "errors",
    "Run": "synchronous",
    "RunNotOver": "errors",
    "RunStatus": "models",
    "ServiceNotNamed": "errors",
    "ServiceRefused": "errors",
    "ServiceUnreachable": "errors",
    "Session": "models",
    "Thaw": "synchronous",
    "Thread": "models",
    "TokenMissing": "errors",
}


def __getattr__(name: str) -> object:
    """Load what is asked for when it is asked for: commands that stay on this host load no httpx."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
