"""Domain values as values of the API. Pure, but for what a recipe's lock says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from instantiator.catalog import CatalogEntry
from instantiator.curate.catalog_status import Status
from instantiator.recipe.model import Recipe, Thread
from instantiator.recipe.parameters import parameter_schema
from instantiator.session.model import Session
from instantiator.web.api import models, models_service
from instantiator.web.api.problems import problem_of
from instantiator.web.api.wire import told_time
from instantiator.web.shelf import Evidence, citation_link
from instantiator.web.work import Work
from provenance.record import Record, RecordedOutput, format_time
from provenance.store import Dataset, JudgedRun

if TYPE_CHECKING:
    from instantiator.queue.model import QueuedRun

ROOT = "/api/v1"


def entry_view(entry: CatalogEntry, status: Status) -> models.RecipeEntry:
    """An entry of the catalogue, as it stands here."""
    return models.RecipeEntry(
        recipe=f"{entry.name}/{entry.version}",
        name=entry.name,
        version=entry.version,
        title=entry.title,
        mission=entry.mission,
        threads=entry.threads,
        guis=entry.guis,
        status=status.word,
        verified=told_time(status.since),
        details=status.details,
        image=entry.image,
        awaits=entry.awaits,
        missing=entry.missing,
        retired=entry.retired,
        superseded_by=entry.superseded_by,
        href=recipe_href(entry.name, entry.version),
    )


def recipe_href(name: str, version: str) -> str:
    """The address of one version of a recipe."""
    return f"{ROOT}/recipes/{name}/versions/{version}"


def recipe_view(recipe: Recipe, evidence: Evidence | None, versions: tuple[str, ...]) -> models.RecipeView:
    """A recipe."""
    return models.RecipeView(
        recipe=recipe.id,
        digest=recipe.digest,
        title=recipe.title,
        description=recipe.description,
        homepage=recipe.homepage,
        licence=recipe.licence,
        mission=recipe.mission,
        citations=tuple(citation_link(item)[1] for item in recipe.citations),
        threads=tuple(item.name for item in recipe.threads),
        guis=tuple(
            models.GuiView(name=gui.name, title=gui.title, kind=gui.kind.value, help=gui.help)
            for gui in recipe.guis
        ),
        datasets=tuple(item.name for item in recipe.datasets),
        evidence=_evidence(evidence),
        versions=versions,
        href=recipe_href(recipe.name, recipe.version),
    )


def _evidence(found: Evidence | None) -> models.EvidenceView | None:
    if found is None:
        return None
    return models.EvidenceView(
        is_locked=found.is_locked,
        image=found.image,
        size=found.size,
        packages=found.packages,
        wheels=found.wheels,
        lock=found.lock,
    )


def thread_view(recipe: Recipe, thread: Thread) -> models.ThreadView:
    """A thread, with the JSON Schema of its parameters."""
    return models.ThreadView(
        recipe=recipe.id,
        thread=thread.name,
        title=thread.title,
        help=thread.help,
        inputs=tuple(
            models.InputOf(
                name=item.name,
                type=item.type.value,
                help=item.help,
                required=item.required,
                must_contain=item.must_contain,
            )
            for item in thread.inputs
        ),
        parameters=parameter_schema(thread),
        outputs=tuple(
            models.OutputOf(
                name=item.name,
                path=item.path,
                media_type=item.media_type,
                help=item.help,
                required=item.required,
                rule=item.compare.rule,
            )
            for item in thread.outputs
        ),
        time_limit_s=thread.time_limit_s,
        href=f"{recipe_href(recipe.name, recipe.version)}/threads/{thread.name}",
    )


def dataset_view(dataset: Dataset) -> models.DatasetView:
    """A dataset; the path it was added from is a matter of the host alone."""
    return models.DatasetView(
        dataset=dataset.reference,
        name=dataset.name,
        version=dataset.version,
        digest=dataset.digest,
        files=dataset.files,
        size=dataset.size,
        kept=dataset.kept,
        added=format_time(dataset.added),
        title=dataset.title,
        origin=dataset.origin,
        licence=dataset.licence,
        href=f"{ROOT}/datasets/{dataset.reference}",
    )


def work_view(work: Work) -> models.WorkView:
    """Something long under way."""
    href = f"{ROOT}/work/{work.id}"
    steps = [entry.to_json() for entry in list(work.steps)]
    return models.WorkView(
        work=work.id,
        title=work.title,
        state=work.state,
        steps=tuple(_step(item) for item in steps),
        problem=problem_of(work.error, href).model_dump(exclude_none=True) if work.error else None,
        leads_to=work.leads_to or None,
        href=href,
    )


def _step(item: Mapping[str, Any]) -> models.StepView:
    return models.StepView(
        name=item["name"], state=item["state"], detail=item["detail"], seconds=item["seconds"]
    )


def run_view(run: QueuedRun) -> models.RunView:
    """A run, wherever it stands."""
    from instantiator.queue.model import phase_of

    return models.RunView(
        run=run.id,
        kind=run.kind,
        user=run.user,
        label=run.label,
        recipe=run.recipe,
        thread=run.thread,
        parameters=dict(run.parameters),
        datasets=dict(run.inputs),
        state=run.state.value,
        phase=phase_of(run.state).value,
        is_final=run.state.is_final(),
        message=run.message,
        submitted=format_time(run.submitted),
        started=told_time(run.started),
        ended=told_time(run.ended),
        exit_status=run.exit_status,
        priority=run.priority,
        position=run.position,
        attempts=run.attempts,
        time_limit_s=run.time_limit_s,
        destruction=told_time(run.destruction),
        record=run.record,
        answered_from=run.answered_from,
        repeats=run.repeats,
        links=_run_links(run),
    )


def _run_links(run: QueuedRun) -> dict[str, str]:
    own = f"{ROOT}/runs/{run.id}"
    links = {"self": own, "events": f"{own}/events", "log": f"{own}/log", "page": f"/runs/{run.id}"}
    if run.record is not None:
        links |= {"record": f"{own}/record", "outputs": f"{own}/outputs", "verdicts": f"{own}/verdicts"}
    return links


def output_view(record: Record, number: int, output: RecordedOutput) -> models.OutputView:
    """One output of a run."""
    return models.OutputView(
        number=number,
        name=output.name,
        path=output.path,
        digest=output.digest,
        size=output.size,
        media_type=output.media_type,
        rule=output.rule.rule,
        href=f"{ROOT}/runs/{record.run}/outputs/{number}",
    )


def verdict_entry(judged: JudgedRun) -> models.VerdictEntry:
    """A verdict on a run."""
    return models.VerdictEntry(
        run=judged.run,
        repeated_by=judged.repeated_by,
        grade=judged.grade,
        judged=format_time(judged.judged),
        verdict=judged.verdict,
        href=f"{ROOT}/verdicts/{judged.verdict}",
    )


def session_view(session: Session) -> models_service.SessionView:
    """A session; no path of this host is in it."""
    return models_service.SessionView(
        session=session.id,
        user=session.user,
        recipe=session.recipe,
        gui=session.gui,
        title=session.title,
        kind=session.kind,
        state=session.state.value,
        is_over=session.state.is_over(),
        steps=tuple(
            models.StepView(name=item.name, state=item.state.value, detail=item.detail, seconds=item.seconds)
            for item in session.steps
        ),
        message=session.message,
        workspace=session.workspace,
        datasets=session.datasets,
        created=format_time(session.created),
        expires=format_time(session.expires),
        ended=told_time(session.ended),
        end_reason=session.end_reason,
        record=session.record,
        page=f"/sessions/{session.id}",
        href=f"{ROOT}/sessions/{session.id}",
    )
