"""Keep the worker of a service alive: one that dies is started again, one that hangs is killed first."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import click

from provenance.errors import ThawError
from provenance.store import Store

_HUNG = timedelta(seconds=60)
_STOP_PATIENCE_S = 30
_SHORT_LIFE_S = 5
_PAUSE_S = 5


@contextmanager
def kept_worker(store: Store) -> Iterator[None]:
    """A worker executes what is queued while the body runs; then it hands back what it has under way."""
    stop = threading.Event()
    keeping = threading.Thread(target=_keep, args=(store, stop), name="worker-keeper")
    keeping.start()
    try:
        yield
    finally:
        stop.set()
        keeping.join()


def _keep(store: Store, stop: threading.Event) -> None:
    command = [sys.executable, "-m", "instantiator.cli", "worker", "--parent", str(os.getpid())]
    while not stop.is_set():
        started = time.monotonic()
        process = subprocess.Popen(command, start_new_session=True, stdout=sys.stderr)
        try:
            while process.poll() is None and not stop.wait(0.5):
                if _hangs(store, process.pid):
                    process.kill()
        finally:
            _end(process)
        if not stop.is_set():
            click.echo(
                f"  ! the worker ended with status {process.returncode}; it is started again", err=True
            )
            stop.wait(_PAUSE_S if time.monotonic() - started < _SHORT_LIFE_S else 0)


def _hangs(store: Store, pid: int) -> bool:
    """Whether the worker has not said for long that it lives: a process can be there and do nothing."""
    try:
        beats = [worker.beat for worker in store.queue.workers() if worker.owner.pid == pid]
    except ThawError:  # the store is busy: that is no fault of the worker
        return False
    return bool(beats) and datetime.now(UTC) - max(beats) > _HUNG


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
