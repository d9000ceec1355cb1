"""Which Debian package of a suite brings a library or an interpreter: by the archive's own list of contents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_FOLDERS = ("lib", "usr/lib", "bin", "usr/bin", "sbin", "usr/sbin")
_TRIPLET = re.compile(r"(?:usr/)?lib(?:64|32|x32)?/(?:[a-z0-9_]+-linux-gnu/)?([^/]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """Names, each with its package; and those no package of the suite brings."""

    packages: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def map_names(names: Iterable[str], contents: Path) -> Mapped:
    """Find libraries (`libcfitsio.so.10`) and programs (`/usr/bin/wish`, `perl`) in a list of contents."""
    wanted = set(names)
    found: dict[str, str] = {}
    if wanted:
        with contents.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                path, _, where = line.rstrip().rpartition(" ")
                package = where.split(",")[0].rpartition("/")[2]
                for name in names_of(path.rstrip()) & wanted:
                    found[name] = min(found.get(name, package), package, key=lambda one: (len(one), one))
    return Mapped(packages=dict(sorted(found.items())), missing=tuple(sorted(wanted - found.keys())))


def names_of(path: str) -> set[str]:
    """What a file of the archive may be called by."""
    folder, _, name = path.rpartition("/")
    if ".so" in name:
        return {name, f"/{path}"} if _TRIPLET.fullmatch(path) else set()
    if folder in _FOLDERS and not name.endswith((".so", ".a")):
        return {name, f"/{path}", f"/{path.removeprefix('usr/')}", f"/usr/{path.removeprefix('usr/')}"}
    return set()
