"""Judge a repeat, or files on disk, against a record."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from instantiator.thread.errors import InputWrong
from instantiator.thread.outcome import find_outputs
from provenance.digest import digest_file
from provenance.record import Record, RecordedOutput, Rule
from provenance.vault import Vault
from provenance.verdict import Verdict, judge


def judge_repeat(record: Record, repeated: Record, vault: Vault, *, reason: str = "") -> Verdict:
    """Judge the outputs of a repeat; a repeat that ended otherwise is not the same, whatever its outputs say."""
    return judge(
        record.outputs,
        repeated.outputs,
        run=record.run,
        repeated_by=repeated.run,
        judged=datetime.now(UTC),
        open_expected=vault.path,
        open_found=lambda output: vault.path(output.digest),
        reason=reason or _other_end(record, repeated),
    )


def _other_end(record: Record, repeated: Record) -> str:
    before = (record.state, record.exit_status, record.message)
    if before == (repeated.state, repeated.exit_status, repeated.message):
        return ""
    return f"the run {_end(record)}, its repeat {_end(repeated)}"


def _end(record: Record) -> str:
    status = f" with exit status {record.exit_status}" if record.exit_status is not None else ""
    return f"{record.state}{status}{': ' + record.message if record.message else ''}"


def judge_folder(record: Record, folder: Path, vault: Vault) -> Verdict:
    """Judge the files of a folder as if a repeat had given them; nothing is executed."""
    if not folder.is_dir():
        raise InputWrong(
            "there is no such folder of outputs",
            where=str(folder),
            hint="name the folder `thaw run -o` filled",
        )
    vault.verify_many({o.digest: f"run {record.run}: output {o.name}, file {o.path}" for o in record.outputs})
    found = tuple(
        RecordedOutput(
            name=output.name,
            path=output.path,
            digest=digest_file(output.file),
            size=output.file.stat().st_size,
            media_type=output.media_type,
            rule=Rule(rule=output.rule, options=output.options),
        )
        for output in find_outputs(record.job, folder)
    )
    return judge(
        record.outputs,
        found,
        run=record.run,
        repeated_by="",
        judged=datetime.now(UTC),
        open_expected=vault.path,
        open_found=lambda output: folder / output.path,
    )
