"""Hand a run's outputs over: copied to the folder the user named, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from instantiator.thread.errors import OutputFolderTaken
from instantiator.thread.run import FinishedRun


def refuse_taken(target: Path | None) -> None:
    """Raise `OutputFolderTaken` before anything runs where `target` holds files or is none."""
    if target is None or not target.exists():
        return
    if not target.is_dir() or any(target.iterdir()):
        raise OutputFolderTaken(
            "the output folder is not empty: outputs of two runs must not mix",
            where=str(target),
            hint="name a new folder, or empty this one",
        )


def deliver_outputs(finished: FinishedRun, target: Path | None) -> Path:
    """Copy the declared outputs to `target`, all or none; gives the folder they are in.

    Without a target they stay in the run's own. Raises `OSError` where the folder was taken meanwhile.
    """
    if target is None:
        return finished.out
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        for output in finished.record.outputs:
            file = temporary / output.path
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(finished.out / output.path, file)
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target
