"""Ratios against the tools Thaw stands beside, both sides measured in turn in one run. `make bench` runs it.

Every figure is a median of pairs (Thaw, the other, Thaw, the other, ...) on the same warm machine: absolute times say
little on a shared one. A goal that is missed is marked; nothing is tested here.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
THAW = Path(sys.executable).with_name("thaw")
RECIPE, THREAD, DATASET = "rosetta-eps", "simulate", "eps-bepicolombo-2015"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One line of the result: Thaw's median over the other's, in seconds unless `unit` says otherwise."""

    what: str
    ours: float
    other: float
    goal: str
    is_met: bool
    note: str = ""

    def line(self) -> str:
        """The line as it is printed."""
        mark = "✓" if self.is_met else "✗"
        return (
            f"{mark} {self.what:<58} {self.ours:8.3f} {self.other:8.3f} {self.ours / self.other:6.2f}x"
            f"  goal {self.goal}{'  ' + self.note if self.note else ''}"
        )


def measure(action: Callable[[], object]) -> float:
    """The wall time of one call, in seconds."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def compare(ours: Callable[[], object], other: Callable[[], object], *, pairs: int) -> tuple[float, float]:
    """Medians of both, measured in turn after one warm-up of each."""
    ours(), other()
    times = [(measure(ours), measure(other)) for _ in range(pairs)]
    return statistics.median(a for a, _ in times), statistics.median(b for _, b in times)


def call(*command: str | Path) -> None:
    """Run a command to its end; what it prints is read and dropped."""
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def main() -> None:
    """Print every ratio."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("THAW_HOME", str(ROOT / ".thaw/bench"))
    os.environ["THAW_RECIPES"] = str(ROOT / "recipes")
    subprocess.run([str(THAW), "recipe", "build", RECIPE, "--force"], check=True)
    head = f"{'':2}{'median seconds':<58} {'thaw':>8} {'other':>8} {'ratio':>7}"
    print(head)
    for bench in (bench_runs, bench_rebuild, bench_hashing, bench_start, bench_store):
        for ratio in bench():
            print(ratio.line(), flush=True)


def bench_runs() -> list[Ratio]:
    """A run in a resident process, and from a cold shell, against `docker run` of the same command."""
    from instantiator.commands.common import Bench
    from instantiator.commands.start import pinned_environment, run_bench, shelf_of
    from instantiator.image.lock import refuse_unlocked
    from instantiator.thread.plan import find_thread
    from instantiator.thread.run import execute_plan
    from instantiator.thread.start import start_thread

    bench = Bench()
    recipe = bench.recipe(RECIPE)
    environment = pinned_environment(bench, refuse_unlocked(recipe))
    made, shelf = run_bench(bench), shelf_of(bench)
    spent: dict[str, list[float]] = {"plan": [], "job": [], "keep": []}

    def resident() -> None:
        begun = time.perf_counter()
        thread = find_thread(recipe, THREAD)
        started = start_thread(
            recipe, thread, environment, shelf, datasets={"scenario": DATASET}, parameters={}
        )
        planned = time.perf_counter()
        finished = execute_plan(
            started.plan, started.sources, made, cancel=threading.Event(), hear=lambda _content: None
        )
        wall = finished.record.resources["wall_s"] or 0.0
        spent["plan"].append(planned - begun)
        spent["job"].append(wall)
        spent["keep"].append(time.perf_counter() - planned - wall)

    resident()
    with tempfile.TemporaryDirectory() as folder:
        docker = docker_run(bench, environment.image, Path(folder))
        ours, other = compare(resident, docker, pairs=15)
        share = ", ".join(f"{name} {statistics.median(times) * 1000:.0f} ms" for name, times in spent.items())
        cold, other_cold = compare(
            lambda: call(THAW, "run", RECIPE, THREAD, "-d", DATASET, "--quiet"), docker, pairs=15
        )
    return [
        Ratio(
            what="a run in a resident process / docker run, same command",
            ours=ours,
            other=other,
            goal="<= 1.25x",
            is_met=ours / other <= 1.25,
            note=f"({share})",
        ),
        Ratio(
            what="thaw run from a cold shell / docker run, same command",
            ours=cold,
            other=other_cold,
            goal="<= 1.6x",
            is_met=cold / other_cold <= 1.6,
        ),
    ]


def docker_run(bench: object, image: str, folder: Path) -> Callable[[], None]:
    """`docker run --network none` of the very command, script and data of a run, with nothing kept."""
    from instantiator.commands.common import Bench

    assert isinstance(bench, Bench)
    tree = bench.store.dataset(DATASET)
    assert tree is not None
    data = bench.settings.trees_dir / tree.digest.removeprefix("sha256:")
    run = bench.store.runs(1)[0].id
    script = bench.settings.runs_dir / run / "script"
    counter = iter(range(1_000_000))

    def once() -> None:
        here = folder / str(next(counter))
        (here / "work").mkdir(parents=True)
        (here / "out").mkdir()
        call(
            *("docker", "run", "--rm", "--network", "none", "-w", "/work"),
            *("-v", f"{data}:/in/scenario:ro", "-v", f"{here}/work:/work", "-v", f"{here}/out:/out"),
            *("-v", f"{script}:/thaw/script:ro", image, "python3", "/thaw/script"),
        )
        assert (here / "out/eps_output/power_avg.out").exists()

    return once


