"""Every lock this Thaw knows: those of the recipes, and the builder's."""

from __future__ import annotations

from pathlib import Path

from instantiator.image.builder import builder_lock
from instantiator.image.lock import FILE, Lock, lock_from_yaml


def known_locks(recipes_dir: Path) -> tuple[Lock, ...]:
    """The committed locks, by path, and the builder's last."""
    files = sorted(recipes_dir.glob(f"*/*/{FILE}"))
    locks = [lock_from_yaml(file.read_bytes(), where=str(file)) for file in files]
    return (*locks, builder_lock())
