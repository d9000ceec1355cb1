"""noVNC, installed by npm at the release and integrity hash the lock names; never part of this repository."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from vnc_gateway.errors import GatewayError, NovncMissing

PACKAGE = "node_modules/@novnc/novnc"
_HERE = Path(__file__).parent
_LOCK_FILES = ("package.json", "package-lock.json")
# Of the unpacked files, as `digest_tree` says: npm checks the archive it fetches, this what lies here now.
_TREE = "sha256:0e61b932064ec6ecffa0a4e4443fc2f447e7f1d1452ec2070f35c029f60bc334"


def ensure_novnc(folder: Path) -> Path:
    """The folder with noVNC's `core/` and `vendor/` below `folder`; fetched only where it is not there, unchanged."""
    package = folder / PACKAGE
    if not package.is_dir() or digest_tree(package) != _TREE:
        install_novnc(folder)
        check_novnc(package)
    return package


def install_novnc(folder: Path) -> None:
    """Run `npm ci` in `folder`; npm refuses an archive that has not the lock's integrity hash."""
    npm = shutil.which("npm")
    if npm is None:
        raise NovncMissing("npm is not installed, and noVNC comes from it", hint="apt-get install npm")
    folder.mkdir(parents=True, exist_ok=True)
    for name in _LOCK_FILES:
        shutil.copyfile(_HERE / name, folder / name)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise NovncMissing(
            f"npm could not install noVNC: {last}", where=str(folder), hint="is npm's registry reachable?"
        )


def check_novnc(package: Path) -> None:
    """Raise `NovncMissing` unless the folder holds the locked release, byte for byte."""
    found = digest_tree(package)
    if found != _TREE:
        raise NovncMissing(
            f"noVNC is not the release {locked_version()}: expected {_TREE}, found {found}",
            where=str(package),
            hint="remove the folder, then try again",
        )


def locked_version() -> str:
    """The release the lock names."""
    lock = json.loads((_HERE / "package-lock.json").read_text())
    return str(lock["packages"][PACKAGE]["version"])


def digest_tree(package: Path) -> str:
    """One digest over the name and content of every file a browser can be given."""
    total = hashlib.sha256()
    files = sorted(p for name in ("core", "vendor") for p in (package / name).rglob("*") if p.is_file())
    for path in files:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{content}  {path.relative_to(package).as_posix()}\n".encode())
    return f"sha256:{total.hexdigest()}"


def main() -> int:
    """Install noVNC below the folder named, print where it is."""
    try:
        print(ensure_novnc(Path(sys.argv[1])))  # noqa: T201
    except GatewayError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
