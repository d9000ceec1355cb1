"""What is made of a lock is the same bytes under another locale, umask, zone, home and folder of the host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, sys
from dataclasses import replace
from pathlib import Path
os.umask(int(sys.argv[2], 8))
from instantiator.atomic import replace_text
from instantiator.image.build import lay_out
from instantiator.image.builder import builder_lock, write_unpacked_layer
from instantiator.image.evidence import render_evidence
from instantiator.image.lock import lock_from_yaml, lock_to_yaml
from instantiator.progress import Silent
from provenance.digest import digest_bytes, digest_file
from provenance.vault import Vault
from tests.examples import MIDAS_LOCK, locked_deb, make_deb

folder = Path(sys.argv[1])
deb = make_deb({"./usr/share/doc/changelog": b"x"}, control="Package: mawk\\nMaintainer: Boles\\u0142aw\\n")
vault = Vault(folder / "vault")
vault.put_bytes(deb)
lock = replace(
    MIDAS_LOCK, packages=(locked_deb("mawk", deb),), python=(), sources=(), deposits=(), files=(),
    steps=("echo K\\u00f6ln \\u0142",),
)
replace_text(folder / "lock.yaml", lock_to_yaml(lock))
assert lock_from_yaml((folder / "lock.yaml").read_bytes(), where="") == lock
mounts = {mount.target: mount.source for mount in lay_out(lock, vault, folder, Silent())}
write_unpacked_layer(lock, vault, folder / "layer.tar")
builder_lock()
for made in (
    folder / "lock.yaml", mounts["/thaw/finish.sh"], mounts["/thaw/repository"] / "Packages", folder / "layer.tar"
):
    print(digest_file(made))
for content in render_evidence(lock, b"{}").values():
    print(digest_bytes(content))
"""
ROOT = Path(__file__).parents[3]
PLAIN = {"LC_ALL": "C.UTF-8", "TZ": "UTC"}
ODD = {
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "TZ": "Asia/Kathmandu",
    "PYTHONHASHSEED": "7",
}


def make_all(folder: Path, umask: str, environment: dict[str, str]) -> str:
    """The digests of all that is made of a lock in a process with this environment."""
    folder.mkdir()
    home = {"HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), umask],
        env={**home, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_another_locale_umask_zone_home_and_folder_change_nothing(tmp_path: Path) -> None:
    here = make_all(tmp_path / "here", "022", PLAIN)
    assert len(here.splitlines()) == 9
    assert make_all(tmp_path / "elsewhere", "077", ODD) == here
