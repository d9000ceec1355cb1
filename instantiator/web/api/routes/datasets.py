"""Datasets: list, look at, download, and register by path, address or archive identifier."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter

from instantiator.dataset import add_dataset
from instantiator.dataset.archives import ArchiveFile, find_files
from instantiator.dataset.archives_fetch import fetch_file
from instantiator.dataset.download import DownloadFailed, Downloads
from instantiator.progress import megabytes, step
from instantiator.users import Event, Principal, Thing
from instantiator.web.access import is_own, seen_datasets
from instantiator.web.api import models, views
from instantiator.web.api.asking import DatasetUser, Operator, PortalOf, Reader, dataset_of, note
from instantiator.web.api.contents import described_bytes, send_object
from instantiator.web.api.problems import problems
from instantiator.web.api.wire import DatasetReference
from instantiator.web.portal import NotFound, Portal
from instantiator.web.work import Work
from provenance.digest import parse_digest
from provenance.errors import ThawError
from provenance.store import Dataset

router = APIRouter(prefix="/datasets", tags=["datasets"])
Reference = Annotated[DatasetReference, PathParameter(examples=["m31-1991@1"])]
Cursor = Annotated[str | None, Query(max_length=1100)]
Limit = Annotated[int, Query(ge=1, le=1000)]
REGISTERED: dict[int | str, dict[str, Any]] = {201: {"headers": {"Location": {"schema": {"type": "string"}}}}}


class PathNotAllowed(ThawError):
    """The path lies in no folder from which datasets may be registered."""

    code = "path-not-allowed"


class NameTaken(ThawError):
    """A dataset of this name is somebody else's: only they add versions to it."""

    code = "dataset-name-taken"


class NotKept(ThawError):
    """The dataset's bytes are not in the vault: it is a reference to files on the service's host."""

    code = "not-kept"


@router.get("", operation_id="list_datasets", responses=problems())
def list_datasets(
    portal: PortalOf, asker: Reader, limit: Limit = 100, cursor: Cursor = None
) -> models.DatasetList:
    """The datasets I may use, all versions, by name."""
    after = _key(cursor) if cursor else ("", 0)
    found = [item for item in seen_datasets(portal, asker) if (item.name, item.version) > after]
    following = found[limit - 1].reference if len(found) > limit else None
    return models.DatasetList(
        datasets=tuple(views.dataset_view(item) for item in found[:limit]), next=following
    )


@router.get("/{reference}", operation_id="get_dataset", responses=problems())
def get_dataset(portal: PortalOf, asker: Reader, reference: Reference) -> models.DatasetView:
    """One dataset: `name` for the latest version, or `name@version`."""
    return views.dataset_view(dataset_of(portal, asker, reference))


@router.get("/{reference}/files", operation_id="list_files", responses=problems())
def list_files(
    portal: PortalOf, asker: Reader, reference: Reference, limit: Limit = 1000, cursor: Cursor = None
) -> models.FileList:
    """The files of a dataset, with their digests."""
    from urllib.parse import quote

    dataset = dataset_of(portal, asker, reference)
    tree = portal.bench.vault.read_tree(dataset.digest)
    found = [entry for entry in tree.entries if cursor is None or entry.path > cursor]
    root = f"{views.ROOT}/datasets/{dataset.reference}/files"
    files = tuple(
        models.FileView(path=e.path, digest=e.digest, size=e.size, href=f"{root}/{quote(e.path)}")
        for e in found[:limit]
    )
    return models.FileList(files=files, next=files[-1].path if len(found) > limit else None)


@router.get(
    "/{reference}/files/{path:path}",
    operation_id="get_file",
    response_class=Response,
    responses={**described_bytes("application/octet-stream", "The file's bytes"), **problems(409, 416)},
)
def get_file(
    request: Request,
    portal: PortalOf,
    asker: Reader,
    reference: Reference,
    path: Annotated[str, PathParameter(max_length=4096, examples=["events.fits"])],
) -> Response:
    """One file of a kept dataset, or a range of it."""
    dataset = dataset_of(portal, asker, reference)
    entries = portal.bench.vault.read_tree(dataset.digest).entries
    entry = next((item for item in entries if item.path == path), None)
    if entry is None:
        raise NotFound(f"dataset {dataset.reference} has no such file", hint="list its files")
    if not dataset.kept:
        raise NotKept(
            f"dataset {dataset.reference} is a reference: expected a kept one", hint="add it with keep"
        )
    return send_object(
        request,
        portal,
        entry.digest,
        asker=asker,
        of=dataset.reference,
        size=entry.size,
        name=path.rpartition("/")[2],
        used_by=f"dataset {dataset.reference}, file {path}",
    )


