"""Resolve Debian package names to .deb files, with apt in a folder of its own: the host's packages are not touched."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from instantiator.image.errors import ResolveFailed
from instantiator.image.lock import LockedPackage

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ESSENTIAL = "?essential"
_URI = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})")

_APT_CONF = """\
Dir "{root}";
Dir::State "state";
Dir::State::status "{root}/status";
Dir::Cache "cache";
Dir::Etc "etc";
Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";
APT::Architecture "{architecture}";
APT::Architectures {{"{architecture}";}};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Acquire::Retries "3";
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A Debian archive as asked for: one suite, its main component, one architecture, from one mirror."""

    mirror: str
    suite: str
    architecture: str


def host_mirror(suite: str) -> str:
    """The mirror this host's own apt uses for `suite`; raises `ResolveFailed` where it has none."""
    targets = _run(["apt-get", "indextargets", "--format", "$(SITE)|$(RELEASE)|$(COMPONENT)"], {})
    sites = [line.split("|") for line in targets.splitlines()]
    exact = [site for site, release, component in sites if release == suite and component == "main"]
    usual = [site for site, _, _ in sites if site.rstrip("/").endswith("/debian")]
    for site in (*exact, *usual):
        return site.rstrip("/")
    raise ResolveFailed(
        f"the host's apt knows no mirror for Debian {suite}",
        where="apt-get indextargets",
        hint="name one in the setting debian_mirror (THAW_DEBIAN_MIRROR)",
    )


def resolve_packages(archive: Archive, names: Iterable[str]) -> tuple[LockedPackage, ...]:
    """Every package an environment of the essential set and `names` consists of, without recommendations.

    apt decides and checks the archive's signature (Debian's archive keyring); nothing is installed. Sorted by
    name.
    """
    with tempfile.TemporaryDirectory(prefix="thaw-apt-") as folder:
        environment = _private_apt(Path(folder), archive)
        _run(["apt-get", "-q", "update"], environment)
        listing = _run(["apt-get", "install", "-qq", "-y", "--print-uris", ESSENTIAL, *names], environment)
    return read_uris(listing, archive.mirror)


def fetch_contents(archive: Archive, target: Path) -> None:
    """Write the archive's list of the files of all its packages to `target`; apt checks its signature."""
    with tempfile.TemporaryDirectory(prefix="thaw-apt-") as folder:
        environment = _private_apt(Path(folder), archive)
        listed = [
            "-o",
            "Acquire::IndexTargets::deb::Contents-deb::MetaKey=$(COMPONENT)/Contents-$(ARCHITECTURE)",
        ]
        listed += ["-o", "Acquire::IndexTargets::deb::Contents-deb::ShortDescription=Contents"]
        listed += ["-o", "Acquire::IndexTargets::deb::Contents-deb::KeepCompressed=false"]
        _run(["apt-get", "-q", *listed, "update"], environment)
        with target.open("wb") as whole:  # one list for the architecture, one for packages of all of them
            for file in sorted((Path(folder) / "state/lists").glob("*_Contents-*")):
                with file.open("rb") as part:
                    shutil.copyfileobj(part, whole)


def read_uris(listing: str, mirror: str) -> tuple[LockedPackage, ...]:
    """The packages `apt-get --print-uris` lists, sorted; raises `ResolveFailed` for a line that names none."""
    lines = [line for line in listing.splitlines() if line.startswith("'")]
    packages = [_package(line, mirror) for line in lines]
    return tuple(sorted(packages, key=lambda package: (package.name, package.architecture)))


def _private_apt(root: Path, archive: Archive) -> Mapping[str, str]:
    for folder in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (root / folder).mkdir(parents=True)
    (root / "status").touch()
    source = f"deb [signed-by={KEYRING}] {archive.mirror} {archive.suite} main\n"
    (root / "etc/sources.list").write_text(source)
    configuration = root / "apt.conf"
    configuration.write_text(_APT_CONF.format(root=root, architecture=archive.architecture) + _host_acquire())
    return {"APT_CONFIG": str(configuration)}


def _host_acquire() -> str:
    """The host's own proxy settings: how bytes travel is the host's business, what they are is the lock's."""
    lines = _run(["apt-config", "dump"], {}).splitlines()
    return (
        "\n".join(line for line in lines if re.match(r"Acquire::https?::(Proxy|CaInfo|Verify)", line)) + "\n"
    )


def _package(line: str, mirror: str) -> LockedPackage:
    match = _URI.fullmatch(line.rstrip())
    below = f"{mirror.rstrip('/')}/"
    if match is None or not match["uri"].startswith(below):
        raise ResolveFailed(
            f"apt names a package Thaw cannot lock: {line!r}; expected an address below {below} and a SHA256",
            where=mirror,
            hint="set the setting debian_mirror to the plain address of a mirror",
        )
    name, version, rest = unquote(match["file"]).split("_", 2)
    return LockedPackage(
        name=name,
        version=version,
        architecture=rest.removesuffix(".deb"),
        pool=unquote(match["uri"].removeprefix(below)),
        sha256=match["sha256"],
        size=int(match["size"]),
    )


def _run(command: list[str], environment: Mapping[str, str]) -> str:
    if shutil.which(command[0]) is None:
        raise ResolveFailed(
            f"{command[0]} is not on this host, and locking Debian packages needs it",
            hint="lock on a Debian or Ubuntu host; building and running from a lock needs the engine only",
        )
    result = subprocess.run(
        command,
        env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if result.returncode != 0:
        raise ResolveFailed(
            f"{' '.join(command[:3])} ended with {result.returncode}: {_last_errors(result.stderr)}",
            hint="check the package names and the network; `apt-get update` on the host shows the same problem",
        )
    return result.stdout


def _last_errors(stderr: str) -> str:
    errors = [line for line in stderr.splitlines() if line.startswith("E:")]
    return " ".join(errors or stderr.splitlines()[-3:]).strip()
