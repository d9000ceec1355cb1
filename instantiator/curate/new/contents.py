"""The list of contents of a base suite, kept in the cache: only libraries and commands, which is all that is asked."""

from __future__ import annotations

from pathlib import Path

from instantiator.atomic import replace_bytes
from instantiator.image.debian import Archive, fetch_contents
from instantiator.image.scratch import scratch_folder
from instantiator.progress import Progress, step


def ensure_contents(archive: Archive, cache: Path, scratch: Path, progress: Progress) -> Path:
    """The list as a file, fetched once through apt, which checks its signature; delete it to have it fetched anew."""
    target = cache / "contents" / f"{archive.suite}-{archive.architecture}.txt"
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        scratch_folder(scratch, "contents-") as room,
        step(progress, f"fetch the contents of {archive.suite}") as at,
    ):
        fetch_contents(archive, room / "all")
        with (room / "all").open("rb") as lines:
            kept = [line for line in lines if b".so" in line or b"bin/" in line[:10]]
        replace_bytes(target, b"".join(kept))
        at.detail = f"{len(kept):,} libraries and commands"
    return target
