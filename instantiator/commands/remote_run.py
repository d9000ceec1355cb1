"""`thaw run` and `thaw verify` at a service: uploads, live steps and log, Ctrl-C as a cancel, checked outputs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instantiator.commands.common import size_text
from instantiator.commands.start import cancel_on_interrupt, echo_log
from instantiator.job.spec import RunId
from instantiator.progress import Progress, megabytes, step
from instantiator.thread.errors import InputWrong
from instantiator.thread.run import FinishedRun
from provenance.errors import ThawError
from provenance.record import Record
from provenance.verdict import Verdict

if TYPE_CHECKING:
    from instantiator.client import Dataset, Event, Run, Thaw


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRun:
    """What `thaw run` was asked for; a dataset is `[INPUT=]NAME_OR_PATH`."""

    recipe: str
    thread: str
    datasets: tuple[str, ...]
    parameters: Mapping[str, str]
    fresh: bool


def run_there(
    service: Thaw, asked: AskedRun, target: Path | None, steps: Progress, *, is_quiet: bool
) -> FinishedRun:
    """Run it at the service, show what happens, and bring the outputs to `target`."""
    datasets = bring_datasets(service, asked, steps)
    with cancel_on_interrupt() as cancel:
        run = service.run(
            asked.recipe, asked.thread, datasets, asked.parameters, wait=False, fresh=asked.fresh
        )
        with cancelling(run, cancel):
            watch(run, steps, echo_log(is_quiet=is_quiet))
    record = run.record()
    if target is not None:
        save(run, record, target, steps)
    return FinishedRun(run=RunId(run.id), record=record, digest=record.digest, out=target or Path("/"))


def bring_datasets(service: Thaw, asked: AskedRun, steps: Progress) -> dict[str, str]:
    """The dataset of each input: one the recipe or the user has by that name, else a path that is uploaded."""
    if not asked.datasets:
        return {}
    recipe = service.recipe(asked.recipe)
    thread = next((item for item in service.threads(recipe.recipe) if item.thread == asked.thread), None)
    if thread is None:
        return {}  # the service says so, and what there is
    inputs = [str(item["name"]) for item in thread.inputs]
    names = {*recipe.datasets, *(item.name for item in service.datasets())}
    brought: dict[str, str] = {}
    for text in asked.datasets:
        prefix, sign, rest = text.partition("=")
        name, given = (
            (prefix, rest) if sign and prefix in inputs else (_only(inputs, asked.thread, text), text)
        )
        if name in brought:
            raise InputWrong(
                f"input {name!r} of thread {asked.thread!r} is given twice",
                hint="give each input one dataset: --dataset INPUT=NAME_OR_PATH",
            )
        is_name = given.partition("@")[0] in names or not Path(given).exists()
        brought[name] = given if is_name else upload(service, given, steps, name=None).dataset
    return brought


def _only(inputs: list[str], thread: str, text: str) -> str:
    if len(inputs) == 1:
        return inputs[0]
    raise InputWrong(
        f"which input of thread {thread!r} is {text!r}? It has: {', '.join(inputs) or 'none'}",
        hint="say so: --dataset INPUT=NAME_OR_PATH",
    )


def upload(service: Thaw, path: str, steps: Progress, *, name: str | None, **described: str) -> Dataset:
    """Bring a file or folder to the service, with its progress shown."""
    with step(steps, f"upload {path}") as current:
        found = service.upload(
            path, name, on_progress=lambda sent: steps.note(megabytes(sent.done)), **described
        )
        current.detail = f"{found.dataset}, {found.files} files, {size_text(found.size)}"
    return found


@contextmanager
def cancelling(run: Run, cancel: threading.Event) -> Iterator[None]:
    """Cancel the run at the service as soon as `cancel` is set: it ends in order, and is recorded."""
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            if cancel.wait(0.2):
                with suppress(ThawError):  # what follows the run meets the same trouble, and tells it
                    run.cancel()
                return

    looking = threading.Thread(target=look, name="cancelling", daemon=True)
    looking.start()
    try:
        yield
    finally:
        is_over.set()
        looking.join()


def watch(run: Run, steps: Progress, hear: Callable[[bytes], None]) -> None:
    """Show steps and log until the run is over."""
    read = 0
    for event in run.events():
        if event.name == "step":
            tell_step(event, steps)
        if event.name == "log":
            content = run.read_log(read)
            hear(content)
            read += len(content)
    hear(run.read_log(read))
    run.refresh()


def tell_step(event: Event, steps: Progress) -> None:
    """One event of a step, as a step of this host is told."""
    name, status = str(event.data.get("step", "")), event.data.get("status")
    if status == "begun":
        steps.begin(name)
    elif status == "done":
        steps.end(name, str(event.data.get("detail", "")), float(event.data.get("seconds") or 0.0))
    elif status == "failed":
        steps.fail(name)


def save(run: Run, record: Record, target: Path, steps: Progress) -> None:
    """Bring all outputs, each checked against its digest."""
    with step(steps, "download") as current:
        run.save(target)
        total = sum(output.size for output in record.outputs)
        current.detail = f"{len(record.outputs)} files, {size_text(total)}, digests checked"


def verify_there(run: Run, steps: Progress) -> Verdict:
    """Have the service repeat a run and judge it."""

    def tell(done: Mapping[str, Any]) -> None:
        steps.end(str(done.get("name", "")), str(done.get("detail", "")), float(done.get("seconds") or 0.0))

    return run.verify(on_step=tell)
