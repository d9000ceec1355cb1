"""Where things are and how many at once: read once by an entry point, from environment, file and defaults."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from instantiator.dataset_settings import read_folders
from instantiator.oidc_settings import OidcSettings, read_oidc
from instantiator.secret import Secret
from provenance.errors import ThawError

_CLONE = Path(__file__).resolve().parent.parent
_DOCKER_SCHEMES = ("unix", "tcp", "ssh", "http", "https")
_HOME_HINT = "name a folder, as THAW_HOME=/srv/thaw"


class SettingsInvalid(ThawError):
    """A setting is unknown or has an impossible value."""

    code = "settings-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. None means: as the host is set up. docs/settings.md describes each."""

    home: Path
    recipes_dir: Path
    jobs: int
    docker_host: str | None = None
    debian_mirror: str | None = None
    snapshot_mirror: str | None = None
    pip_args: Secret | None = None
    idle_displays: int = 1
    queued_together: int = 10_000
    queued_per_user: int = 2_000
    executing_per_user: int = 64
    reexecuted_percent: int = 1
    oidc: OidcSettings | None = None
    dataset_folders: tuple[Path, ...] = ()

    @property
    def settings_file(self) -> Path:
        """The file with the settings that are not in the environment; it need not exist."""
        return self.home / "settings.toml"

    @property
    def vault_dir(self) -> Path:
        """Bytes kept for ever, and the journal."""
        return self.home / "vault"

    @property
    def store_file(self) -> Path:
        """The index of runs and datasets: may be deleted, is made again."""
        return self.home / "store.sqlite"

    @property
    def users_file(self) -> Path:
        """Users, tokens, shares and the audit log: cannot be made again, keep a copy."""
        return self.home / "users.sqlite"

    @property
    def runs_dir(self) -> Path:
        """A folder for each run: its outputs, and what it works with while it is under way."""
        return self.home / "runs"

    @property
    def trees_dir(self) -> Path:
        """Kept datasets as folders, made of links to the vault's objects, hence on its disk."""
        return self.home / "trees"

    @property
    def cache_dir(self) -> Path:
        """What may be deleted at any time and is fetched or made again."""
        return self.home / "cache"

    @property
    def scratch_dir(self) -> Path:
        """Room for work under way: images being built are large, so it is not the host's /tmp."""
        return self.home / "scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: its key in the file, its environment variables (the first one set counts), its meaning."""

    key: str
    variables: tuple[str, ...]
    help: str
    in_file: bool = True


_QUEUE = {
    "queued_together": (1, 1_000_000, 10_000, "how many runs may wait in the service's queue"),
    "queued_per_user": (1, 1_000_000, 2_000, "how many runs of one user may wait in it"),
    "executing_per_user": (1, 9999, 64, "how many queued runs of one user may execute at a time"),
    "reexecuted_percent": (0, 100, 1, "the share of answers from records that are executed again and judged"),
}
"""The settings of the queue: least, most, default, meaning."""

SETTINGS: tuple[Setting, ...] = (
    Setting(
        key="home",
        variables=("THAW_HOME",),
        help="the state folder: vault, store, runs; default: the user's data folder for thaw",
        in_file=False,
    ),
    Setting(
        key="recipes",
        variables=("THAW_RECIPES",),
        help="the folder with the recipes; default: recipes/ of the clone, else of the state folder",
    ),
    Setting(
        key="docker_host",
        variables=("THAW_DOCKER_HOST", "DOCKER_HOST"),
        help="the container engine's address, as unix:///run/docker.sock; default: the engine's own",
    ),
    Setting(
        key="debian_mirror",
        variables=("THAW_DEBIAN_MIRROR",),
        help="where Debian packages come from; default: the host's apt configuration",
    ),
    Setting(
        key="snapshot_mirror",
        variables=("THAW_SNAPSHOT_MIRROR",),
        help="where packages come from that the mirror has dropped; default: none is asked",
    ),
    Setting(
        key="pip_args",
        variables=("THAW_PIP_ARGS",),
        help="more arguments for pip download; they are never shown; default: the host's pip configuration",
    ),
    Setting(
        key="jobs",
        variables=("THAW_JOBS",),
        help="how many things are done at once; default: the number of CPUs this process may use",
    ),
    Setting(
        key="idle_displays",
        variables=("THAW_IDLE_DISPLAYS",),
        help="how many displays the service keeps waiting for sessions; default: 1",
    ),
    *(
        Setting(key=key, variables=(f"THAW_{key.upper()}",), help=f"{text}; default: {default}")
        for key, (_, _, default, text) in _QUEUE.items()
    ),
    Setting(
        key="dataset_folders",
        variables=("THAW_DATASET_FOLDERS",),
        help="folders from which the service registers datasets by path, colons between them; default: none",
    ),
    Setting(
        key="oidc",
        variables=("THAW_OIDC",),
        help="the identity provider people log in by, a table (docs/users.md); default: the local user alone",
    ),
)


