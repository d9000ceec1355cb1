"""The values of the API, version 1: what requests hold and what answers give."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from instantiator.web.api.wire import (
    WHOLE,
    DatasetName,
    DatasetReference,
    DigestText,
    GivenTime,
    Line,
    RecipeId,
    RelativePath,
    Sha256,
    ThreadName,
    Time,
    Wire,
)

ParameterValue = StrictBool | StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=10_000)]
Parameters = Annotated[dict[str, ParameterValue], Field(max_length=1000, examples=[{"time_step": 60}])]
Inputs = Annotated[
    dict[ThreadName, DatasetReference], Field(max_length=64, examples=[{"scenario": "cruise"}])
]


class Index(Wire):
    """What is served here."""

    version: str
    links: dict[str, str]


class RecipeEntry(Wire):
    """One published version of one application, as the catalogue lists it.

    `status` is derived by this service; `verified` is when its smoke tests last passed in the very `image`, and
    `details` say why it is no better. `awaits` are deposits nobody handed in, `missing` the facts a draft lacks.
    """

    recipe: RecipeId
    name: str
    version: str
    title: str
    mission: tuple[str, ...]
    threads: tuple[str, ...]
    guis: tuple[str, ...]
    status: str
    verified: Time | None
    details: tuple[str, ...]
    image: DigestText | None
    awaits: tuple[str, ...]
    missing: tuple[str, ...]
    retired: str
    superseded_by: str
    href: str


class RecipeList(Wire):
    """The catalogue, narrowed as asked."""

    recipes: tuple[RecipeEntry, ...]


class InputOf(Wire):
    """An input of a thread: which dataset fits."""

    name: str
    type: str
    help: str
    required: bool
    must_contain: tuple[str, ...]


class OutputOf(Wire):
    """An output of a thread, and the rule that judges it when a run is repeated."""

    name: str
    path: str
    media_type: str
    help: str
    required: bool
    rule: str


class ThreadView(Wire):
    """A processing of a recipe. `parameters` is the JSON Schema (2020-12) of an object with its parameters."""

    recipe: RecipeId
    thread: str
    title: str
    help: str
    inputs: tuple[InputOf, ...]
    parameters: dict[str, Any]
    outputs: tuple[OutputOf, ...]
    time_limit_s: int
    href: str


class ThreadList(Wire):
    """The threads of a recipe."""

    threads: tuple[ThreadView, ...]


class GuiView(Wire):
    """A window, or web lab, that can be opened."""

    name: str
    title: str
    kind: str
    help: str


class EvidenceView(Wire):
    """What vouches for a recipe's image."""

    is_locked: bool
    image: str
    size: int
    packages: int
    wheels: int
    lock: DigestText


class RecipeView(Wire):
    """A recipe in all its parts."""

    recipe: RecipeId
    digest: DigestText
    title: str
    description: str
    homepage: str
    licence: str
    mission: tuple[str, ...]
    citations: tuple[str, ...]
    threads: tuple[str, ...]
    guis: tuple[GuiView, ...]
    datasets: tuple[str, ...]
    evidence: EvidenceView | None
    versions: tuple[str, ...]
    href: str


class DatasetView(Wire):
    """One version of a dataset. `kept`: its bytes are in the vault, so it can be downloaded and never goes."""

    dataset: DatasetReference
    name: str
    version: int
    digest: DigestText
    files: int
    size: int
    kept: bool
    added: Time
    title: str
    origin: str
    licence: str
    href: str


class DatasetList(Wire):
    """Datasets by name and version; `next` is the cursor of the page after, null on the last one."""

    datasets: tuple[DatasetView, ...]
    next: str | None


class FileView(Wire):
    """A file of a dataset or an output of a run."""

    path: str
    digest: DigestText
    size: int
    href: str


class FileList(Wire):
    """The files of a dataset, by path; `next` is the cursor of the page after."""

    files: tuple[FileView, ...]
    next: str | None


class Described(Wire):
    """What a dataset is called and where it comes from."""

    name: DatasetName
    title: Line = ""
    origin: Line = ""
    licence: Line = ""


