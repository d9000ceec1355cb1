"""What a run did that its recipe does not say: files from nowhere, inputs never read, writes elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from instantiator.observe.mounts import is_kernel_path

_TOLD = 20


class FindingCode(StrEnum):
    """The kinds of findings."""

    UNDECLARED_INPUT = "undeclared-input"
    UNDECLARED_PROGRAM = "undeclared-program"
    INPUT_NOT_READ = "input-not-read"
    WRITE_OUTSIDE = "write-outside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing the recipe does not say: `paths` are the first 20 of `count`."""

    code: FindingCode
    message: str
    paths: tuple[str, ...] = ()
    count: int = 0

    def to_json(self) -> dict[str, object]:
        """As it stands in a record."""
        return {
            "code": self.code.value,
            "message": self.message,
            "paths": list(self.paths),
            "count": self.count,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What may be read and written: `inputs` by name and mount, `files` others that are mounted to be read,
    `writable` folders, and every path of the image; None where the list of those is not at hand."""

    inputs: Mapping[str, str]
    files: tuple[str, ...]
    writable: tuple[str, ...]
    image: Collection[str] | None


def find_undeclared(observed: Mapping[str, object], declared: Declared) -> tuple[Finding, ...]:
    """The findings of one observation, worst first."""
    read, written, programs = (_paths(observed, key) for key in ("files_read", "files_written", "programs"))
    return (
        *_find_strangers(read - programs, written, declared, FindingCode.UNDECLARED_INPUT),
        *_find_strangers(programs, written, declared, FindingCode.UNDECLARED_PROGRAM),
        *_find_writes(written, declared),
        *(_find_unread(read, declared) if is_complete(observed) else ()),
    )


def is_complete(observed: Mapping[str, object]) -> bool:
    """Whether what is not in the observation was not done: not so where an observer may have looked away."""
    return observed.get("mechanism") in ("fanotify", "reprozip") and not observed.get("lost_events")


def _find_strangers(
    seen: Iterable[str], written: Collection[str], declared: Declared, code: FindingCode
) -> Iterator[Finding]:
    """Files that are neither the image's, nor an input's, nor made by the run itself."""
    if declared.image is None:
        return
    known = (*declared.inputs.values(), *declared.files, *declared.writable)
    strangers = sorted(
        path
        for path in seen
        if not _is_below(path, known)
        and path not in declared.image
        and path not in written
        and not is_kernel_path(path)
        and "\\x" not in path
    )
    if strangers:
        word = "executed" if code is FindingCode.UNDECLARED_PROGRAM else "read"
        text = f"{_files(strangers)} {word} that neither the image nor an input holds"
        yield _finding(code, text, strangers)


def _find_writes(written: Iterable[str], declared: Declared) -> Iterator[Finding]:
    outside = sorted(
        path for path in written if not _is_below(path, declared.writable) and not is_kernel_path(path)
    )
    if outside:
        where = ", ".join(declared.writable)
        yield _finding(FindingCode.WRITE_OUTSIDE, f"{_files(outside)} written outside {where}", outside)


def _find_unread(read: Iterable[str], declared: Declared) -> Iterator[Finding]:
    paths = tuple(read)
    for name, mount in sorted(declared.inputs.items()):
        if not any(_is_below(path, (mount,)) for path in paths):
            yield _finding(
                FindingCode.INPUT_NOT_READ, f"input {name} was given and no file of it was read", []
            )


def _finding(code: FindingCode, message: str, paths: list[str]) -> Finding:
    return Finding(code=code, message=message, paths=tuple(paths[:_TOLD]), count=len(paths))


def _files(paths: list[str]) -> str:
    return "1 file was" if len(paths) == 1 else f"{len(paths)} files were"


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _paths(observed: Mapping[str, object], key: str) -> frozenset[str]:
    found = observed.get(key)
    return frozenset(str(item["path"]) for item in found) if isinstance(found, list) else frozenset()
