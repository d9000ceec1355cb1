"""Resolve Python requirements to wheels with pip, for the interpreter of the image rather than the host's."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from instantiator.image.errors import FetchFailed, ResolveFailed
from instantiator.image.lock import LockedWheel
from provenance.digest import Digest, parse_digest
from provenance.vault import Vault

# glibc 2.N of each Debian suite: a wheel tagged manylinux_2_M runs where M <= N (PEP 600).
_GLIBC = {"bullseye": 31, "bookworm": 36, "trixie": 41, "sid": 42}
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelTarget:
    """The interpreter wheels are chosen for: CPython `python_version` of a Debian suite.

    `pip_args` go to every `pip download`; they may hold credentials and are never shown.
    """

    suite: str
    architecture: str
    python_version: str
    pip_args: tuple[str, ...] = field(default=(), repr=False)


def resolve_wheels(requirements: Sequence[str], target: WheelTarget, vault: Vault) -> tuple[LockedWheel, ...]:
    """Every wheel `requirements` need, put into the vault; sorted by name. Sources (sdists) are refused."""
    if not requirements:
        return ()
    with tempfile.TemporaryDirectory(prefix="thaw-wheels-") as folder:
        options = [*_options(target), "--dest", folder]
        _pip(
            [*options, *requirements],
            failure=ResolveFailed(f"pip found no wheels for {', '.join(requirements)}"),
        )
        wheels = [_keep(path, vault) for path in Path(folder).glob("*.whl")]
    return tuple(sorted(wheels, key=lambda wheel: wheel.name))


def resolve_wheel_file(requirement: str, target: WheelTarget, vault: Vault) -> LockedWheel:
    """The one wheel `name==version` names, without what it depends on: a wheel used as an archive of data."""
    with tempfile.TemporaryDirectory(prefix="thaw-wheels-") as folder:
        options = [*_options(target), "--no-deps", "--dest", folder]
        _pip([*options, requirement], failure=ResolveFailed(f"pip found no wheel for {requirement}"))
        (path,) = Path(folder).glob("*.whl")
        return _keep(path, vault)


def fetch_wheel(wheel: str, sha256: str, target: WheelTarget, vault: Vault) -> Digest:
    """Put a locked wheel (`name==version`) into the vault, through pip's own hash check and ours."""
    with tempfile.TemporaryDirectory(prefix="thaw-wheels-") as folder:
        path = download_wheel(wheel, sha256, target, Path(folder))
        return vault.put_file(path, expected=parse_digest(f"sha256:{sha256}"))[0]


def download_wheel(wheel: str, sha256: str, target: WheelTarget, folder: Path) -> Path:
    """Download a locked wheel into `folder`; pip refuses one with another hash. Raises `FetchFailed`."""
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{wheel} --hash=sha256:{sha256}\n")
    options = [*_options(target), "--no-deps", "--dest", str(folder)]
    failure = FetchFailed(f"pip could not fetch {wheel} with sha256 {sha256}")
    _pip([*options, "--require-hashes", "--requirement", str(wanted)], failure=failure)
    (path,) = folder.glob("*.whl")
    return path


def _options(target: WheelTarget) -> list[str]:
    if target.suite not in _GLIBC or target.architecture not in _MACHINES:
        raise ResolveFailed(
            f"Thaw does not know which wheels run on Debian {target.suite} ({target.architecture})",
            where=f"python {target.python_version}",
            hint=f"known suites: {', '.join(_GLIBC)}; architectures: {', '.join(_MACHINES)}",
        )
    machine = _MACHINES[target.architecture]
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC[target.suite], 4, -1)]
    platforms = [option for tag in (*tags, f"manylinux2014_{machine}") for option in ("--platform", tag)]
    abi = "cp" + target.python_version.replace(".", "")
    version = ["--python-version", target.python_version, "--implementation", "cp"]
    return [
        *target.pip_args,
        "--only-binary",
        ":all:",
        *version,
        "--abi",
        abi,
        "--abi",
        "abi3",
        "--abi",
        "none",
        *platforms,
    ]


def _pip(arguments: Sequence[str], *, failure: ResolveFailed | FetchFailed) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", *arguments]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if result.returncode != 0:
        errors = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        failure.message += f": {' '.join(errors or result.stderr.splitlines()[-2:])}"
        failure.hint = "check the requirement and the network: pip uses this host's own configuration"
        raise failure


def _keep(path: Path, vault: Vault) -> LockedWheel:
    digest, size = vault.put_file(path)
    name, version, *_ = path.name.split("-")
    return LockedWheel(
        name=name, version=version, file=path.name, sha256=digest.removeprefix("sha256:"), size=size
    )
