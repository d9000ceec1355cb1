"""Which process looks after a run, and whether it still lives. The only place that reads /proc."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from provenance.store.rows import Owner

_PROC = Path("/proc")


def this_process() -> Owner:
    """The process that asks."""
    pid = os.getpid()
    return Owner(pid=pid, start_ticks=_start_ticks(pid) or 0, boot_id=_boot_id())


def is_alive(owner: Owner) -> bool:
    """Whether that very process still runs: not another one with its number, nor one from before a reboot."""
    return owner.boot_id == _boot_id() and _start_ticks(owner.pid) == owner.start_ticks


@lru_cache(maxsize=1)
def _boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def _start_ticks(pid: int) -> int | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The program's name stands in brackets and may hold spaces and brackets: count from the last one.
    fields = stat.rpartition(")")[2].split()
    state, start_ticks = fields[0], fields[19]
    return None if state in "ZX" else int(start_ticks)
