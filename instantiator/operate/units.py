"""The files that start a service on this host: systemd units, a compose file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from instantiator import __version__
from provenance.errors import ThawError

_TEMPLATES = Path(__file__).parent / "deploy"
_BASE = "python:3.13-slim-bookworm"
_SAFE = re.compile(r"[A-Za-z0-9_./:@-]+")
GRACE_S = 20
_MORE_S = 70
"""Beyond the grace: what handing back runs and ending the parts may take."""


class DeployRefused(ThawError):
    """The files cannot be written for this host, or not there."""

    code = "deploy-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the files say of this host. `source` is the folder Thaw is installed from, for the compose file."""

    home: Path
    recipes: Path
    engine: Path
    thaw: Path
    source: Path
    user: str
    group: str
    uid: int
    gid: int
    engine_group: str
    engine_gid: int
    host: str = "127.0.0.1"
    port: int = 8765
    public_url: str | None = None

    def values(self) -> Mapping[str, str]:
        """All of it as texts; raises `DeployRefused` for one that a file would read as something else."""
        names = ("home", "recipes", "engine", "thaw", "source", "user", "group", "engine_group", "host")
        found = {name: str(getattr(self, name)) for name in names}
        site = self.public_url or f"http://127.0.0.1:{self.port}"
        for name, text in {**found, "public-url": site}.items():
            if not _SAFE.fullmatch(text):
                raise DeployRefused(
                    f"{name} is {text!r}: expected letters, digits and _./:@- alone",
                    hint="use a folder with a plain name",
                )
        numbers = {"uid": self.uid, "gid": self.gid, "engine_gid": self.engine_gid, "port": self.port}
        return {
            **found,
            **{name: str(number) for name, number in numbers.items()},
            "grace": str(GRACE_S),
            "stop_s": str(GRACE_S + _MORE_S),
            "site": site,
            "public_url": f" --public-url {self.public_url}" if self.public_url else "",
            "version": __version__,
            "base": _BASE,
        }


def render_units(site: Site) -> Mapping[str, str]:
    """`thaw.service`, and `thaw-worker.service`, which nobody needs to install."""
    values = site.values()
    hardening = _render("hardening.conf", values)
    names = ("thaw.service", "thaw-worker.service")
    return {name: _render(name, {**values, "hardening": hardening}) for name in names}


def render_compose(site: Site) -> Mapping[str, str]:
    """`compose.yaml`; the service runs as the user it is written for."""
    return {"compose.yaml": _render("compose.yaml", site.values())}


def write_files(files: Mapping[str, str], folder: Path) -> tuple[Path, ...]:
    """Write them; raises `DeployRefused` where one is there and says something else."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name
        if path.exists() and path.read_text() != text:
            raise DeployRefused(
                "there is another file of this name",
                where=str(path),
                hint="move it away first: what was changed by hand is not written over",
            )
    for name, text in files.items():
        (folder / name).write_text(text)
    return tuple(folder / name for name in files)


def _render(name: str, values: Mapping[str, str]) -> str:
    return Template((_TEMPLATES / name).read_text()).substitute(values)
