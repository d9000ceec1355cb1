"""What sessions work with, handed in by the entry point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from instantiator.dataset import OpenDataset
from instantiator.engine import Engine
from instantiator.image.build import Workshop
from instantiator.image.fetch import Mirrors
from instantiator.image.lock import Lock
from instantiator.job.backend import Observe
from instantiator.recipe.model import Recipe
from instantiator.session.model import SessionLimits
from provenance.store import Store
from provenance.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How many sessions one user, and all users together, may have at a time; how many displays wait idle.

    `launches`: how many of them may be launching at a time; the others wait for their turn.
    """

    per_user: int = 4
    together: int = 50
    idle_displays: int = 0
    launches: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBench:
    """What sessions work with. `open_dataset` gives a dataset by name, be it one the recipe brings."""

    home: Path
    vault: Vault
    store: Store
    engine: Engine
    workshop: Workshop
    mirrors: Mirrors
    recipe: Callable[[str], Recipe]
    lock: Callable[[Recipe], Lock]
    open_dataset: Callable[[str, Recipe, Lock], OpenDataset]
    host: Callable[[], Mapping[str, object]]
    limits: SessionLimits = field(default_factory=SessionLimits)
    quota: Quota = field(default_factory=Quota)
    gateway_gid: int | None = None
    observe: Observe | None = None
    window_patience_s: float = 60.0
    """How long a launch waits for the window its GUI declares."""

    @property
    def sessions_dir(self) -> Path:
        """A folder for each session."""
        return self.home / "sessions"
