"""What a queue works with: the bench of the commands, as far as it needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from instantiator.progress import Progress
from instantiator.queue.model import QueueLimits, Share
from instantiator.thread.start import Shelf

if TYPE_CHECKING:
    from instantiator.engine import Engine
    from instantiator.image.build import Workshop
    from instantiator.image.fetch import Mirrors
    from instantiator.image.lock import Lock, LockedSource
    from instantiator.recipe.model import Recipe
    from instantiator.settings import Settings
    from provenance.store import Store
    from provenance.vault import Vault


class QueueBench(Protocol):
    """The same as the portal's bench: each part is made when it is first asked for."""

    @property
    def settings(self) -> Settings:
        """The settings."""

    @property
    def vault(self) -> Vault:
        """The vault."""

    @property
    def store(self) -> Store:
        """The index of runs."""

    @property
    def engine(self) -> Engine:
        """The container engine; raises where none answers."""

    @property
    def mirrors(self) -> Mirrors:
        """Where packages come from."""

    @property
    def workshop(self) -> Workshop:
        """What images are built with."""

    def recipe(self, name: str) -> Recipe:
        """The recipe `name` or `name/version`."""

    def lock(self, recipe: Recipe) -> Lock:
        """The lock that answers a recipe."""


def limits_of(settings: Settings, shares: Callable[[str], Share] | None = None) -> QueueLimits:
    """The limits as the settings give them, and those of each user."""
    return QueueLimits(
        queued_together=settings.queued_together,
        queued_per_user=settings.queued_per_user,
        executing_per_user=settings.executing_per_user,
        shares=shares,
        reexecuted_percent=settings.reexecuted_percent,
    )


def shelf_of(bench: QueueBench, progress: Progress) -> Shelf:
    """Where datasets come from."""

    def bring(source: LockedSource, lock: Lock) -> None:
        from instantiator.image.fetch import fetch_source, wheel_target

        fetch_source(source, wheel_target(lock, bench.mirrors), bench.vault, progress)

    settings = bench.settings
    return Shelf(
        vault=bench.vault,
        store=bench.store,
        trees_dir=settings.trees_dir,
        scratch=settings.scratch_dir,
        bring=bring,
    )
