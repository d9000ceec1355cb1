"""`thaw worker`: the process that executes what waits in the service's queue. `thaw serve` keeps one alive."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

import click

from instantiator.commands.common import Bench, json_option, show
from instantiator.commands.start import run_bench
from instantiator.commands.stopping import stop_on_signal
from instantiator.engine.wire import EngineUnreachable
from instantiator.thread.run import RunBench

_ENGINE_PAUSE_S = 2.0


@click.command("worker")
@click.option("--parent", type=int, default=0, help="End when this process is no longer the parent.")
@click.option(
    "--lease",
    "lease_s",
    type=float,
    default=10.0,
    show_default=True,
    help="Seconds until others take over.",
)
@click.option("--cpus", type=float, help="How many CPUs runs may take together; default: all.")
@click.option("--memory", "memory_mb", type=int, help="How many MiB they may take; default: the host's.")
@click.option(
    "--grace",
    "grace_s",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Seconds that runs under way get at the end, before they are handed back.",
)
@json_option
def worker_command(
    parent: int,
    lease_s: float,
    cpus: float | None,
    memory_mb: int | None,
    grace_s: float,
    *,
    as_json: bool,
) -> None:
    """Execute queued runs until Ctrl-C. Several workers of one state folder share the host's room.

    At the end no more is begun, and runs under way get the time of --grace; a second Ctrl-C ends it at once.

    Keys: pid, at the end.
    """
    from instantiator.operate.log import start_logging
    from instantiator.queue.bench import limits_of
    from instantiator.queue.endings import Endings
    from instantiator.queue.execute import Executor, preparer
    from instantiator.queue.worker import Capacity, Worker, capacity_of_host
    from instantiator.users import Users

    start_logging()
    bench = Bench()
    host = capacity_of_host()
    with stop_on_signal(grace_s) as stopping:

        def is_orphan() -> bool:
            return parent > 0 and os.getppid() != parent

        def is_over() -> bool:
            return stopping.is_told or is_orphan()

        def has_grace() -> bool:
            return stopping.has_grace and not is_orphan()

        runs = _wait_for_engine(bench, is_over)
        if runs is None:
            return
        endings = Endings(
            store=bench.store,
            vault=bench.vault,
            runs_dir=bench.settings.runs_dir,
            limits=limits_of(bench.settings, Users(bench.settings.users_file).people.limits_of),
        )
        executor = Executor(runs, endings, preparer(bench, runs))
        capacity = Capacity(cpus=cpus or host.cpus, memory_mb=memory_mb or host.memory_mb)
        Worker(executor, endings, capacity, lease_s=lease_s).work(is_over, grace=has_grace)
    show({"pid": os.getpid()}, as_json=as_json, human=None)


def _wait_for_engine(bench: Bench, is_over: Callable[[], bool]) -> RunBench | None:
    """What runs are made with, once the engine answers; None where the worker is to end before."""
    while not is_over():
        try:
            return run_bench(bench)
        except EngineUnreachable as error:
            logging.getLogger(__name__).warning("%s", error)
            time.sleep(_ENGINE_PAUSE_S)
    return None
