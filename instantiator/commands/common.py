"""What every command shares: the --json option, what it works with, how it shows steps and tables."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from instantiator.memory import fingerprint_files, remember
from instantiator.recipe.find import find_recipe
from instantiator.settings import Settings, read_settings
from provenance.store import Journal, Store, open_store
from provenance.vault import Vault

if TYPE_CHECKING:
    from instantiator.engine import Engine
    from instantiator.image.build import Workshop
    from instantiator.image.fetch import Mirrors
    from instantiator.image.lock import Lock
    from instantiator.recipe.model import Recipe

Function = TypeVar("Function", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print data alone, as JSON.")


class Bench:
    """What commands work with, each made when it is first asked for."""

    @cached_property
    def settings(self) -> Settings:
        """The settings, read once."""
        return read_settings()

    @cached_property
    def vault(self) -> Vault:
        """The vault of this user."""
        return Vault(self.settings.vault_dir)

    @cached_property
    def store(self) -> Store:
        """The index of runs."""
        return open_store(
            self.settings.store_file, journal=Journal(self.settings.vault_dir), vault=self.vault
        )

    @cached_property
    def engine(self) -> Engine:
        """The container engine; raises `engine-unreachable` where none answers."""
        from instantiator.engine import Engine

        return Engine.connect(self.settings.docker_host)

    @cached_property
    def mirrors(self) -> Mirrors:
        """Where Debian packages come from."""
        from instantiator.image.fetch import Mirrors

        settings = self.settings
        return Mirrors(
            debian=settings.debian_mirror,
            snapshot=settings.snapshot_mirror,
            pip_args=tuple(shlex.split(settings.pip_args.reveal())) if settings.pip_args else (),
        )

    @cached_property
    def workshop(self) -> Workshop:
        """What images are built with."""
        from instantiator.image.build import Workshop

        return Workshop(vault=self.vault, engine=self.engine, scratch=self.settings.scratch_dir)

    def recipe(self, name: str) -> Recipe:
        """The recipe called `name` or `name/version`; parsed only where its files changed since the last time."""
        folder = find_recipe(self.settings.recipes_dir, name)

        def load() -> Recipe:
            from instantiator.recipe.load import load_recipe

            return load_recipe(folder)

        return remember(self._memory_of(folder), "recipe", self._fingerprint(folder), load)

    def lock(self, recipe: Recipe) -> Lock:
        """The lock that answers a recipe; raises where none does. Parsed only where a file changed."""
        from instantiator.image.lock import refuse_unlocked

        memory, fingerprint = self._memory_of(recipe.folder), self._fingerprint(recipe.folder)
        return remember(memory, "lock", fingerprint, lambda: refuse_unlocked(recipe))

    def _memory_of(self, folder: Path) -> Path:
        return self.settings.cache_dir / "recipes" / f"{folder.parent.name}-{folder.name}"

    def _fingerprint(self, folder: Path) -> str:
        """Of the recipe's files, and of the code that reads them."""
        package = Path(__file__).parents[1]
        return fingerprint_files([folder, package / "recipe", package / "image" / "lock.py"])


def show(data: object, *, as_json: bool, human: str | None) -> None:
    """Print the answer: `data` as JSON, or `human` for people; on stdout, and nothing else ever is."""
    if as_json:
        click.echo(json.dumps(data, indent=1, ensure_ascii=False, default=str))
    elif human is not None:
        click.echo(human.rstrip("\n"))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table: columns two spaces apart, no lines, so that it can be cut and grepped."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in (header, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def size_text(size: int) -> str:
    """`1,234 B`, `12.3 kB`, `213.9 MB`, `1.2 GB`: powers of 1000."""
    if size < 10_000:
        return f"{size:,} B"
    for unit, factor in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if size < factor * 1000:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e12:.2f} TB"
