"""What a run and an output know without asking: the same for those who wait and those who await."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from instantiator.client.flows.runs import Submitting
from instantiator.client.models import OutputFile, RunStatus
from provenance.record import RunState

Parameter = str | int | float | bool


class KnownOutput:
    """One output of a run."""

    def __init__(self, run: str, file: OutputFile) -> None:
        self._run, self.file = run, file

    @property
    def path(self) -> str:
        """Its path in the run's output folder."""
        return self.file.path

    @property
    def sha256(self) -> str:
        """Its digest, as `sha256sum` prints it."""
        return self.file.digest.removeprefix("sha256:")

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.file.size

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r}, {self.size} bytes, sha256 {self.sha256[:12]}…)"


class KnownRun:
    """A run as the service last described it."""

    def __init__(self, status: RunStatus) -> None:
        self.status = status

    @property
    def id(self) -> str:
        """What names it."""
        return self.status.run

    @property
    def state(self) -> RunState:
        """Where it stood when the service was last asked."""
        return self.status.state

    def __repr__(self) -> str:
        done = f"{self.status.recipe} {self.status.thread}"
        return f"{type(self).__name__}({self.id!r}, {self.state.value}, {done})"


def submitting(
    recipe: str,
    thread: str,
    parameters: Mapping[str, Parameter] | None,
    *,
    fresh: bool,
    label: str,
    key: str | None,
) -> Submitting:
    """What is to be submitted; without a key it gets one of its own, so that a lost answer does not run it twice."""
    return Submitting(
        recipe=recipe,
        thread=thread,
        key=key or secrets.token_hex(16),
        parameters=parameters or {},
        fresh=fresh,
        label=label,
    )
