"""`Thaw`: a service, asked and waited for. Beside it stands `AsyncThaw`, which does the same and awaits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from instantiator.client.connect import connect
from instantiator.client.drivers import Driver
from instantiator.client.flows import catalogue, fetching, following, runs, uploading
from instantiator.client.handles import KnownOutput, KnownRun, Parameter, submitting
from instantiator.client.models import (
    Dataset,
    Event,
    OutputFile,
    Recipe,
    RecipeEntry,
    RunStatus,
    Session,
    Thread,
    VerdictEntry,
)
from instantiator.client.notebook import NOTHING, render_run
from provenance.errors import ThawError
from provenance.record import Record, RunState, record_from_bytes
from provenance.verdict import Verdict, verdict_from_bytes


class Output(KnownOutput):
    """One output of a run. Its bytes are handed over only where they have the recorded digest."""

    def __init__(self, driver: Driver, run: str, file: OutputFile) -> None:
        super().__init__(run, file)
        self._driver = driver

    def read(self) -> bytes:
        """Its bytes; raises `OutputWrong`."""
        return self._driver.do(fetching.read(self._run, self.file))

    def save(self, folder: str | Path) -> Path:
        """Put it into a folder under its own path, whole or not at all; gives the file. Raises `OutputWrong`."""
        return self._driver.do(fetching.save(self._run, self.file, Path(folder)))


class Run(KnownRun):
    """A run of the service. `status` is what the service last said; `refresh`, `wait` and `cancel` ask again."""

    def __init__(self, driver: Driver, status: RunStatus) -> None:
        super().__init__(status)
        self._driver = driver

    def refresh(self) -> Run:
        """Ask how it stands."""
        self.status = self._driver.do(runs.look(self.id))
        return self

    def wait(self, timeout: float | None = None, on_event: Callable[[Event], object] | None = None) -> Run:
        """Wait until it is over, however it ends; raises `RunNotOver` after about `timeout` seconds."""
        self.status = self._driver.do(following.finish(self.id, timeout), on_event)
        return self

    def events(self, after: int = 0) -> Iterator[Event]:
        """What happens to it, from event `after` on until it is over; a lost connection is taken up again."""
        return self._driver.each(following.follow(self.id, last=after))

    def log(self) -> str:
        """What its program has printed by now."""
        return self.read_log().decode(errors="replace")

    def read_log(self, offset: int = 0) -> bytes:
        """The same as bytes, from `offset` on."""
        return self._driver.do(runs.log(self.id, offset))

    @property
    def outputs(self) -> list[Output]:
        """What it gave; raises `RemoteError` (`no-record-yet`) before it is over."""
        return [Output(self._driver, self.id, file) for file in self._driver.do(runs.outputs(self.id))]

    def save(self, folder: str | Path) -> Path:
        """Put all outputs into a new or empty folder, all or none. Raises `OutputWrong`."""
        found = self._driver.do(runs.outputs(self.id))
        self._driver.do(fetching.save_all(self.id, found, Path(folder)))
        return Path(folder)

    def cancel(self) -> Run:
        """Cancel it; a finished one stays as it is."""
        self.status = self._driver.do(runs.cancel(self.id))
        return self

    def record(self) -> Record:
        """Its record, checked against the digest that names it."""
        return record_from_bytes(self._driver.do(runs.record(self.status)))

    def verdicts(self) -> tuple[VerdictEntry, ...]:
        """How repetitions of it were judged, oldest first."""
        return self._driver.do(runs.verdicts(self.id))

    def verify(self, on_step: Callable[[Mapping[str, Any]], object] | None = None) -> Verdict:
        """Have it repeated from its record and judged; waits for it. `on_step` gets each step as it ends."""
        return verdict_from_bytes(self._driver.do(runs.verify(self.id), on_step)[1])

    def export(self, format: str = "ro-crate") -> bytes:  # noqa: A002  # as the command and the service call it
        """The run for other people's tools: `prov-json`, `ro-crate`, ... (docs/provenance-export.md)."""
        return self._driver.do(runs.export(self.id, format))

    def _repr_html_(self) -> str:
        try:
            return render_run(self.status, self._driver.do(runs.shown(self.status)))
        except ThawError as error:  # a notebook shows what is known, not a trace
            return render_run(self.status, NOTHING, remark=error.message)


