"""From what a job did and left behind to how its run ended: exit status, declared outputs, refused patterns."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from instantiator.job.spec import JobEnd, JobResult
from provenance.compare.globs import matches_glob
from provenance.record import RecordedJob, RunState

_ENDS = {
    JobEnd.CANCELLED: RunState.CANCELLED,
    JobEnd.TIMED_OUT: RunState.TIMED_OUT,
    JobEnd.OUT_OF_MEMORY: RunState.OUT_OF_MEMORY,
    JobEnd.ENGINE_LOST: RunState.INTERRUPTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundOutput:
    """A file a run left, and the output of the thread it is."""

    name: str
    path: str
    file: Path
    media_type: str
    rule: str
    options: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended, and in the program's own words why where it failed."""

    state: RunState
    message: str


def find_outputs(job: RecordedJob, out: Path) -> tuple[FoundOutput, ...]:
    """Every file under `out` that an output names, by path. A file belongs to the first output that names it."""
    found: dict[str, FoundOutput] = {}
    files = _list_files(out)
    for declared in job.outputs:
        for path, file in files.items():
            if path not in found and _is_named(path, declared) and _is_text(path):
                found[path] = _found(declared, path, file)
    return tuple(found[path] for path in sorted(found))


def find_unnameable(job: RecordedJob, out: Path) -> tuple[str, ...]:
    """Files that outputs name but no record can: old programs write names in Latin-1."""
    odd = [path for path in _list_files(out) if not _is_text(path)]
    return tuple(
        repr(os.fsencode(path)) for path in odd if any(_is_named(path, item) for item in job.outputs)
    )


def _list_files(out: Path) -> Mapping[str, Path]:
    """Every file under `out` by its path there, sorted; a link is none, wherever it leads."""
    files = sorted(path for path in out.rglob("*") if path.is_file() and not path.is_symlink())
    return {file.relative_to(out).as_posix(): file for file in files}


def _is_named(path: str, declared: Mapping[str, object]) -> bool:
    return matches_glob(path, f"/{declared['path']}")


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _found(declared: Mapping[str, object], path: str, file: Path) -> FoundOutput:
    options = declared["options"]
    return FoundOutput(
        name=str(declared["name"]),
        path=path,
        file=file,
        media_type=str(declared["media_type"]),
        rule=str(declared["rule"]),
        options=options if isinstance(options, Mapping) else {},
    )


def judge_outcome(
    job: RecordedJob,
    result: JobResult,
    outputs: Sequence[FoundOutput],
    log: Path,
    *,
    unnamed: Sequence[str] = (),
) -> Outcome:
    """How the run ended. A program that exits 0 and says it failed has failed."""
    if result.end is not JobEnd.EXITED:
        return Outcome(state=_ENDS.get(result.end, RunState.FAILED), message=result.message)
    complaints = [*_refused(job, outputs, log), *_wrong_exit(job, result), *_missing(job, outputs)]
    complaints += [f"the name of output file {name} is not UTF-8" for name in unnamed]
    if complaints:
        return Outcome(state=RunState.FAILED, message="; ".join(complaints))
    return Outcome(state=RunState.COMPLETED, message="")


def _wrong_exit(job: RecordedJob, result: JobResult) -> Iterator[str]:
    allowed = job.success["exit_status"]
    if isinstance(allowed, (list, tuple)) and result.exit_status not in allowed:
        expected = " or ".join(str(status) for status in allowed)
        yield f"exit status {result.exit_status}, expected {expected}"


def _missing(job: RecordedJob, outputs: Sequence[FoundOutput]) -> Iterator[str]:
    names = {output.name for output in outputs}
    wanted = [declared for declared in job.outputs if declared["required"]]
    missing = [
        f"{declared['name']} ({declared['path']})" for declared in wanted if declared["name"] not in names
    ]
    if missing:
        more = f" and {len(missing) - 2} more" if len(missing) > 2 else ""
        yield f"{len(missing)} of {len(wanted)} outputs missing: {', '.join(missing[:2])}{more}"


def _refused(job: RecordedJob, outputs: Sequence[FoundOutput], log: Path) -> Iterator[str]:
    refusals = job.success["refuse"]
    if not isinstance(refusals, (list, tuple)):
        return
    for refusal in refusals:
        files = (
            [log] if refusal["where"] == "log" else [o.file for o in outputs if o.name == refusal["where"]]
        )
        for file in files:
            lines = list(_matching_lines(file, str(refusal["pattern"])))
            if lines:
                yield _quote(str(refusal["message"]), lines)


def _matching_lines(file: Path, pattern: str) -> Iterator[str]:
    expression = re.compile(pattern)
    with file.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if expression.fullmatch(line.rstrip("\r\n")):
                yield line.strip()


def _quote(message: str, lines: Sequence[str]) -> str:
    more = f" (and {len(lines) - 3} more lines)" if len(lines) > 3 else ""
    return f"{message or 'the log says'}: {' | '.join(lines[:3])}{more}"
