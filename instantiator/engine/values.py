"""What the engine is asked with: which image, which folders of this host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NewType

from provenance.digest import Digest

ImageDigest = NewType("ImageDigest", str)
"""The digest of an image's configuration, `sha256:<64 hex>`: what Docker calls the image ID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder of this host made visible in the container. `digest` is that of the tree, where it is known."""

    source: Path
    target: str
    read_only: bool = True
    digest: Digest | None = None
