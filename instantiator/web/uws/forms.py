"""Forms and the files in them: read up to a limit, registered as datasets of who sent them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.types import Message

from instantiator.dataset import add_dataset
from instantiator.recipe.model import InputType, Thread
from instantiator.users import Event, Principal, Scope, Thing
from instantiator.web.access import note
from instantiator.web.guard import FIELD, refuse_missing_scope
from instantiator.web.portal import Portal
from instantiator.web.uws.asked import Asked, RequestInvalid
from instantiator.web.workspace import UploadTooLarge

_PLAIN = 1024**2
_NAME_BYTES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form: its parameters in order, and its files by the name of their part."""

    pairs: Sequence[tuple[str, str]]
    files: Mapping[str, UploadFile]


@asynccontextmanager
async def open_form(request: Request, limit: int = _PLAIN) -> AsyncIterator[Form]:
    """The form of a request and the parameters of its address; raises `UploadTooLarge`, `RequestInvalid`."""
    bound_body(request, limit)
    async with request.form(max_files=1000, max_fields=1000) as form:
        yield _read(request, form)


def bound_body(request: Request, limit: int) -> None:
    """Let a request's body be read up to a limit, whether it says how large it is or not."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    receive, count = (
        request._receive,
        0,
    )  # the form may have been read by who looked for its guard: no new Request

    async def counted() -> Message:
        nonlocal count
        message = await receive()
        count += len(message.get("body", b""))
        if count > limit:
            raise _too_large(limit)
        return message

    request._receive = counted


async def register_uploads(
    request: Request, portal: Portal, asker: Principal, thread: Thread, asked: Asked, form: Form
) -> dict[str, str]:
    """The dataset of each input whose files came with the form. Needs the scope to register datasets."""
    if not asked.uploads:
        return {}
    refuse_missing_scope(request, asker, Scope.DATASET)
    files = {name: _files_of(name, parts, thread, form) for name, parts in asked.uploads.items()}
    return {
        name: await run_in_threadpool(_register, portal, asker, thread, name, found)
        for name, found in files.items()
    }


def upload_limit(portal: Portal, asker: Principal) -> int:
    """How many bytes a form of this user may have."""
    if not asker.may(Scope.DATASET):
        return _PLAIN
    return _PLAIN + min(portal.upload_limit, portal.users.people.limits_of(asker.user).upload_bytes)


def _read(request: Request, form: FormData) -> Form:
    sent = [(key, value) for key, value in form.multi_items() if key != FIELD]
    files: dict[str, UploadFile] = {}
    for key, value in sent:
        if isinstance(value, UploadFile):
            if key in files:
                raise RequestInvalid(f"two files are called {key!r}", hint="give each part a name of its own")
            files[key] = value
    pairs = [(key, value) for key, value in sent if isinstance(value, str)]
    return Form(pairs=(*request.query_params.multi_items(), *pairs), files=files)


def _files_of(name: str, parts: Sequence[str], thread: Thread, form: Form) -> dict[str, UploadFile]:
    missing = [part for part in parts if part not in form.files]
    if missing:
        raise RequestInvalid(
            f"the form has no file {missing[0]!r}", hint=f"UPLOAD={name},param:PART names a part"
        )
    found = {_file_name(form.files[part], part): form.files[part] for part in parts}
    is_folder = _is_folder(thread, name)
    if len(found) < len(parts) or (len(found) > 1 and not is_folder):
        raise RequestInvalid(
            f"input {name!r} has {len(parts)} files: expected {'different names' if is_folder else 'one file'}",
            hint="several files, each with its own name, make a directory",
        )
    return found


def _register(
    portal: Portal, asker: Principal, thread: Thread, name: str, files: Mapping[str, UploadFile]
) -> str:
    scratch = portal.bench.settings.scratch_dir
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="uws-") as folder:
        for path, file in files.items():
            with Path(folder, path).open("wb") as target:
                shutil.copyfileobj(file.file, target)
        root = Path(folder) if _is_folder(thread, name) else Path(folder, next(iter(files)))
        own = f"upload-{Path(folder).name.removeprefix('uws-').replace('_', '-').lower()}-{name}"[:80]
        dataset = add_dataset(
            root,
            vault=portal.bench.vault,
            store=portal.bench.store,
            now=portal.clock(),
            name=own.rstrip("-"),
            origin="sent with a UWS job",
        )
    portal.users.shares.own(Thing.DATASET, dataset.name, asker.user)
    note(portal, asker, Event.UPLOAD, dataset.reference)
    return dataset.reference


def _is_folder(thread: Thread, name: str) -> bool:
    return any(item.name == name and item.type is InputType.DIRECTORY for item in thread.inputs)


def _file_name(file: UploadFile, part: str) -> str:
    """The last part of the name the client gave its file, where it can be a file's name here."""
    name = PurePosixPath((file.filename or part).replace("\\", "/")).name
    is_plain = name.isprintable() and name not in ("", ".", "..") and len(name.encode()) <= _NAME_BYTES
    return name if is_plain else "file"


def _too_large(limit: int) -> UploadTooLarge:
    return UploadTooLarge(
        f"the form is too large: expected at most {limit} bytes, found more",
        hint="register larger data as a dataset first, then give its name",
    )