@router.post("", operation_id="register_path", status_code=201, responses={**REGISTERED, **problems(409)})
def register_path(
    portal: PortalOf, asker: Operator, response: Response, asked: models.NewByPath
) -> models.DatasetView:
    """Register a file or folder of the service's host, in one of the folders that are allowed. For operators."""
    path = _allowed(portal, asked.path)
    refuse_taken_name(portal, asker, asked.name)
    dataset = add_dataset(
        path,
        vault=portal.bench.vault,
        store=portal.bench.store,
        now=portal.clock(),
        name=asked.name,
        keep=asked.keep,
        title=asked.title,
        origin=asked.origin,
        licence=asked.licence,
    )
    _take(portal, asker, dataset)
    view = views.dataset_view(dataset)
    response.headers["Location"] = view.href
    return view


@router.post("/fetch", operation_id="fetch_address", status_code=202, responses=problems(409))
def fetch_address(portal: PortalOf, asker: DatasetUser, asked: models.NewByAddress) -> models.WorkView:
    """Fetch a file over https and register it; its sha256 must be known. Follow the work it answers with."""
    from urllib.parse import unquote

    path = re.split("[?#]", asked.url.removeprefix("https://"))[0].partition("/")[2]
    name = unquote(path).rpartition("/")[2]
    is_plain = name.isprintable() and name not in ("", ".", "..") and len(name.encode()) < 200
    file = ArchiveFile(
        path=name if is_plain else "file", url=asked.url, digest=parse_digest(f"sha256:{asked.sha256}")
    )
    described = asked if asked.origin else asked.model_copy(update={"origin": asked.url[:500]})
    return _start(portal, asker, described, [file], f"Fetch {asked.url[:200]}")


@router.post("/resolve", operation_id="resolve_identifier", status_code=202, responses=problems(409, 502))
def resolve_identifier(
    portal: PortalOf, asker: DatasetUser, asked: models.NewByIdentifier
) -> models.WorkView:
    """Fetch what an archive has under an identifier, and register it. Follow the work it answers with."""
    files = find_files(asked.identifier)
    described = asked if asked.origin else asked.model_copy(update={"origin": asked.identifier})
    return _start(portal, asker, described, files, f"Fetch {asked.identifier}")


def refuse_taken_name(portal: Portal, asker: Principal, name: str) -> None:
    """Raise `NameTaken` where a name is another's: a new version of it would be taken for theirs."""
    owner = portal.users.shares.owner_of(Thing.DATASET, name)
    if portal.bench.store.dataset(name) is not None and not is_own(portal, asker, owner):
        raise NameTaken(f"the name {name!r} is taken: expected a name of your own", hint="choose another")


def _start(
    portal: Portal, asker: Principal, asked: models.Described, files: Sequence[ArchiveFile], title: str
) -> models.WorkView:
    refuse_taken_name(portal, asker, asked.name)
    limit = min(portal.upload_limit, portal.users.people.limits_of(asker.user).upload_bytes)

    def do(work: Work) -> str:
        dataset = _fetch(portal, asked, files, limit, work)
        _take(portal, asker, dataset)
        return f"{views.ROOT}/datasets/{dataset.reference}"

    return views.work_view(portal.works.start(asker.user, title, do))


def _fetch(
    portal: Portal, asked: models.Described, files: Sequence[ArchiveFile], limit: int, work: Work
) -> Dataset:
    scratch = portal.bench.settings.scratch_dir
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="fetch-") as folder:
        left = limit
        for file in files:
            left -= _fetch_one(file, Path(folder), left, work)
        with step(work, "register"):
            return add_dataset(
                Path(folder),
                vault=portal.bench.vault,
                store=portal.bench.store,
                now=portal.clock(),
                name=asked.name,
                title=asked.title,
                origin=asked.origin,
                licence=asked.licence,
            )


def _fetch_one(file: ArchiveFile, folder: Path, limit: int, work: Work) -> int:
    done = 0
    with step(work, f"fetch {file.path}") as current:

        def tell(size: int) -> None:
            nonlocal done
            done += size
            work.note(megabytes(done))
            if work.cancel.is_set():
                raise DownloadFailed("it was stopped", where=file.url, hint="ask for it again")

        size = fetch_file(file, folder, Downloads(max_bytes=limit), tell)
        current.detail = megabytes(size)
    return size


def _take(portal: Portal, asker: Principal, dataset: Dataset) -> None:
    portal.users.shares.own(Thing.DATASET, dataset.name, asker.user)
    note(portal, asker, Event.UPLOAD, dataset.reference)


def _allowed(portal: Portal, text: str) -> Path:
    path = Path(text).resolve()
    if not any(path.is_relative_to(folder) for folder in portal.dataset_folders):
        told = ", ".join(str(folder) for folder in portal.dataset_folders) or "none"
        raise PathNotAllowed(
            f"nothing is registered from there: expected a path in one of these folders: {told}",
            hint="the operator allows folders: the setting dataset_folders; or upload the files",
        )
    return path


def _key(cursor: str) -> tuple[str, int]:
    name, _, version = cursor.partition("@")
    return name, int(version) if version.isdigit() and len(version) < 12 else 0