def bench_rebuild() -> list[Ratio]:
    """`thaw recipe rebuild` against mmdebstrap alone, of the same packages in the same builder."""
    from instantiator.commands.common import Bench
    from instantiator.image.build import ensure_builder
    from instantiator.image.lock import refuse_unlocked
    from instantiator.image.repository import make_repository
    from instantiator.progress import Silent

    bench = Bench()
    lock = refuse_unlocked(bench.recipe(RECIPE))
    builder = ensure_builder(bench.workshop, Silent())
    bench.settings.scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=bench.settings.scratch_dir) as name:
        folder = Path(name)
        make_repository(lock.packages, bench.vault, folder / "repository")
        (folder / "out").mkdir()
        include = ",".join(package.name for package in lock.packages)
        bare = (
            f"mmdebstrap --mode=root --variant=custom --skip=chroot/mount --include={include} "
            f"{lock.suite} /out/root.tar 'deb [trusted=yes] copy:///repository ./'"
        )
        ours, other = compare(
            lambda: call(THAW, "recipe", "rebuild", RECIPE),
            lambda: call(
                *(
                    "docker",
                    "run",
                    "--rm",
                    "--network",
                    "none",
                    "-e",
                    f"SOURCE_DATE_EPOCH={lock.source_date_epoch}",
                ),
                *(
                    "-v",
                    f"{folder}/repository:/repository:ro",
                    "-v",
                    f"{folder}/out:/out",
                    builder,
                    "sh",
                    "-c",
                    bare,
                ),
            ),
            pairs=3,
        )
    return [
        Ratio(
            what="offline rebuild and comparison / bare mmdebstrap",
            ours=ours,
            other=other,
            goal="<= 1.3x",
            is_met=ours / other <= 1.3,
            note=f"({len(lock.packages)} packages and {len(lock.python)} wheel / the packages alone)",
        )
    ]


def bench_hashing() -> list[Ratio]:
    """Our hashing against `sha256sum`, one large file and many."""
    from provenance.digest import hash_files

    results = []
    with tempfile.TemporaryDirectory() as name:
        for what, count, size in (
            ("one file of 512 MB", 1, 512 << 20),
            ("2,000 files of 100 kB", 2000, 100_000),
        ):
            files = [Path(name) / f"{count}-{number}" for number in range(count)]
            for file in files:
                file.write_bytes(os.urandom(1 << 16) * (size // (1 << 16) + 1))
            ours, other = compare(
                lambda files=files: hash_files(files),  # type: ignore[misc]  # bound now, called now
                lambda files=files: call("sha256sum", *files),  # type: ignore[misc]  # as above
                pairs=5,
            )
            results.append(
                Ratio(
                    what=f"hashing {what} / sha256sum (throughput {other / ours:.1f}x)",
                    ours=ours,
                    other=other,
                    goal="<= 1.0x",
                    is_met=ours / other <= 1.0,
                )
            )
    return results


def bench_start() -> list[Ratio]:
    """How long the command line takes to say anything."""
    results = []
    for command in (("--help",), ("list",)):
        ours, other = compare(
            lambda command=command: call(THAW, *command),  # type: ignore[misc]  # bound now, called now
            lambda: call(sys.executable, "-c", "pass"),
            pairs=15,
        )
        what = f"thaw {' '.join(command)} / python -c pass"
        results.append(Ratio(what=what, ours=ours, other=other, goal="< 0.2 s", is_met=ours < 0.2))
    return results


def bench_store() -> list[Ratio]:
    """`thaw runs` with 1,000 runs in the store."""
    home = Path(tempfile.mkdtemp())
    try:
        fill_store(home, 1000)
        environment = {**os.environ, "THAW_HOME": str(home)}

        def list_runs() -> None:
            subprocess.run(
                [str(THAW), "runs", "-n", "1000"], env=environment, check=True, capture_output=True
            )

        ours, other = compare(list_runs, lambda: call(THAW, "--help"), pairs=9)
    finally:
        shutil.rmtree(home)
    what = "thaw runs with 1,000 runs, all listed / thaw --help"
    return [Ratio(what=what, ours=ours, other=other, goal="-", is_met=True)]


def fill_store(home: Path, count: int) -> None:
    """A store with `count` finished runs: copies of one real record under other names."""
    import secrets
    from dataclasses import replace
    from datetime import UTC, datetime, timedelta

    from instantiator.commands.common import Bench
    from provenance.record import record_from_bytes
    from provenance.store import Journal, Store, new_run_id
    from provenance.vault import Vault

    bench = Bench()
    row = bench.store.runs(1)[0]
    assert row.record is not None
    record = record_from_bytes(bench.vault.read_bytes(row.record))
    vault = Vault(home / "vault")
    store = Store(home / "store.sqlite", journal=Journal(home / "vault"))
    first = datetime.now(UTC) - timedelta(days=30)
    for number in range(count):
        now = first + timedelta(seconds=number)
        run = new_run_id(now, secrets.SystemRandom())
        store.finish_run(replace(record, run=run, submitted=now, started=now, ended=now), vault)


if __name__ == "__main__":
    main()
