"""What a recipe declares, as values. `load.py` makes them from YAML; nothing here reads a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from provenance.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place in a YAML file; `line` counts from 1."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class InputType(StrEnum):
    """What an input must be before a thread starts."""

    FILE = "file"
    DIRECTORY = "directory"
    FITS = "fits"
    TABLE = "table"
    TEXT = "text"


class ParameterType(StrEnum):
    """What values a parameter takes."""

    INT = "int"
    FLOAT = "float"
    CHOICE = "choice"
    TEXT = "text"
    BOOLEAN = "boolean"
    TIME = "time"


class ScriptLanguage(StrEnum):
    """Who interprets a thread's script; decides how a value is put into it."""

    SH = "sh"
    PYTHON = "python"
    PLAIN = "plain"


class Grant(StrEnum):
    """What a container may be given beyond law 4, each with a reason the user sees."""

    NETWORK = "network"
    WRITABLE_ROOT = "writable-root"
    CAPABILITY = "capability"


class GuiKind(StrEnum):
    """How a GUI reaches the browser: an X11 window over VNC, or a web application."""

    X11 = "x11"
    WEB = "web"


class OpenGl(StrEnum):
    """Who draws OpenGL for a GUI: nobody, or Mesa on the processor, in the application's own container."""

    NONE = "none"
    SOFTWARE = "software"


ParameterValue = int | float | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """How to cite the software: exactly one of the three identifiers, bare (no URL before it)."""

    doi: str | None = None
    ascl: str | None = None
    ads: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer:
    """Who answers for a recipe."""

    name: str
    contact: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What an environment stands on: exactly one of a Debian suite, an OCI image, a deposited file system."""

    debian: str | None = None
    snapshot: str | None = None
    image: str | None = None
    rootfs: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Bytes to fetch: from one of several URLs, or a wheel named as a Python requirement `name==version`."""

    location: Location
    name: str
    urls: tuple[str, ...] = ()
    wheel: str | None = None
    sha256: str | None = None
    size: int | None = None
    unpack: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """A file a curator must hand in: what it is called, where it is found, why it cannot be fetched."""

    location: Location
    name: str
    file: str
    found_at: str
    why: str
    licence: str = ""
    sha256: str | None = None
    size: int | None = None
    unpack: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of the build, run with no network in the environment being made."""

    location: Location
    run: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Something outside law 4 and the reason for it."""

    location: Location
    grant: Grant
    reason: str = ""
    capability: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The bounds of a container. Memory and disk in MiB (1024 * 1024 bytes); `cpus` is a share of cores."""

    memory_mb: int = 1024
    cpus: float = 1.0
    processes: int = 256
    disk_mb: int = 2048
    log_mb: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A typed input of a thread. `must_contain` lists globs a directory has to match.

    With `calibration` it is that calibration's tree, as it was on the day a run names.
    """

    location: Location
    name: str
    type: InputType
    help: str = ""
    must_contain: tuple[str, ...] = ()
    required: bool = True
    calibration: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A typed parameter. A parameter with neither default nor `required` may be left out: it is then None."""

    location: Location
    name: str
    type: ParameterType
    help: str = ""
    unit: str = ""
    default: ParameterValue | None = None
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    max_length: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRule:
    """The rule that judges an output when a run is repeated: name and options (see provenance.compare)."""

    rule: str = "bytes"
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A named output: a path or a glob under the run's output folder, and the rule that judges it."""

    location: Location
    name: str
    path: str
    media_type: str
    help: str = ""
    required: bool = True
    compare: CompareRule = field(default_factory=CompareRule)

    @property
    def is_glob(self) -> bool:
        """Whether `path` names any number of files."""
        return any(sign in self.path for sign in "*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A Jinja2 template and the program that reads it; `command` is the argv before the script's path."""

    language: ScriptLanguage
    text: str
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A pattern that must not be in the log (`where` = `log`) or in an output (`where` = its name)."""

    where: str
    pattern: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """When a run counts as done: exit status, and patterns that must not appear."""

    exit_status: tuple[int, ...] = (0,)
    refuse: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A processing: typed inputs, parameters and outputs, and either an argv or a script."""

    location: Location
    name: str
    title: str
    help: str = ""
    inputs: tuple[Input, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    outputs: tuple[Output, ...] = ()
    command: tuple[str, ...] = ()
    script: Script | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    success: Success = field(default_factory=Success)
    time_limit_s: int = 3600
    resources: Resources = field(default_factory=Resources)
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gui:
    """A window or web application the user can open."""

    location: Location
    name: str
    title: str
    command: tuple[str, ...]
    kind: GuiKind = GuiKind.X11
    display: str = "truecolor"
    window_class: str = ""
    window_title: str = ""
    opengl: OpenGl = OpenGl.NONE
    parameter_files: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    help: str = ""
    resources: Resources = field(default_factory=Resources)
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeDataset:
    """Data a recipe brings: a folder of the recipe, files of a source, or both (the folder lies on top)."""

    location: Location
    name: str
    title: str
    origin: str
    licence: str = ""
    path: str | None = None
    source: str | None = None
    subpath: str = ""
    include: tuple[str, ...] = ("**",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a smoke test must find in an output: a digest, or a file of the recipe and a rule to judge by."""

    location: Location
    output: str
    file: str | None = None
    sha256: Digest | None = None
    compare: CompareRule = field(default_factory=CompareRule)
    measures: Mapping[str, float] = field(default_factory=dict)
    contains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeTest:
    """One real run of a thread and what it must give, or a GUI, opened, and the screen it must show.

    Exactly one of `thread` and `gui` is named; a GUI has a `reference`, the picture of its screen.
    """

    location: Location
    name: str
    thread: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    expect: tuple[Expectation, ...] = ()
    gui: str = ""
    datasets: tuple[str, ...] = ()
    reference: str = ""
    least_similarity: float = 0.8
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The curated description of one version of one application."""

    folder: Path
    digest: Digest
    name: str
    version: str
    title: str
    description: str
    homepage: str
    licence: str
    mission: tuple[str, ...]
    citations: tuple[Citation, ...]
    maintainers: tuple[Maintainer, ...]
    base: Base
    missing: tuple[str, ...] = ()
    retired: str = ""
    superseded_by: str = ""
    architecture: str = "amd64"
    packages: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    python_version: str = "3.11"
    sources: tuple[Source, ...] = ()
    deposits: tuple[Deposit, ...] = ()
    steps: tuple[Step, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    guis: tuple[Gui, ...] = ()
    threads: tuple[Thread, ...] = ()
    datasets: tuple[RecipeDataset, ...] = ()
    smoke: tuple[SmokeTest, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        """`name/version`, as the recipe's folder is called."""
        return f"{self.name}/{self.version}"

    @property
    def file(self) -> Path:
        """The YAML file this recipe was read from."""
        return self.folder / "recipe.yaml"

    def at(self, key: str) -> Location:
        """Where `key` stands in the file: a path such as `threads.simulate.script`, or its nearest part."""
        return Location(file=self.file, line=line_of(self.lines, key))


def line_of(lines: Mapping[str, int], path: str) -> int:
    """The line of a path such as `threads.simulate.script`, or of the nearest part of it that was written."""
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path, 1)
