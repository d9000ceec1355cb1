"""`AsyncThaw`: a service, asked and awaited. Beside it stands `Thaw`, which does the same and waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from instantiator.client.connect import connect
from instantiator.client.drivers import AsyncDriver
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


class AsyncOutput(KnownOutput):
    """One output of a run. Its bytes are handed over only where they have the recorded digest."""

    def __init__(self, driver: AsyncDriver, run: str, file: OutputFile) -> None:
        super().__init__(run, file)
        self._driver = driver

    async def read(self) -> bytes:
        """Its bytes; raises `OutputWrong`."""
        return await self._driver.do(fetching.read(self._run, self.file))

    async def save(self, folder: str | Path) -> Path:
        """Put it into a folder under its own path, whole or not at all; gives the file. Raises `OutputWrong`."""
        return await self._driver.do(fetching.save(self._run, self.file, Path(folder)))


class AsyncRun(KnownRun):
    """A run of the service. `status` is what the service last said; `refresh`, `wait` and `cancel` ask again."""

    def __init__(self, driver: AsyncDriver, status: RunStatus) -> None:
        super().__init__(status)
        self._driver = driver

    async def refresh(self) -> AsyncRun:
        """Ask how it stands."""
        self.status = await self._driver.do(runs.look(self.id))
        return self

    async def wait(
        self, timeout: float | None = None, on_event: Callable[[Event], object] | None = None
    ) -> AsyncRun:
        """Wait until it is over, however it ends; raises `RunNotOver` after about `timeout` seconds."""
        self.status = await self._driver.do(following.finish(self.id, timeout), on_event)
        return self

    def events(self, after: int = 0) -> AsyncIterator[Event]:
        """What happens to it, from event `after` on until it is over; a lost connection is taken up again."""
        return self._driver.each(following.follow(self.id, last=after))

    async def log(self) -> str:
        """What its program has printed by now."""
        return (await self.read_log()).decode(errors="replace")

    async def read_log(self, offset: int = 0) -> bytes:
        """The same as bytes, from `offset` on."""
        return await self._driver.do(runs.log(self.id, offset))

    async def outputs(self) -> list[AsyncOutput]:
        """What it gave; raises `RemoteError` (`no-record-yet`) before it is over."""
        return [
            AsyncOutput(self._driver, self.id, file) for file in await self._driver.do(runs.outputs(self.id))
        ]

    async def save(self, folder: str | Path) -> Path:
        """Put all outputs into a new or empty folder, all or none. Raises `OutputWrong`."""
        found = await self._driver.do(runs.outputs(self.id))
        await self._driver.do(fetching.save_all(self.id, found, Path(folder)))
        return Path(folder)

    async def cancel(self) -> AsyncRun:
        """Cancel it; a finished one stays as it is."""
        self.status = await self._driver.do(runs.cancel(self.id))
        return self

    async def record(self) -> Record:
        """Its record, checked against the digest that names it."""
        return record_from_bytes(await self._driver.do(runs.record(self.status)))

    async def verdicts(self) -> tuple[VerdictEntry, ...]:
        """How repetitions of it were judged, oldest first."""
        return await self._driver.do(runs.verdicts(self.id))

    async def verify(self, on_step: Callable[[Mapping[str, Any]], object] | None = None) -> Verdict:
        """Have it repeated from its record and judged; waits for it. `on_step` gets each step as it ends."""
        return verdict_from_bytes((await self._driver.do(runs.verify(self.id), on_step))[1])

    async def export(self, format: str = "ro-crate") -> bytes:  # noqa: A002  # as the command and the service call it
        """The run for other people's tools: `prov-json`, `ro-crate`, ... (docs/provenance-export.md)."""
        return await self._driver.do(runs.export(self.id, format))

    async def html(self) -> str:
        """It as a notebook shows it, with its outputs: `IPython.display.HTML(await run.html())`."""
        try:
            return render_run(self.status, await self._driver.do(runs.shown(self.status)))
        except ThawError as error:  # a notebook shows what is known, not a trace
            return render_run(self.status, NOTHING, remark=error.message)

    def _repr_html_(self) -> str:
        return render_run(self.status, NOTHING)  # nothing can be awaited here: `html` shows outputs too


class AsyncThaw:
    """A service. Without a URL the one `THAW_URL` or `thaw login` names. For one event loop.

    `close` it, or use it with `async with`. Raises `RemoteError` with the service's code and hint where it
    refuses, `ServiceUnreachable` where it does not answer.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, driver: AsyncDriver | None = None
    ) -> None:
        self._driver = driver or AsyncDriver(connect(url, token))

    async def __aenter__(self) -> AsyncThaw:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._driver.close()

    @property
    def url(self) -> str:
        """The address of the service."""
        return self._driver.url

    async def version(self) -> str:
        """The release of the service."""
        return await self._driver.do(catalogue.version())

    async def recipes(self, *, every: bool = False, retired: bool = False) -> tuple[RecipeEntry, ...]:
        """The catalogue: the newest of each, or `every` version, where asked for with those that have left the list."""
        return await self._driver.do(catalogue.recipes(every=every, retired=retired))

    async def recipe(self, name: str) -> Recipe:
        """A recipe, by `name` or `name/version`."""
        return await self._driver.do(catalogue.recipe(name))

    async def threads(self, recipe: str) -> tuple[Thread, ...]:
        """What a recipe can do, with the JSON Schema of each thread's parameters."""
        return await self._driver.do(catalogue.threads(recipe))

    async def datasets(self) -> tuple[Dataset, ...]:
        """All versions of the datasets one may use."""
        return await self._driver.do(catalogue.datasets())

    async def upload(
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
        return await self._driver.do(flow, on_progress)

    async def run(
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
    ) -> AsyncRun:
        """Run a thread, and wait until it is over. A dataset is a name, or a `Path` of this host that is uploaded.

        What was done before is answered at once unless `fresh`. The same `key` gives the same run, whoever asks
        how often; without one, this call makes its own.
        """
        asked = submitting(recipe, thread, parameters, fresh=fresh, label=label, key=key)
        run = AsyncRun(self._driver, await self._driver.do(runs.start(asked, datasets or {})))
        return await run.wait(on_event=on_event) if wait else run

    async def get(self, run: str) -> AsyncRun:
        """A run by its id."""
        return AsyncRun(self._driver, await self._driver.do(runs.look(run)))

    def runs(
        self,
        *,
        state: RunState | str | None = None,
        recipe: str | None = None,
        thread: str | None = None,
        after: datetime | None = None,
        limit: int | None = None,
        everybody: bool = False,
    ) -> AsyncIterator[AsyncRun]:
        """My runs, newest first, page by page as they are iterated; an operator may see everybody's."""
        asked = runs.Asked(
            state=RunState(state) if state else None,
            recipe=recipe,
            thread=thread,
            after=after,
            everybody=everybody,
        )
        return (AsyncRun(self._driver, status) async for status in self._driver.each(runs.each(asked, limit)))

    async def sessions(self) -> tuple[Session, ...]:
        """My sessions."""
        return await self._driver.do(catalogue.sessions())

    def __repr__(self) -> str:
        return f"AsyncThaw({self.url!r})"