@dataclass(frozen=True, slots=True)
class _Given:
    """A value somebody gave, and the words that say where."""

    value: object
    key: str
    where: str


class _Wrong(ValueError):
    """A value is not what its setting takes: what was expected."""


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings: environment before file before default. Only an entry point calls this, once.

    `environ` is the process's own where it is left out. Raises `SettingsInvalid` naming all mistakes at once.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    home = _read_home(environ)
    given = _given_in_file(home / "settings.toml", problems) | _given_in_environment(environ, problems)
    read: dict[str, object] = {}
    for key, found in given.items():
        try:
            read[key] = _READERS[key](found.value, environ)
        except _Wrong as error:
            shown = "****" if key in ("pip_args", "oidc") else _without_password(repr(found.value))
            problems.append(f"{found.where}: {found.key} is {shown}: expected {error}")
    if problems:
        raise _invalid(problems)
    return _settings(home, read)


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//****@", text)


def _settings(home: Path, read: Mapping[str, object]) -> Settings:
    recipes, jobs, idle_displays = (read.get(key) for key in ("recipes", "jobs", "idle_displays"))
    pip_args, oidc, folders = read.get("pip_args"), read.get("oidc"), read.get("dataset_folders")
    return Settings(
        home=home,
        recipes_dir=recipes if isinstance(recipes, Path) else _default_recipes(home),
        jobs=jobs if isinstance(jobs, int) else len(os.sched_getaffinity(0)),
        docker_host=_text_or_none(read.get("docker_host")),
        debian_mirror=_text_or_none(read.get("debian_mirror")),
        snapshot_mirror=_text_or_none(read.get("snapshot_mirror")),
        pip_args=pip_args if isinstance(pip_args, Secret) else None,
        idle_displays=idle_displays if isinstance(idle_displays, int) else 1,
        queued_together=_count(read, "queued_together"),
        queued_per_user=_count(read, "queued_per_user"),
        executing_per_user=_count(read, "executing_per_user"),
        reexecuted_percent=_count(read, "reexecuted_percent"),
        oidc=oidc if isinstance(oidc, OidcSettings) else None,
        dataset_folders=folders if isinstance(folders, tuple) else (),
    )


def _count(read: Mapping[str, object], key: str) -> int:
    value = read.get(key)
    return value if isinstance(value, int) else _QUEUE[key][2]


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _default_recipes(home: Path) -> Path:
    in_clone = _CLONE / "recipes"
    return in_clone if in_clone.is_dir() else home / "recipes"


def _read_home(environ: Mapping[str, str]) -> Path:
    given = environ.get("THAW_HOME", "")
    if not given:
        return _default_home()
    try:
        return _read_folder(given, environ)
    except _Wrong as error:
        raise SettingsInvalid(
            f"THAW_HOME is {given!r}: expected {error}", where="the environment", hint=_HOME_HINT
        ) from error


def _default_home() -> Path:
    import platformdirs  # here: with THAW_HOME set, start-up does without it

    return platformdirs.user_data_path("thaw")


def _given_in_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, _Given]:
    problems += _misspelt_variables(environ)
    found: dict[str, _Given] = {}
    for setting in SETTINGS:
        variable = next((name for name in setting.variables if environ.get(name)), None)
        if variable is not None and setting.in_file:
            found[setting.key] = _Given(environ[variable], variable, "the environment")
    return found


def _misspelt_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that are nearly one of ours. Others that begin with THAW_ are somebody else's business."""
    known = [name for setting in SETTINGS for name in setting.variables if name.startswith("THAW_")]
    found = []
    for name in sorted(environ):
        near = get_close_matches(name, known, n=1, cutoff=0.85) if name.startswith("THAW_") else []
        if near and name not in known:
            found.append(f"the environment: unknown variable {name!r} (did you mean {near[0]!r}?)")
    return found


