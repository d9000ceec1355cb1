"""What the tests of threads share: a bench with a fake backend, MIDAS' flatfield as a plan, a record of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from instantiator.image.lock import lock_to_json
from instantiator.job.spec import ImageDigest
from instantiator.recipe.model import ParameterValue, Thread
from instantiator.recipe.parameters import parse_parameters
from instantiator.thread.plan import Environment, GivenInput, RunPlan, plan_thread
from instantiator.thread.run import FinishedRun, RunBench, execute_plan
from provenance.digest import canonical_json
from provenance.record import Record, RunState
from provenance.store import Journal, Store
from provenance.vault import Vault
from tests.examples import FLATFIELD, MIDAS_IMAGE, MIDAS_LOCK, midas_recipe
from tests.fakes import FakeBackend, FakeProcess, FakeProgram

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LOCK = replace(MIDAS_LOCK, image=MIDAS_IMAGE)


def finish(plan: RunPlan) -> Record:
    """The record of a plan that was carried out and gave nothing."""
    return Record(
        run="20261120-120000-midas",
        kind="thread",
        recipe=plan.recipe,
        recipe_digest=plan.recipe_digest,
        lock=plan.lock,
        image=plan.image,
        thread=plan.thread,
        parameters=plan.parameters,
        inputs=plan.inputs,
        outputs=(),
        job=plan.job,
        state=RunState.COMPLETED,
        exit_status=0,
        message="",
        submitted=NOON,
        started=NOON,
        ended=NOON,
        log=None,
        resources={},
        host={},
        software={},
    )


def program(
    files: Mapping[str, bytes] | None = None, *, says: str = "", status: int = 0
) -> Callable[[FakeProcess], int]:
    """A program that leaves files in /out, folders included, prints and ends."""

    def run(process: FakeProcess) -> int:
        process.print(says)
        (out,) = [mount.source for mount in process.job.mounts if mount.target == "/out"]
        for path, content in (files or {}).items():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(content)
        return status

    return run


GOOD = program(
    {"flat.txt": b"# made today\n1 2 3\n", "logs/a.log": b"fine\n"}, says="reading m31.fits\ndone\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A run bench with its backend, and the frame runs are made on."""

    bench: RunBench
    backend: FakeBackend
    frame: GivenInput

    def plan(self, thread: Thread = FLATFIELD, **values: ParameterValue) -> RunPlan:
        """The plan of a thread on the frame; lock and script-less parts are in the vault, as a command puts them."""
        environment = Environment(
            lock=LOCK,
            lock_digest=self.bench.vault.put_bytes(canonical_json(lock_to_json(LOCK))),
            image=ImageDigest(MIDAS_IMAGE.id),
        )
        recipe = midas_recipe(Path("/recipes/midas/22SEP"))
        parameters = parse_parameters(thread, values)
        return plan_thread(recipe, thread, environment, parameters=parameters, inputs={"frame": self.frame})

    def run(
        self,
        thread: Thread = FLATFIELD,
        *,
        cancel: threading.Event | None = None,
        hear: Callable[[bytes], None] = lambda _content: None,
    ) -> FinishedRun:
        """Carry out a thread on the frame."""
        sources = {"frame": self.frame.source}
        return execute_plan(
            self.plan(thread), sources, self.bench, cancel=cancel or threading.Event(), hear=hear
        )


def make_desk(folder: Path, run: FakeProgram = GOOD) -> Desk:
    """A desk in `folder` whose backend executes `run` for every script."""
    vault = Vault(folder / "vault")
    store = Store(folder / "store.sqlite", journal=Journal(folder / "vault"))
    source = folder / "frame"
    source.mkdir(parents=True, exist_ok=True)
    (source / "m31.fits").write_bytes(b"SIMPLE  =                    T")
    tree = vault.put_tree(source)
    backend = FakeBackend({"/thaw/script": run})
    bench = RunBench(
        vault=vault,
        store=store,
        backend=backend,
        runs_dir=folder / "runs",
        host=lambda: {"kernel": "6.1"},
    )
    frame = GivenInput(dataset="m31-1991@1", tree=tree, source=source)
    return Desk(bench=bench, backend=backend, frame=frame)
