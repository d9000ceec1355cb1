"""The values of the API, version 1, about sessions and the service itself."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from instantiator.web.api.models import StepView
from instantiator.web.api.wire import WHOLE, DatasetReference, DigestText, RecipeId, ThreadName, Time, Wire


class NewSession(Wire):
    """A window to be opened."""

    recipe: RecipeId
    gui: ThreadName | None = None
    datasets: Annotated[tuple[DatasetReference, ...], Field(max_length=64, strict=False)] = ()
    workspace: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["default"])] = (
        "default"
    )
    width: Annotated[int, Field(ge=100, le=9999), WHOLE] = 1280
    height: Annotated[int, Field(ge=100, le=9999), WHOLE] = 800


class SessionView(Wire):
    """A session; `page` is where it is seen and worked in, with a browser."""

    session: str
    user: str
    recipe: str
    gui: str
    title: str
    kind: str
    state: str
    is_over: bool
    steps: tuple[StepView, ...]
    message: str
    workspace: str
    datasets: tuple[str, ...]
    created: Time
    expires: Time
    ended: Time | None
    end_reason: str
    record: DigestText | None
    page: str
    href: str


class SessionList(Wire):
    """Sessions, newest first."""

    sessions: tuple[SessionView, ...]


class SessionFile(Wire):
    """A file or folder of a session's workspace."""

    path: str
    kind: str
    size: int
    modified: str


class SessionFiles(Wire):
    """What lies in a folder of a workspace."""

    path: str
    entries: tuple[SessionFile, ...]


class VaultView(Wire):
    """How much the vault holds, and the last audit of this service, if there was one."""

    objects: int
    size: int
    last_audit: dict[str, Any] | None


class RecipeVerdict(Wire):
    """Whether a recipe can run on this host, and why not."""

    recipe: str
    runs: bool
    reasons: tuple[str, ...]


class DoctorView(Wire):
    """What this host can do."""

    host: dict[str, Any]
    recipes: tuple[RecipeVerdict, ...]