def _given_in_file(path: Path, problems: list[str]) -> dict[str, _Given]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read: {error}")
        return {}
    import tomllib  # here: most people have no such file, and start-up does without it

    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: not TOML: {error}")
        return {}
    keys = [setting.key for setting in SETTINGS if setting.in_file]
    problems += [
        f"{path}:{_line_of(key, text)}: unknown key {key!r}{_advice(key, keys)}"
        for key in values
        if key not in keys
    ]
    return {
        key: _Given(value, key, f"{path}:{_line_of(key, text)}")
        for key, value in values.items()
        if key in keys
    }


def _advice(key: str, keys: list[str]) -> str:
    if key == "home":
        return " (the file lies in the state folder: set THAW_HOME in the environment)"
    near = get_close_matches(key, keys, n=1)
    return f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(keys)})"


def _line_of(key: str, text: str) -> int:
    """The line a top-level key or table stands on: tomllib keeps none. 1 where it is written unusually."""
    place = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[].=]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if place.match(line)), 1)


def _read_folder(value: object, environ: Mapping[str, str]) -> Path:
    if not isinstance(value, str) or not value:
        raise _Wrong("a path")
    if value == "~" or value.startswith("~/"):
        value = environ.get("HOME", "~") + value[1:]
    if not value.startswith("/"):
        raise _Wrong("an absolute path: the folder a command is typed in must not matter")
    return Path(os.path.normpath(value))


def _read_docker_host(value: object, _environ: Mapping[str, str]) -> str:
    if not isinstance(value, str) or urlsplit(value).scheme not in _DOCKER_SCHEMES or "://" not in value:
        raise _Wrong(
            f"an address that begins with one of {', '.join(f'{name}://' for name in _DOCKER_SCHEMES)}"
        )
    return value


def _read_mirror(value: object, _environ: Mapping[str, str]) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(https?|file)://\S+", value):
        raise _Wrong("a URL that begins with https://, http:// or file://")
    if "@" in urlsplit(value).netloc:
        raise _Wrong("a URL without a password: those belong into apt's auth.conf")
    return value.rstrip("/")


def _read_pip_args(value: object, _environ: Mapping[str, str]) -> Secret:
    try:
        if isinstance(value, str) and shlex.split(value):
            return Secret(value)
    except ValueError as error:
        raise _Wrong("arguments as a shell takes them: a quote is not closed") from error
    raise _Wrong("arguments as a shell takes them")


def _read_number(least: int, most: int) -> Callable[[object, Mapping[str, str]], int]:
    def read(value: object, _environ: Mapping[str, str]) -> int:
        text = str(value)
        if (
            isinstance(value, (int, str))
            and re.fullmatch(r"[0-9]{1,7}", text, re.ASCII)
            and least <= int(text) <= most
        ):
            return int(text)
        raise _Wrong(f"a whole number from {least} to {most}")

    return read


def _read_with(reader: Callable[[object], object]) -> Callable[[object, Mapping[str, str]], object]:
    def read(value: object, _environ: Mapping[str, str]) -> object:
        try:
            return reader(value)
        except ValueError as error:
            raise _Wrong(str(error)) from error

    return read


_READERS: Mapping[str, Callable[[object, Mapping[str, str]], object]] = MappingProxyType(
    {
        "recipes": _read_folder,
        "docker_host": _read_docker_host,
        "debian_mirror": _read_mirror,
        "snapshot_mirror": _read_mirror,
        "pip_args": _read_pip_args,
        "jobs": _read_number(1, 9999),
        "idle_displays": _read_number(0, 99),
        **{key: _read_number(least, most) for key, (least, most, _, _) in _QUEUE.items()},
        "oidc": _read_with(read_oidc),
        "dataset_folders": _read_with(read_folders),
    }
)


def _invalid(problems: list[str]) -> SettingsInvalid:
    where, _, first = problems[0].partition(": ")
    count = f"{len(problems)} settings are wrong: " if len(problems) > 1 else ""
    message = count + "; ".join([first, *problems[1:]])
    return SettingsInvalid(message, where=where, hint="docs/settings.md lists every key and what it takes")
