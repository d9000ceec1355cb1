"""Executed inside the container of a traced run, by the tracer's own Python: trace, tell what was seen, pack.

`inside.py FOLDER COMMAND...` leaves in FOLDER: `trace/` with ReproZip's trace and `config.yml`, `observed.json`,
`run.rpz`, `log`. It prints nothing and ends as COMMAND ends. It imports nothing of Thaw: Thaw is not there.
"""

# ruff: noqa: PTH104, PTH112, PTH118, PTH119, PTH120, PTH123, PTH208  # `Path` here is ReproZip's own

from __future__ import annotations

import json
import logging
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import redirect_stdout, suppress
from types import FrameType

from reprozip import __version__
from reprozip.common import FILE_READ, FILE_WRITE, File, load_config, save_config
from reprozip.pack import Path, pack
from reprozip.tracer.trace import trace, write_configuration

# Empty when a run begins. What it made there is no part of what a repeat needs, and would be in its way.
_OWN = ("/work", "/out", "/tmp")
_LOOK_S = 0.05


def main(folder: str, command: list[str]) -> int:
    """Trace `command`. SIGTERM would end ReproZip without a trace: it is passed on to the program instead.

    As in a container without a tracer, the program's own end is the end of whatever it started.
    """
    tracer = os.fork()
    if tracer == 0:
        os._exit(_trace_and_pack(folder, command))

    def pass_on(number: int, _frame: FrameType | None) -> None:
        _kill(_children(tracer), number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    has_begun, ended, status = False, 0, 0
    while not ended:
        time.sleep(_LOOK_S)
        program = _children(tracer)
        if has_begun and not program:
            _kill((pid for pid in _processes() if pid not in (1, os.getpid(), tracer)), signal.SIGKILL)
        has_begun = has_begun or bool(program)
        ended, status = os.waitpid(tracer, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _kill(processes: Iterable[int], number: int) -> None:
    for pid in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _children(parent: int) -> list[int]:
    found = []
    for pid in _processes():
        with suppress(OSError), open(f"/proc/{pid}/stat", encoding="latin-1") as stat:
            if int(stat.read().rpartition(")")[2].split()[1]) == parent:
                found.append(pid)
    return found


def _trace_and_pack(folder: str, command: list[str]) -> int:
    logger = logging.getLogger("reprozip")
    logger.addHandler(logging.FileHandler(f"{folder}/log"))
    logger.propagate = False
    directory = Path(folder) / "trace"
    ended: int = trace(command[0], command, directory, None)
    try:
        with open(f"{folder}/log", "a", encoding="utf-8") as log, redirect_stdout(log):
            _tell_observed(f"{folder}/trace/trace.sqlite3", f"{folder}/observed.json")
            tempfile.tempdir = folder
            write_configuration(directory, False, True)
            _leave_out_own_files(directory / "config.yml")
            pack(Path(folder) / "packing", directory, False)
        os.rename(f"{folder}/packing", f"{folder}/run.rpz")
    except (Exception, SystemExit):  # the program has ended well or not: packing does not change how
        logger.exception("packing failed")
    return 128 + (ended & 0xFF) if ended & 0x100 else ended & 0xFF


def _leave_out_own_files(file: Path) -> None:
    config = load_config(file, canonical=False)
    runs, packages, others = config
    kept = [one for one in others if not str(one.path).startswith(tuple(f"{own}/" for own in _OWN))]
    kept = [one for one in kept if str(one.path) not in _OWN] + [
        File(Path(own)) for own in _OWN if os.path.isdir(own)
    ]
    save_config(file, runs, packages, kept, __version__, config.inputs_outputs)


def _tell_observed(database: str, target: str) -> None:
    """What the trace has seen, as a record keeps it."""
    connection = sqlite3.connect(database)
    connection.text_factory = bytes
    opened = "SELECT name FROM opened_files WHERE is_directory = 0 AND mode & ?"
    seen = {
        "files_read": _count(_follow(name) for (name,) in connection.execute(opened, (FILE_READ,))),
        "files_written": _count(_find_written(name) for (name,) in connection.execute(opened, (FILE_WRITE,))),
        "programs": _count(
            _follow(name) for (name,) in connection.execute("SELECT name FROM executed_files")
        ),
    }
    connection.close()
    with open(target, "w", encoding="utf-8") as file:
        json.dump(seen, file)


def _follow(name: bytes) -> bytes:
    return os.path.realpath(name)


def _find_written(name: bytes) -> bytes:
    """Where a write went: to what a link leads to, or to the link itself where that was what was made."""
    path = os.path.realpath(name)
    if os.access(path, os.W_OK):
        return path
    return os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name))


def _count(paths: Iterable[bytes]) -> list[dict[str, object]]:
    times: dict[str, int] = {}
    for path in paths:
        if not path.startswith((b"/proc/", b"/sys/", b"/dev/")) and not os.path.isdir(path):
            text = path.decode("utf-8", "backslashreplace")
            times[text] = times.get(text, 0) + 1
    return [{"path": path, "times": times[path], "first": None} for path in sorted(times)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
