"""A bench for queues whose recipe is a value: one thread that counts, in the tiny image or a fake one."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from instantiator.engine import Engine
from instantiator.image.build import Workshop
from instantiator.image.fetch import Mirrors
from instantiator.image.lock import Lock, LockedDeposit, LockedImage, request_digest
from instantiator.job.backend import Backend
from instantiator.queue import Queue, QueueLimits, Submission
from instantiator.queue.endings import Endings
from instantiator.queue.execute import Executor, preparer
from instantiator.queue.worker import Capacity, Worker
from instantiator.recipe.model import (
    Base,
    CompareRule,
    Grant,
    Input,
    InputType,
    Need,
    Output,
    Parameter,
    ParameterType,
    Recipe,
    Resources,
    Script,
    ScriptLanguage,
    Thread,
)
from instantiator.settings import Settings, read_settings
from instantiator.thread.run import RunBench
from provenance.digest import digest_bytes
from provenance.store import Journal, Store
from provenance.vault import Vault
from tests.examples import HERE
from tests.fakes import FakeBackend, FakeProcess, FakeProgram

COUNT = Thread(
    location=HERE,
    name="count",
    title="Count",
    inputs=(Input(location=HERE, name="frame", type=InputType.DIRECTORY, help="a frame", required=False),),
    parameters=(
        Parameter(location=HERE, name="number", type=ParameterType.INT, default=1),
        Parameter(location=HERE, name="seconds", type=ParameterType.FLOAT, default=0.0),
    ),
    outputs=(
        Output(
            location=HERE,
            name="number",
            path="number.txt",
            media_type="text/plain",
            compare=CompareRule(rule="bytes"),
        ),
    ),
    script=Script(
        language=ScriptLanguage.SH,
        text="echo counting\nsleep {{ params.seconds }}\necho {{ params.number }} > {{ out }}/number.txt\n",
    ),
    resources=Resources(memory_mb=64, cpus=0.5, processes=16, disk_mb=16, log_mb=1),
    time_limit_s=60,
)
NETWORKED = replace(
    COUNT,
    name="networked",
    needs=(Need(location=HERE, grant=Grant.NETWORK, reason="it asks a server"),),
)


def counter_recipe(folder: Path) -> Recipe:
    """A recipe with two threads that count; it has no files."""
    return Recipe(
        folder=folder,
        digest=digest_bytes(b"counter recipe"),
        name="counter",
        version="1",
        title="Counter",
        description="It counts.",
        homepage="https://counter.example.org",
        licence="MIT",
        mission=(),
        citations=(),
        maintainers=(),
        base=Base(debian="bookworm", snapshot="2026-11-20"),
        threads=(COUNT, NETWORKED),
    )


class FakeEngine:
    """An engine that holds every image."""

    def has_image(self, image: str, name: str, layers: tuple[str, ...] = ()) -> bool:
        return True


def counting(process: FakeProcess) -> int:
    """What the counter's script does, without waiting."""
    process.print("counting\n")
    process.write("/out/number.txt", b"1\n")
    return 0


@dataclass(kw_only=True)
class CounterBench:
    """What a queue works with; `image` is the tiny image's in an integration test."""

    home: Path
    image: str = digest_bytes(b"image of the counter")
    fake_engine: object = field(default_factory=FakeEngine)
    deposits: tuple[LockedDeposit, ...] = ()

    def __post_init__(self) -> None:
        self.settings: Settings = read_settings({"THAW_HOME": str(self.home)})
        self.vault = Vault(self.settings.vault_dir)
        self.store = Store(self.settings.store_file, journal=Journal(self.settings.vault_dir))
        self.mirrors = Mirrors()

    @property
    def engine(self) -> Engine:
        return self.fake_engine  # type: ignore[return-value]  # only has_image is asked for

    @property
    def workshop(self) -> Workshop:
        return Workshop(vault=self.vault, engine=self.engine, scratch=self.settings.scratch_dir)

    def recipe(self, name: str) -> Recipe:
        return counter_recipe(self.home / "recipes/counter/1")

    def lock(self, recipe: Recipe) -> Lock:
        return Lock(
            recipe=recipe.id,
            request=request_digest(recipe),
            architecture="amd64",
            suite="bookworm",
            source_date_epoch=1_795_132_800,
            packages=(),
            deposits=self.deposits,
            image=LockedImage(
                id=self.image,
                layer=digest_bytes(b"layer"),
                size=5,
                manifest=digest_bytes(b"manifest"),
            ),
        )

    def queue(self, **limits: int) -> Queue:
        """The queue, with limits of its own; nothing is executed again in silence unless asked for."""
        values: Mapping[str, Any] = {"reexecuted_percent": 0, **limits}
        return Queue(self, QueueLimits(**values))

    def worker(
        self,
        backend: Backend | FakeProgram = counting,
        *,
        cpus: float = 4,
        memory_mb: int = 1024,
        lease_s: float = 10,
        **limits: int,
    ) -> Worker:
        """A worker whose backend executes one program, or is one."""
        made = FakeBackend({"/thaw/script": backend}) if callable(backend) else backend
        runs = RunBench(
            vault=self.vault,
            store=self.store,
            backend=made,
            runs_dir=self.settings.runs_dir,
            host=lambda: {"kernel": "6.1"},
        )
        values: Mapping[str, Any] = {"reexecuted_percent": 0, **limits}
        endings = Endings(
            store=self.store,
            vault=self.vault,
            runs_dir=self.settings.runs_dir,
            limits=QueueLimits(**values),
            draw=random.Random(7).random,
        )
        executor = Executor(runs, endings, preparer(self, runs))
        capacity = Capacity(cpus=cpus, memory_mb=memory_mb)
        return Worker(executor, endings, capacity, lease_s=lease_s, tick_s=0.01)


def count(user: str = "tycho", **asked: object) -> Submission:
    """A submission of the counter."""
    return replace(Submission(user=user, recipe="counter", thread="count"), **asked)  # type: ignore[arg-type]  # a test's keywords


def work_until(worker: Worker, is_done: Callable[[], bool], *, patience_s: float = 20) -> None:
    """Let a worker work until something is true; fails where it never becomes so."""
    deadline = time.monotonic() + patience_s
    thread = threading.Thread(
        target=worker.work, args=(lambda: is_done() or time.monotonic() > deadline,), name="test-worker"
    )
    thread.start()
    thread.join()
    assert time.monotonic() < deadline, "it never became so"