class NewByPath(Described):
    """A file or folder of the service's host; with `keep` false its bytes stay there."""

    path: Annotated[str, Field(pattern=r"^/[^\x00]*$", max_length=4096, examples=["/data/m31-1991"])]
    keep: bool = True


class NewByAddress(Described):
    """A file to be fetched over https; what comes must have the digest given."""

    url: Annotated[
        str,
        Field(
            pattern=r"^https://[^\x00-\x20\x7f]+$",
            max_length=2048,
            examples=["https://archive.example/m31.fits"],
        ),
    ]
    sha256: Sha256


class NewByIdentifier(Described):
    """An identifier of an archive, its short name before the colon."""

    identifier: Annotated[
        str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}:[^\x00-\x20\x7f]{1,200}$", examples=["xmm:0123700101"])
    ]


class NewFile(Wire):
    """A file about to be uploaded; where `sha256` is given, what arrives must have it."""

    path: RelativePath
    size: Annotated[int, Field(ge=0, le=2**50), WHOLE]
    sha256: Sha256 | None = None


class NewUpload(Described):
    """A dataset about to be uploaded, file by file, each in pieces."""

    files: Annotated[tuple[NewFile, ...], Field(min_length=1, max_length=10_000, strict=False)]


class UploadedFile(Wire):
    """How much of a file is there: its next piece begins at `offset`."""

    path: str
    size: int
    offset: int
    href: str


class UploadView(Wire):
    """An upload under way; `piece` is the most bytes one request may bring."""

    upload: str
    name: DatasetName
    piece: int
    is_complete: bool
    files: tuple[UploadedFile, ...]
    href: str


class StepView(Wire):
    """One named step of something long."""

    name: str
    state: str
    detail: str
    seconds: float | None


class WorkView(Wire):
    """Something long under way in the service: fetching, verifying, auditing. `leads_to` is what came of it."""

    work: str
    title: str
    state: Annotated[str, Field(examples=["running", "done", "failed"])]
    steps: tuple[StepView, ...]
    problem: dict[str, Any] | None
    leads_to: str | None
    href: str


class NewRun(Wire):
    """A thread on datasets, with parameters. With `start` false it waits until it is started."""

    recipe: RecipeId
    thread: ThreadName
    datasets: Inputs = Field(default_factory=dict)
    parameters: Parameters = Field(default_factory=dict)
    start: bool = True
    fresh: bool = False
    priority: Annotated[int, Field(ge=-10, le=10), WHOLE] = 0
    time_limit_s: Annotated[int, Field(ge=1, le=31_536_000), WHOLE] | None = None
    destruction: GivenTime | None = None
    label: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)] = ""


class ChangedRun(Wire):
    """What of a run may be changed: its time limit before it executes, and when its results may go."""

    time_limit_s: Annotated[int, Field(ge=1, le=31_536_000), WHOLE] | None = None
    destruction: GivenTime | None = None


class RunView(Wire):
    """A run. `phase` is the state in the words of IVOA UWS; `answered_from` names the run that gave the outputs."""

    run: str
    kind: str
    user: str
    label: str
    recipe: str
    thread: str
    parameters: dict[str, Any]
    datasets: dict[str, str]
    state: str
    phase: str
    is_final: bool
    message: str
    submitted: Time
    started: Time | None
    ended: Time | None
    exit_status: int | None
    priority: int
    position: int | None
    attempts: int
    time_limit_s: int
    destruction: Time | None
    record: DigestText | None
    answered_from: str | None
    repeats: str | None
    links: dict[str, str]


class RunList(Wire):
    """Runs, newest first; `next` is the cursor of the page after, null on the last one."""

    runs: tuple[RunView, ...]
    next: str | None


class OutputView(Wire):
    """One output of a run."""

    number: int
    name: str
    path: str
    digest: DigestText
    size: int
    media_type: str
    rule: str
    href: str


class OutputList(Wire):
    """What a run gave."""

    outputs: tuple[OutputView, ...]


class VerdictEntry(Wire):
    """That a run was repeated and judged."""

    run: str
    repeated_by: str
    grade: str
    judged: Time
    verdict: DigestText
    href: str


class VerdictList(Wire):
    """The verdicts on a run, oldest first."""

    verdicts: tuple[VerdictEntry, ...]
