"""Keep the worker of a service alive: one that dies is started again, one that hangs is killed first."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from instantiator.commands.stopping import Stopping
from provenance.errors import ThawError
from provenance.store import Store

_log = logging.getLogger(__name__)
_HUNG = timedelta(seconds=60)
_STOP_PATIENCE_S = 30
_SHORT_LIFE_S = 5
_PAUSE_S = 5


@contextmanager
def kept_worker(store: Store, stopping: Stopping) -> Iterator[None]:
    """A worker executes what is queued while the body runs; then it ends what it has under way, or hands it back."""
    stop = threading.Event()
    keeping = threading.Thread(target=_keep, args=(store, stopping, stop), name="worker-keeper")
    keeping.start()
    try:
        yield
    finally:
        stop.set()
        keeping.join()


def _keep(store: Store, stopping: Stopping, stop: threading.Event) -> None:
    command = [sys.executable, "-m", "instantiator.cli", "worker", "--parent", str(os.getpid())]
    command += ["--grace", str(stopping.grace_s)]
    while not stop.is_set():
        started = time.monotonic()
        process = subprocess.Popen(command, start_new_session=True, stdout=sys.stderr)
        try:
            while process.poll() is None and not stop.wait(0.5):
                if _hangs(store, process.pid):
                    process.kill()
        finally:
            _end(process, stopping)
        if not stop.is_set():
            _log.error("the worker ended and is started again", extra={"status": process.returncode})
            stop.wait(_PAUSE_S if time.monotonic() - started < _SHORT_LIFE_S else 0)


def _hangs(store: Store, pid: int) -> bool:
    """Whether the worker has not said for long that it lives: a process can be there and do nothing."""
    try:
        beats = [worker.beat for worker in store.queue.workers() if worker.owner.pid == pid]
    except ThawError:  # the store is busy: that is no fault of the worker
        return False
    return bool(beats) and datetime.now(UTC) - max(beats) > _HUNG


def _end(process: subprocess.Popen[bytes], stopping: Stopping) -> None:
    """Tell the worker to end; it is told again, which means at once, where the service is in a hurry by then."""
    process.terminate()
    while process.poll() is None and stopping.has_grace:
        time.sleep(0.1)
    if process.poll() is None and stopping.grace_s:
        process.terminate()
    try:
        process.wait(_STOP_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
