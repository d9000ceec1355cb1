"""What the queue costs: submissions, answers from records, lists of 100,000 runs.

    python bench/queueing.py [--runs N] [--listed N]

Runs do nothing (a backend that is a function), so that the queue's own cost shows: checking and planning, rows,
drafts, leases, records. A list is asked for in the ways that are hardest on an index: rare filters, late pages.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from instantiator.queue import Queue
from provenance.digest import digest_bytes
from provenance.record import Record, RunState, record_from_bytes
from provenance.store.runs import put_record
from tests.queue_fixtures import CounterBench, count, work_until

ROUNDS = 30


def seconds_of(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def median_ms(act: Callable[[], object]) -> float:
    return statistics.median(seconds_of(act) for _ in range(ROUNDS)) * 1000


def time_submissions(home: Path, runs: int) -> None:
    bench = CounterBench(home=home)
    queue = bench.queue()
    took = seconds_of(lambda: [queue.submit(count(fresh=True)) for _ in range(runs)])
    print(f"submissions, one client: {runs / took:.0f} a second")

    def submit_some(client: int) -> None:
        for _ in range(runs // 8):
            queue.submit(count(f"user-{client}", fresh=True))

    clients = [threading.Thread(target=submit_some, args=(client,)) for client in range(8)]
    began = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    print(f"submissions, 8 clients at once: {runs / (time.perf_counter() - began):.0f} a second")
    took = seconds_of(lambda: work_until(bench.worker(), lambda: is_drained(queue), patience_s=900))
    print(f"drained: {2 * runs / took:.0f} runs that do nothing a second, {2 * runs} waiting at first")


def is_drained(queue: Queue) -> bool:
    return not queue.page(states=(RunState.QUEUED, RunState.EXECUTING), limit=1).runs


def time_answers(home: Path) -> None:
    bench = CounterBench(home=home)
    queue = bench.queue()
    run = queue.submit(count()).id
    work_until(bench.worker(), lambda: queue.get(run).state.is_final())
    answered: list[str | None] = []
    took = median_ms(lambda: answered.append(queue.submit(count()).answered_from))
    assert set(answered) == {run}
    print(f"a cached answer, from submission to record: {took:.1f} ms")


def time_lists(home: Path, listed: int) -> None:
    bench = CounterBench(home=home)
    queue = bench.queue()
    run = queue.submit(count()).id
    work_until(bench.worker(), lambda: queue.get(run).state.is_final())
    digest = bench.store.run(run).record
    assert digest is not None
    fill(bench, record_from_bytes(bench.vault.read_bytes(digest)), listed)
    middle = queue.page(limit=1, after=None, cursor=f"2026-06-01T12:00:00.000000Z~{'z' * 9}").next
    asked: dict[str, Callable[[], object]] = {
        "newest 50": lambda: queue.page(),
        "a page in the middle": lambda: queue.page(cursor=middle),
        "one user": lambda: queue.page(users=("user-7",)),
        "one user, one state": lambda: queue.page(users=("user-7",), states=(RunState.FAILED,)),
        "one recipe and thread": lambda: queue.page(recipe="recipe-3/1", thread="count"),
        "two states, common": lambda: queue.page(states=(RunState.COMPLETED, RunState.FAILED)),
        "a state nobody is in": lambda: queue.page(states=(RunState.OUT_OF_MEMORY,)),
        "a recipe that is not there": lambda: queue.page(recipe="recipe-99/1"),
        "a user who has none": lambda: queue.page(users=("nobody",)),
        "submitted in the last hour": lambda: queue.page(after=START + timedelta(minutes=listed - 60)),
    }
    for what, ask in asked.items():
        print(f"list of {listed} runs, {what}: {median_ms(ask):.1f} ms")


START = datetime(2026, 1, 1, tzinfo=UTC)


def fill(bench: CounterBench, record: Record, count_of_runs: int) -> None:
    """Index runs that are in no journal: to write 100,000 records would measure the disk."""
    digest = digest_bytes(b"a record")
    with bench.store._database.write() as connection:
        for number in range(count_of_runs):
            state = RunState.FAILED if number % 50 == 0 else RunState.COMPLETED
            made = replace(
                record,
                run=f"bench-{number:06}",
                user=f"user-{number % 40}",
                recipe=f"recipe-{number % 12}/1",
                submitted=START + timedelta(minutes=number),
                state=state,
            )
            put_record(connection, made, digest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--listed", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="thaw-bench-") as folder:
        time_submissions(Path(folder, "submissions"), asked.runs)
        time_answers(Path(folder, "answers"))
        time_lists(Path(folder, "lists"), asked.listed)


if __name__ == "__main__":
    main()
