"""Metrics for Prometheus: counted from the store when they are asked for, and what the service itself has seen.

Runs are counted in the store, which service and workers share: no process keeps numbers for another. Every label
has a bounded set of values: names no catalogue knows are counted together.
"""

from __future__ import annotations

import platform
import shutil
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from instantiator import __version__
from instantiator.operate.health import HealthBench
from instantiator.recipe.load import find_recipes
from instantiator.session.model import Session, SessionState
from provenance.compare.model import Grade
from provenance.fixity import VaultStatus, status
from provenance.record import RunState
from provenance.store import Figures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LAUNCH_SECONDS = (0.5, 1, 2, 3, 5, 8, 13, 21, 34, 60, 120)
_COUNT_VAULT_EVERY_S = 300.0
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is measured: the bench of the service, and its sessions."""

    bench: HealthBench
    sessions: Callable[[], Iterable[Session]]


class Meters:
    """What one service has seen since it was started, and the figures of its store at the moment they are asked."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "thaw_http_requests",
            "HTTP requests by method, route and status",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "thaw_http_request_seconds",
            "Time until an answer was sent whole",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._launches = Histogram(
            "thaw_session_launch_seconds",
            "Time from opening a session to its first frame",
            buckets=_LAUNCH_SECONDS,
            registry=self._registry,
        )
        self._began = datetime.now(UTC)
        self._launched: set[str] = set()
        self._lock = threading.Lock()
        self._vault: tuple[float, VaultStatus] | None = None

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One more request; `route` is a template, never a path somebody asked for."""
        method = method if method in _METHODS else OTHER
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def render(self, watched: Watched) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry_of(watched))

    def serve(self, watched: Watched, port: int) -> WSGIServer:
        """Serve them to this host alone, on a port of their own, in a thread; close what is returned."""
        server, _ = start_http_server(port, addr="127.0.0.1", registry=self._registry_of(watched))
        return server

    def _registry_of(self, watched: Watched) -> CollectorRegistry:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected(lambda: self._collect(watched)))
        return registry

    def _collect(self, watched: Watched) -> Iterator[Metric]:
        sessions = tuple(watched.sessions())
        self._count_launches(sessions)
        yield from _Moment(watched.bench, sessions, self._vault_status(watched.bench)).collect()
        yield from self._registry.collect()

    def _count_launches(self, sessions: Collection[Session]) -> None:
        """Sessions that became ready since the last time. They are listed for days after their end: none is missed."""
        with self._lock:
            for one in sessions:
                if one.ready is not None and one.ready > self._began and one.id not in self._launched:
                    self._launched.add(one.id)
                    self._launches.observe(max(0.0, (one.ready - one.created).total_seconds()))
            self._launched &= {one.id for one in sessions}

    def _vault_status(self, bench: HealthBench) -> VaultStatus:
        """How much the vault holds. Counting looks at every object, so it is done every five minutes."""
        with self._lock:
            if self._vault is None or time.monotonic() - self._vault[0] > _COUNT_VAULT_EVERY_S:
                self._vault = (time.monotonic(), status(bench.vault))
            return self._vault[1]


class _Collected(Collector):
    """Metrics that are made when they are asked for, and not before."""

    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def describe(self) -> Iterator[Metric]:
        """Nothing is known beforehand."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        return self._collect()


class _Moment:
    """The figures of one moment."""

    def __init__(self, bench: HealthBench, sessions: Collection[Session], vault: VaultStatus) -> None:
        self._bench = bench
        self._sessions = sessions
        self._vault = vault

    def collect(self) -> Iterator[Metric]:
        """Every metric that is read and not counted."""
        figures, now = self._bench.store.figures(), datetime.now(UTC)
        known = {
            f"{folder.parent.name}/{folder.name}" for folder in find_recipes(self._bench.settings.recipes_dir)
        }
        yield _info()
        yield _runs(figures, known)
        yield from _queue(figures, now)
        yield _counted("thaw_answers", "Runs answered from the record of an earlier one", figures.answered)
        yield _verdicts(figures)
        yield from self._workers(now)
        yield _states("thaw_sessions", "Sessions by state", self._sessions)
        yield from self._disk()

    def _workers(self, now: datetime) -> Iterator[Metric]:
        beats = [worker.beat for worker in self._bench.store.queue.workers()]
        yield _gauge("thaw_workers", "Worker processes that said they live", len(beats))
        if beats:
            age = (now - max(beats)).total_seconds()
            yield _gauge("thaw_worker_heartbeat_age_seconds", "Since the last word of a worker", max(0, age))

    def _disk(self) -> Iterator[Metric]:
        yield _gauge(
            "thaw_vault_objects", "Objects in the vault, counted every five minutes", self._vault.objects
        )
        yield _gauge("thaw_vault_bytes", "Their bytes", self._vault.size)
        free = shutil.disk_usage(self._bench.settings.home).free
        yield _gauge("thaw_disk_free_bytes", "Room left on the disk of the state folder", free)


def _info() -> Metric:
    info = InfoMetricFamily("thaw_build", "The Thaw that runs")
    info.add_metric((), {"version": __version__, "python": platform.python_version()})
    return info


def _runs(figures: Figures, known: Collection[str]) -> Metric:
    counted: Tally[tuple[str, str]] = Tally()
    for (state, recipe), number in figures.runs.items():
        counted[state.value, recipe if recipe in known else OTHER] += number
    runs = GaugeMetricFamily("thaw_runs", "Runs by state and recipe", labels=("state", "recipe"))
    for state in RunState:
        for recipe in sorted({recipe for _, recipe in counted}):
            runs.add_metric((state.value, recipe), counted[state.value, recipe])
    return runs


def _queue(figures: Figures, now: datetime) -> Iterator[Metric]:
    oldest = figures.oldest_waiting
    age = max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0.0
    yield _gauge("thaw_queue_length", "Runs that wait for their turn", figures.waiting)
    yield _gauge("thaw_queue_age_seconds", "How long the first of them waits", age)
    yield _gauge("thaw_queue_executing", "Runs of the queue that are executed now", figures.executing)
    yield _gauge("thaw_queue_granted_cpus", "CPUs they were given together", figures.granted_cpus)
    granted = figures.granted_memory_mb * _MIB
    yield _gauge("thaw_queue_granted_memory_bytes", "Memory they were given together", granted)


def _verdicts(figures: Figures) -> Metric:
    verdicts = CounterMetricFamily("thaw_verdicts", "Verdicts by grade", labels=("grade",))
    for grade in Grade:
        verdicts.add_metric((grade.value,), figures.verdicts.get(grade.value, 0))
    return verdicts


def _states(name: str, text: str, sessions: Collection[Session]) -> Metric:
    counted = Tally(one.state for one in sessions)
    gauge = GaugeMetricFamily(name, text, labels=("state",))
    for state in SessionState:
        gauge.add_metric((state.value,), counted[state])
    return gauge


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counted(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
