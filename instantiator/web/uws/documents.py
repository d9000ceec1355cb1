"""Jobs as the XML of UWS 1.1. Pure. The order of elements is the schema's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote
from xml.etree.ElementTree import Element

from instantiator.queue.model import Phase, QueuedRun
from instantiator.web.api.views import ROOT
from instantiator.web.uws.address import Job, Service
from instantiator.web.uws.elements import THAW, UWS, element, link, nillable, some
from provenance.record import RecordedOutput, RunState

_VERSION = {"version": "1.1"}
_MAY_BE_RIGHT_NEXT_TIME = (RunState.INTERRUPTED, RunState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An output as UWS names it: by its name, with a number behind where there are several files of it."""

    id: str
    output: RecordedOutput


def name_results(outputs: Sequence[RecordedOutput]) -> tuple[Result, ...]:
    """The results of a run, in the order of its record."""
    names = [output.name for output in outputs]
    counted: dict[str, int] = {}
    found = []
    for output in outputs:
        counted[output.name] = number = counted.get(output.name, 0) + 1
        is_one = names.count(output.name) == 1
        found.append(Result(id=output.name if is_one else f"{output.name}.{number}", output=output))
    return tuple(found)


def jobs_document(service: Service, runs: Iterable[QueuedRun]) -> Element:
    """The list of jobs."""
    return element(UWS, "jobs", *(_jobref(service, run) for run in runs), attributes=_VERSION)


def job_document(job: Job, results: Sequence[Result]) -> Element:
    """One job."""
    run = job.run
    return element(
        UWS,
        "job",
        *some(
            (
                element(UWS, "jobId", text=run.id),
                _label(run),
                nillable(UWS, "ownerId", run.user or None),
                element(UWS, "phase", text=run.phase.value),
                nillable(UWS, "quote", None),
                element(UWS, "creationTime", text=run.submitted),
                nillable(UWS, "startTime", run.started),
                nillable(UWS, "endTime", run.ended),
                element(UWS, "executionDuration", text=run.time_limit_s),
                nillable(UWS, "destruction", run.destruction),
                parameters_document(run),
                results_document(job, results),
                _error_summary(run),
                _job_info(job),
            )
        ),
        attributes=_VERSION,
    )


def parameters_document(run: QueuedRun) -> Element:
    """What the job was asked with: its datasets, and the parameters that have a value."""
    given = values_of(run)
    return element(
        UWS,
        "parameters",
        *(element(UWS, "parameter", text=given[name], attributes={"id": name}) for name in given),
    )


def values_of(run: QueuedRun) -> dict[str, object]:
    """The same as values."""
    given = {**run.inputs, **run.parameters}
    return {name: value for name, value in given.items() if value is not None}


def results_document(job: Job, results: Sequence[Result]) -> Element:
    """What there is to fetch."""
    return element(UWS, "results", *(_result(job, item) for item in results))


def result_url(job: Job, result: Result) -> str:
    """Where a result is."""
    return f"{job.url}/results/{quote(result.id)}"


def failure_of(run: QueuedRun) -> str | None:
    """Why there is no result, None where nothing went wrong."""
    if run.phase in (Phase.ERROR, Phase.ABORTED):
        return run.message or f"the run is {run.state.value}"
    return None


def _jobref(service: Service, run: QueuedRun) -> Element:
    return element(
        UWS,
        "jobref",
        *some(
            (
                element(UWS, "phase", text=run.phase.value),
                _label(run),
                nillable(UWS, "ownerId", run.user or None),
                element(UWS, "creationTime", text=run.submitted),
            )
        ),
        attributes={"id": run.id, **link(service.job_url(run.id))},
    )


def _label(run: QueuedRun) -> Element | None:
    return element(UWS, "runId", text=run.label) if run.label else None


def _result(job: Job, result: Result) -> Element:
    about = {"size": result.output.size, "mime-type": result.output.media_type}
    return element(UWS, "result", attributes={"id": result.id, **link(result_url(job, result)), **about})


def _error_summary(run: QueuedRun) -> Element | None:
    message = failure_of(run)
    if message is None:
        return None
    kind = "transient" if run.state in _MAY_BE_RIGHT_NEXT_TIME else "fatal"
    return element(
        UWS,
        "errorSummary",
        element(UWS, "message", text=message),
        attributes={"type": kind, "hasDetail": True},
    )


def _job_info(job: Job) -> Element:
    """What Thaw knows beyond UWS: the run and its record, the recipe, how many wait before it, who answered it."""
    run, address = job.run, f"{job.service.origin}{ROOT}/runs/{job.run.id}"
    facts = (
        ("state", run.state.value),
        ("recipe", run.recipe),
        ("position", run.position),
        ("answeredFrom", run.answered_from),
    )
    record = {"digest": run.record, **link(f"{address}/record")}
    return element(
        UWS,
        "jobInfo",
        element(THAW, "run", attributes={"id": run.id, **link(address)}),
        *some((element(THAW, "record", attributes=record) if run.record is not None else None,)),
        element(THAW, "log", attributes=link(f"{address}/log")),
        *(element(THAW, name, text=value) for name, value in facts if value is not None),
    )
