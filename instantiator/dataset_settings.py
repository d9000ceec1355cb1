"""The setting that says from which folders of this host datasets may be registered over HTTP."""

from __future__ import annotations

from pathlib import Path


def read_folders(value: object) -> tuple[Path, ...]:
    """Absolute folders: a list, or a text with colons between them. Raises `ValueError` saying what is expected."""
    given = value.split(":") if isinstance(value, str) else value
    if not isinstance(given, list) or not all(
        isinstance(item, str) and item.startswith("/") and item.strip("/") for item in given
    ):
        raise ValueError("absolute paths of folders, and not /: as /data:/archive")
    return tuple(Path(item).resolve() for item in given)
