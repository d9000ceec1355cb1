"""Whether the service can work: each part it needs, asked in turn, with what is wrong in words."""

from __future__ import annotations

import http.client
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from provenance.errors import ThawError
from provenance.vault_files import nearest_existing

if TYPE_CHECKING:
    from instantiator.engine import Engine
    from instantiator.settings import Settings
    from provenance.store import Store
    from provenance.vault import Vault

LEAST_FREE = 1 << 30
"""Bytes that must be free for the vault: below, runs would soon end for want of room."""
LATEST_BEAT_S = 15.0
PATIENCE_S = 3.0
KEPT_S = 2.0
"""An answer is given again for so long: whoever asks often costs nothing."""


class HealthBench(Protocol):
    """What the parts are found by; the portal's bench."""

    @property
    def settings(self) -> Settings:
        """The settings."""

    @property
    def vault(self) -> Vault:
        """The vault."""

    @property
    def store(self) -> Store:
        """The index of runs."""

    @property
    def engine(self) -> Engine:
        """The container engine; raises where none answers."""


class PartFails(ThawError):
    """A part of the service does not work now."""

    code = "part-fails"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: whether it works, what is wrong in a sentence for all, and more for operators."""

    name: str
    works: bool
    problem: str = ""
    detail: str = ""


Probe = Callable[[], str]
"""Gives a detail; raises `ThawError` or `OSError` where the part does not work."""

_PROBLEMS: Mapping[str, str] = {
    "engine": "the container engine does not answer: nothing can be run or opened",
    "store": "the index of runs cannot be written",
    "vault": "the vault cannot be written, or too little room is left for it",
    "worker": "no worker says that it lives: submitted runs wait",
    "gateway": "the gateway does not answer",
    "gate": "the service is being stopped: it takes nothing new",
}


def probes_of(bench: HealthBench) -> Mapping[str, Probe]:
    """What is asked of each part."""
    return {
        "engine": lambda: _ask_engine(bench),
        "store": lambda: _write_store(bench.store),
        "vault": lambda: _write_vault(bench.vault),
        "worker": lambda: _hear_worker(bench.store, datetime.now(UTC)),
        "gateway": lambda: _ask_gateway(bench.settings.home / "serve" / "address.json"),
    }


class Readiness:
    """Asks all parts at once, each for a few seconds at most, and never twice at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Future[Part]] = {}
        self._answer: tuple[Part, ...] = ()
        self._asked = float("-inf")

    def ask(self, probes: Mapping[str, Probe]) -> tuple[Part, ...]:
        """Every part, in order."""
        with self._lock:
            if time.monotonic() - self._asked > KEPT_S:
                self._answer = self._ask_all(probes)
                self._asked = time.monotonic()
            return self._answer

    def _ask_all(self, probes: Mapping[str, Probe]) -> tuple[Part, ...]:
        pool = ThreadPoolExecutor(max_workers=len(probes), thread_name_prefix="health")
        for name, probe in probes.items():
            if name not in self._running:
                self._running[name] = pool.submit(_try, name, probe)
        pool.shutdown(wait=False)
        wait(self._running.values(), timeout=PATIENCE_S)
        return tuple(self._take(name) for name in probes)

    def _take(self, name: str) -> Part:
        asked = self._running[name]
        if not asked.done():
            detail = f"no answer within {PATIENCE_S:.0f} s"
            return Part(name=name, works=False, problem=_PROBLEMS[name], detail=detail)
        return self._running.pop(name).result()


def gate_part(*, is_closed: bool) -> Part:
    """The service itself, as a part: it works until it is told to end."""
    return Part(name="gate", works=not is_closed, problem=_PROBLEMS["gate"] if is_closed else "")


def _try(name: str, probe: Probe) -> Part:
    try:
        return Part(name=name, works=True, detail=probe())
    except ThawError as error:
        where = f" ({error.where})" if error.where else ""
        detail = f"{error.message}{where}"
    except OSError as error:
        detail = str(error)
    except Exception as error:  # noqa: BLE001  # a probe that breaks says so: it must not take the answer with it
        detail = f"{type(error).__name__}: {error}"
    return Part(name=name, works=False, problem=_PROBLEMS[name], detail=detail)


def _ask_engine(bench: HealthBench) -> str:
    wire = bench.engine.wire
    status = wire.ask("GET", "/_ping").status
    if status != 200:
        raise PartFails(f"the engine answers with status {status}", where=str(wire.socket_path))
    return str(wire.socket_path)


def _write_store(store: Store) -> str:
    store.check_writable()
    return str(store.path)


def _write_vault(vault: Vault) -> str:
    folder = nearest_existing(vault.temps)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"thaw\n")
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise PartFails(f"{free:,} bytes are free, at least {LEAST_FREE:,} must be", where=str(vault.root))
    return f"{free:,} bytes free at {vault.root}"


def _hear_worker(store: Store, now: datetime) -> str:
    beats = [worker.beat for worker in store.queue.workers()]
    if not beats:
        raise PartFails("no worker works with this state folder")
    age = (now - max(beats)).total_seconds()
    if age > LATEST_BEAT_S:
        raise PartFails(f"the last heartbeat is {age:.0f} s old, at most {LATEST_BEAT_S:.0f} s are usual")
    return f"heartbeat {max(age, 0):.1f} s old"


def _ask_gateway(address_file: Path) -> str:
    try:
        told = json.loads(address_file.read_text())
    except (FileNotFoundError, ValueError):
        raise PartFails("no gateway was started", where=str(address_file)) from None
    host = "127.0.0.1" if told["host"] in ("0.0.0.0", "::") else str(told["host"])
    connection = http.client.HTTPConnection(host, int(told["port"]), timeout=PATIENCE_S)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except http.client.HTTPException as error:
        raise PartFails(f"the gateway does not speak HTTP: {error!r}") from error
    finally:
        connection.close()
    if status != 200:
        raise PartFails(f"the gateway answers with status {status}", where=f"{host}:{told['port']}")
    return f"{host}:{told['port']}"
