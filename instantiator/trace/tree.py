"""The tracer's own tree: ReproZip, a Python and the C library they need, of locked bytes, for any image.

It is mounted read-only beside the application and started through its own dynamic loader, so it works in an image
with another C library, another Python or none. Its packages are unpacked, not installed: no script of theirs runs.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from pathlib import Path

from instantiator.image.builder import write_unpacked_layer
from instantiator.image.fetch import Mirrors, fetch_lock
from instantiator.image.lock import Lock, lock_from_yaml
from instantiator.image.scratch import scratch_folder
from instantiator.progress import Progress, step
from provenance.digest import Digest
from provenance.vault import Vault

LOCK_FILE = Path(__file__).with_name("tracer.lock.yaml")
INSIDE = Path(__file__).with_name("inside.py")
TREE = "/thaw/tracer"
REQUIREMENTS = ("reprozip==1.3.2",)
WEBSOCKIFY = "websockify==0.13.0"
PACKAGES = frozenset(
    (
        *("libc6", "libgcc-s1", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"),
        *("libbz2-1.0", "libcrypt1", "libexpat1", "libffi8", "liblzma5", "libsqlite3-0", "libssl3"),
        *("libuuid1", "zlib1g"),
    )
)
_WHEELS = "thaw-wheels"


def tracer_lock() -> Lock:
    """The lock of the tracer, committed beside this file."""
    return lock_from_yaml(LOCK_FILE.read_bytes(), where=str(LOCK_FILE))


def tracer_command(folder: str, command: tuple[str, ...]) -> tuple[str, ...]:
    """The argv that executes `command` traced, leaving all in `folder`."""
    libraries = f"{TREE}/usr/lib/x86_64-linux-gnu"
    python = (f"{TREE}/usr/bin/python3.11", "-I", "-B", "-S")
    loader = (f"{libraries}/ld-linux-x86-64.so.2", "--library-path", libraries)
    start = (
        f"import sys, runpy; sys.path.append('{TREE}/{_WHEELS}'); "
        "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    )
    return (*loader, *python, "-c", start, f"{TREE}/inside.py", folder, *command)


def prepare_tree(vault: Vault, cache: Path, mirrors: Mirrors, progress: Progress) -> Path:
    """The tracer's tree on this host: as it was made before, else made of the vault's bytes now."""
    lock = tracer_lock()
    folder = cache / "tracer" / lock.digest.removeprefix("sha256:")[:24]
    if not folder.is_dir():
        fetch_lock(lock, vault, mirrors, progress)
        with step(progress, "unpack the tracer"):
            _make_tree(lock, vault, folder)
    return folder


def _make_tree(lock: Lock, vault: Vault, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    vault.verify_many(dict(lock.objects()))
    with scratch_folder(folder.parent, "making-") as scratch:
        layer, tree = scratch / "layer.tar", scratch / "tree"
        write_unpacked_layer(lock, vault, layer)
        with tarfile.open(layer) as archive:
            archive.extractall(tree, filter="tar")
        for wheel in lock.python:
            with zipfile.ZipFile(vault.path(Digest(f"sha256:{wheel.sha256}"))) as archive_of_wheel:
                archive_of_wheel.extractall(tree / _WHEELS)
        for path in (tree, *tree.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        (tree / "inside.py").touch()
        shutil.rmtree(folder, ignore_errors=True)
        tree.rename(folder)
