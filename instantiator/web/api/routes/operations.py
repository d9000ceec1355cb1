"""The service itself: the index, work under way, the vault and its audit, what this host can do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path

from instantiator import __version__
from instantiator.atomic import replace_text
from instantiator.doctor import judge_all, probe_host
from instantiator.progress import megabytes, step
from instantiator.web.api import models, models_service, views
from instantiator.web.api.asking import OPERATES, READS, Operator, PortalOf, Reader
from instantiator.web.api.problems import problems
from instantiator.web.portal import Bench
from instantiator.web.work import Work
from provenance.digest import Digest
from provenance.errors import ThawError
from provenance.fixity import audit, status
from provenance.record import to_json

router = APIRouter()
PARTS = ("recipes", "datasets", "uploads", "runs", "sessions", "vault", "doctor", "openapi.json", "docs")
WorkId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", examples=["0123456789abcdef"])]


class WorkUnknown(ThawError):
    """There is no such work, or it is somebody else's: both answer the same."""

    code = "work-unknown"


@router.get("/", operation_id="index", tags=["service"], dependencies=[READS], responses=problems())
def index() -> models.Index:
    """What is served here."""
    links = {part.removesuffix(".json"): f"{views.ROOT}/{part}" for part in PARTS}
    return models.Index(version=__version__, links=links)


@router.get("/work/{work}", operation_id="get_work", tags=["service"], responses=problems())
def get_work(portal: PortalOf, asker: Reader, work: WorkId) -> models.WorkView:
    """Something long that I asked for: its steps, how it ended, where it leads. It ends with the service."""
    found = portal.works.get(asker.user, work)
    if found is None:
        raise WorkUnknown("there is no work of yours with this name", hint="work ends with the service")
    return views.work_view(found)


@router.get(
    "/vault", operation_id="get_vault", tags=["service"], dependencies=[OPERATES], responses=problems()
)
def get_vault(portal: PortalOf) -> models_service.VaultView:
    """How much the vault holds, and what the last audit found. For operators."""
    found = status(portal.bench.vault)
    try:
        last = json.loads(_report_file(portal.bench).read_bytes())
    except FileNotFoundError:
        last = None
    return models_service.VaultView(objects=found.objects, size=found.size, last_audit=last)


@router.post(
    "/vault/audit", operation_id="audit_vault", tags=["service"], status_code=202, responses=problems()
)
def audit_vault(portal: PortalOf, asker: Operator) -> models.WorkView:
    """Hash every object of the vault again; follow the work it answers with. One at a time. For operators."""
    running = [item for item in portal.works.under_way(asker.user) if item.title == "Audit the vault"]

    def do(work: Work) -> str:
        _audit(portal.bench, work)
        return f"{views.ROOT}/vault"

    return views.work_view(running[0] if running else portal.works.start(asker.user, "Audit the vault", do))


@router.get(
    "/doctor", operation_id="get_doctor", tags=["service"], dependencies=[OPERATES], responses=problems()
)
def get_doctor(portal: PortalOf) -> models_service.DoctorView:
    """What this host can do, and which recipes can run on it. For operators."""
    bench = portal.bench
    try:
        engine, problem = bench.engine, ""
    except ThawError as error:
        engine, problem = None, error.message
    facts = probe_host(engine, home=bench.settings.home, engine_problem=problem)
    judged = judge_all(facts, bench.settings.recipes_dir)
    host = to_json({**asdict(facts), "home": str(facts.home)})
    assert isinstance(host, dict)  # of a mapping, to_json makes nothing else
    return models_service.DoctorView(
        host=host,
        recipes=tuple(
            models_service.RecipeVerdict(recipe=name, runs=not reasons, reasons=tuple(reasons))
            for name, reasons in judged.items()
        ),
    )


def _audit(bench: Bench, work: Work) -> None:
    from instantiator.curate.locks import known_locks
    from instantiator.image.origin import uses_of_locks

    of_locks, done = uses_of_locks(known_locks(bench.settings.recipes_dir)), 0

    def uses(digest: Digest) -> Sequence[str]:
        return (*bench.store.uses(digest), *of_locks.get(digest, ()))

    def tell(size: int) -> None:
        nonlocal done
        done += size
        work.note(megabytes(done))

    with step(work, "hash every object") as current:
        report = audit(bench.vault, uses=uses, progress=tell)
        current.detail = f"{report.objects:,} objects, {'sound' if report.is_sound() else 'not sound'}"
    _report_file(bench).parent.mkdir(parents=True, exist_ok=True)
    replace_text(_report_file(bench), json.dumps(report.to_json()))


def _report_file(bench: Bench) -> FilePath:
    return bench.settings.home / "serve" / "audit.json"
