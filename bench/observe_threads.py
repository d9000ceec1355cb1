"""What observing costs a thread: no observer, fanotify, polling, ReproZip, in turn in one run, as ratios to none.

    python bench/observe_threads.py [ROUNDS [TRACED_ROUNDS]]

Runs the EPS thread, the MIDAS thread and 1,000 forks of a shell, each as the job Thaw would
execute. docs/observation.md has the result.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from instantiator.commands.common import Bench
from instantiator.commands.start import lock_of, pinned_environment, shelf_of
from instantiator.commands.steps import progress
from instantiator.job.backend import Backend, Observe
from instantiator.job.backends.docker import DockerBackend
from instantiator.job.spec import JobSpec, Mount, RunId
from instantiator.observe import Observer, describe_target
from instantiator.observe.polling import PollingObserver
from instantiator.observe.watching import FanotifyObserver
from instantiator.thread.plan import RunFolders, find_thread, job_spec
from instantiator.thread.start import start_thread
from instantiator.trace.backend import TracingBackend
from instantiator.trace.tree import prepare_tree

THREADS = {
    "EPS thread": ("rosetta-eps", "simulate", {"scenario": "eps-bepicolombo-2015"}),
    "MIDAS thread": ("eso-midas", "image-statistics", {"image": "xmm-psr-j0030"}),
}
FORKS = "i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i+1)); done"


def main() -> None:
    """Print a line for each load and mechanism."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    traced_rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    bench = Bench()
    tree = prepare_tree(bench.vault, bench.settings.cache_dir, bench.mirrors, progress())
    for name, plan in list_loads(bench).items():
        times: dict[str, list[float]] = {"none": [], "fanotify": [], "polling": [], "reprozip": []}
        for number in range(max(rounds, traced_rounds)):
            for way, found in times.items():
                if number < (traced_rounds if way == "reprozip" else rounds):
                    found.append(run_once(bench, plan, way, tree))
        plain = times["none"]
        for way, found in times.items():
            median = statistics.median(found)
            ratio, best = median / statistics.median(plain), min(found) / min(plain)
            print(f"{name:<14} {way:<9} {median:7.3f} s  {ratio:6.2f}x  best {best:6.2f}x", flush=True)


def list_loads(bench: Bench) -> Mapping[str, Callable[[Path], JobSpec]]:
    """What is run: a job for each folder it may write to."""
    loads: dict[str, Callable[[Path], JobSpec]] = {}
    for name, (recipe_name, thread_name, datasets) in THREADS.items():
        recipe = bench.recipe(recipe_name)
        environment = pinned_environment(bench, lock_of(bench, recipe))
        thread = find_thread(recipe, thread_name)
        started = start_thread(recipe, thread, environment, shelf_of(bench), datasets=datasets, parameters={})

        def make(folder: Path, started=started) -> JobSpec:  # type: ignore[no-untyped-def]
            folders = RunFolders(root=folder)
            for needed in (folders.work, folders.out):
                needed.mkdir()
            if started.plan.script is not None:
                folders.script.write_bytes(started.plan.script)
            return job_spec(started.plan, RunId("bench"), folders, started.sources)

        loads[name] = make
    eps = loads["EPS thread"]

    def forks(folder: Path) -> JobSpec:
        job = eps(folder)
        mounts: tuple[Mount, ...] = tuple(mount for mount in job.mounts if not mount.read_only)
        return replace(job, command=("sh", "-c", FORKS), mounts=mounts)

    loads["1,000 forks"] = forks
    return loads


def run_once(bench: Bench, make: Callable[[Path], JobSpec], way: str, tree: Path) -> float:
    """The wall time of one run under one way of observing."""
    with tempfile.TemporaryDirectory(prefix="thaw-bench-") as scratch, tempfile.TemporaryFile() as log:
        folder = Path(scratch)
        folder.chmod(0o755)
        backend: Backend = DockerBackend(bench.engine, home=folder, observe=observe_with(bench, way))
        if way == "reprozip":
            (folder / "trace").mkdir()
            backend = TracingBackend(backend, tree=tree, folder=folder / "trace")
        result = backend.execute(make(folder), log=log, cancel=threading.Event())
        if result.exit_status != 0:
            raise SystemExit(f"{way}: {result}")
        return result.wall_s


def observe_with(bench: Bench, way: str) -> Observe | None:
    """The observer of one way; none where the container is not looked at from outside."""
    if way not in ("fanotify", "polling"):
        return None

    def observe(container: str, job: JobSpec) -> Callable[[], Mapping[str, object]]:
        kind = FanotifyObserver if way == "fanotify" else PollingObserver
        observer: Observer = kind(lambda: datetime.now(UTC))
        observer.start(describe_target(bench.engine.wire, container, job.mounts))
        return lambda: observer.stop().to_json()

    return observe


if __name__ == "__main__":
    main()