class Thaw:
    """A service. Without a URL the one `THAW_URL` or `thaw login` names. May be used by several threads.

    `close` it, or use it as a context manager. Raises `RemoteError` with the service's code and hint where it
    refuses, `ServiceUnreachable` where it does not answer.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, driver: Driver | None = None
    ) -> None:
        self._driver = driver or Driver(connect(url, token))

    def __enter__(self) -> Thaw:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._driver.close()

    @property
    def url(self) -> str:
        """The address of the service."""
        return self._driver.url

    def version(self) -> str:
        """The release of the service."""
        return self._driver.do(catalogue.version())

    def recipes(self, *, every: bool = False, retired: bool = False) -> tuple[RecipeEntry, ...]:
        """The catalogue: the newest of each, or `every` version, where asked for with those that have left the list."""
        return self._driver.do(catalogue.recipes(every=every, retired=retired))

    def recipe(self, name: str) -> Recipe:
        """A recipe, by `name` or `name/version`."""
        return self._driver.do(catalogue.recipe(name))

    def threads(self, recipe: str) -> tuple[Thread, ...]:
        """What a recipe can do, with the JSON Schema of each thread's parameters."""
        return self._driver.do(catalogue.threads(recipe))

    def datasets(self) -> tuple[Dataset, ...]:
        """All versions of the datasets one may use."""
        return self._driver.do(catalogue.datasets())

    def upload(
        self,
        path: str | Path,
        name: str | None = None,
        *,
        title: str = "",
        origin: str = "",
        licence: str = "",
        resume: str | None = None,
        on_progress: Callable[[uploading.Sent], object] | None = None,
    ) -> Dataset:
        """Register a file or folder of this host as a dataset. What is there already is not sent again.

        A connection that breaks is taken up again; one that stays away names the upload to `resume`.
        """
        described = {"title": title, "origin": origin, "licence": licence}
        flow = uploading.upload(Path(path), name, described=described, resume=resume)
        return self._driver.do(flow, on_progress)

    def run(
        self,
        recipe: str,
        thread: str,
        datasets: Mapping[str, str | Path] | None = None,
        parameters: Mapping[str, Parameter] | None = None,
        *,
        wait: bool = True,
        on_event: Callable[[Event], object] | None = None,
        fresh: bool = False,
        label: str = "",
        key: str | None = None,
    ) -> Run:
        """Run a thread, and wait until it is over. A dataset is a name, or a `Path` of this host that is uploaded.

        What was done before is answered at once unless `fresh`. The same `key` gives the same run, whoever asks
        how often; without one, this call makes its own.
        """
        asked = submitting(recipe, thread, parameters, fresh=fresh, label=label, key=key)
        run = Run(self._driver, self._driver.do(runs.start(asked, datasets or {})))
        return run.wait(on_event=on_event) if wait else run

    def get(self, run: str) -> Run:
        """A run by its id."""
        return Run(self._driver, self._driver.do(runs.look(run)))

    def runs(
        self,
        *,
        state: RunState | str | None = None,
        recipe: str | None = None,
        thread: str | None = None,
        after: datetime | None = None,
        limit: int | None = None,
        everybody: bool = False,
    ) -> Iterator[Run]:
        """My runs, newest first, page by page as they are iterated; an operator may see everybody's."""
        asked = runs.Asked(
            state=RunState(state) if state else None,
            recipe=recipe,
            thread=thread,
            after=after,
            everybody=everybody,
        )
        return (Run(self._driver, status) for status in self._driver.each(runs.each(asked, limit)))

    def sessions(self) -> tuple[Session, ...]:
        """My sessions."""
        return self._driver.do(catalogue.sessions())

    def __repr__(self) -> str:
        return f"Thaw({self.url!r})"
