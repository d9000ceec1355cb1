"""Law 7 for the vault: kill -9 at any moment, a full disk, and other users; by doing it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from provenance.digest import Digest, parse_digest
from provenance.errors import ThawError
from provenance.fixity import audit, status
from provenance.vault import Vault
from provenance.vault_folder import discard_folder

ROOT = Path(__file__).parents[2]

WRITER = """
import os, random, sys
from pathlib import Path
from provenance.vault import Vault

work, seed = Path(sys.argv[1]), int(sys.argv[2])
vault, chance = Vault(work / "vault"), random.Random(seed)
sources = sorted((work / "sources").rglob("*.fits"))
while True:
    path = chance.choice(sources)
    match chance.randrange(5):
        case 0:
            print(vault.put_bytes(b"%d" % chance.randrange(200) * 3000), flush=True)
        case 1:
            print(vault.put_bytes(chance.randbytes(chance.choice([1, 70_000, 2_000_000]))), flush=True)
        case 2:
            print(vault.put_file(path)[0], flush=True)
        case 3:
            with path.open("rb") as stream:
                print(vault.put_stream(stream)[0], flush=True)
        case 4:
            print(vault.put_tree(path.parent).digest, flush=True)
"""

MATERIALISER = """
import sys
from pathlib import Path
from provenance.digest import parse_digest
from provenance.vault import Vault
from provenance.vault_folder import discard_folder

vault, folder = Vault(Path(sys.argv[1]) / "vault"), Path(sys.argv[1]) / "runs" / "in"
tree = vault.read_tree(parse_digest(sys.argv[2]))
print("begun", flush=True)
vault.materialise(tree, folder)
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    for folder in ("a", "b"):
        (tmp_path / "sources" / folder).mkdir(parents=True)
        for number in range(12):
            path = tmp_path / "sources" / folder / f"{number}.fits"
            path.write_bytes(random.Random(number).randbytes(number**4 * 40))
            path.chmod(0o755 if number % 2 else 0o644)
    return tmp_path


def start(program: str, work: Path, argument: str, *, said: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", program, str(work), argument]
    with said.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=10) == -signal.SIGKILL, "the writer ended by itself: it must have failed"


def finished(said: Path) -> Iterator[Digest]:
    """What a writer said it had kept, but for a last line it was killed in."""
    for line in said.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            yield parse_digest(line.strip())


def test_writers_that_are_killed_at_any_moment_leave_a_sound_vault_and_lose_nothing_finished(
    work: Path,
) -> None:
    chance, logs = random.Random(67), list[Path]()

    def start_writer() -> subprocess.Popen[bytes]:
        logs.append(work / f"said-{len(logs)}")
        return start(WRITER, work, str(chance.randrange(1000)), said=logs[-1])

    writers = [start_writer() for _ in range(5)]
    ends = time.monotonic() + 6
    while time.monotonic() < ends:
        time.sleep(chance.uniform(0.02, 0.3))
        victim = chance.randrange(len(writers))
        kill(writers[victim])
        writers[victim] = start_writer()
    for writer in writers:
        kill(writer)
    check_after_killing(Vault(work / "vault"), {digest for log in logs for digest in finished(log)})


def check_after_killing(vault: Vault, promised: set[Digest]) -> None:
    assert len(promised) > 50
    report = audit(vault, uses=lambda _digest: (), expected=promised)
    assert report.findings == ()
    assert {path.stat().st_mode & 0o7777 for path in map(vault.path, vault.digests())} == {0o444}
    assert status(vault).temps > 0, "no writer was killed inside a put: the test shows nothing"
    assert vault.remove_stale_temps(datetime.now(UTC) + timedelta(seconds=1), timedelta(0)) > 0
    assert (status(vault).temps, status(vault).quarantined) == (0, 0)


def test_a_folder_whose_making_is_killed_at_any_moment_is_whole_or_not_there(work: Path) -> None:
    vault, chance, folder = Vault(work / "vault"), random.Random(9), work / "runs" / "in"
    tree, unfinished = vault.put_tree(work / "sources"), 0
    for _attempt in range(12):
        process = start(MATERIALISER, work, tree.digest, said=work / "said")
        while process.poll() is None and (work / "said").read_bytes() != b"begun\n":
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        process.wait()
        unfinished += not folder.exists()
        if folder.exists():
            vault.materialise(tree, folder, verify=True)
            discard_folder(folder)
    assert unfinished > 0, "never killed half way: the test shows nothing"
    vault.materialise(tree, folder, verify=True)
    assert [path.name for path in folder.parent.iterdir()] == ["in"]


FILLER = """
import os, sys
from pathlib import Path
from provenance.errors import DiskFull
from provenance.vault import Vault

vault, kept = Vault(Path(sys.argv[1]) / "vault"), []
try:
    for _ in range(100):
        kept.append(vault.put_bytes(os.urandom(300_000)))
except DiskFull as error:
    print(error)
vault.verify_many(dict.fromkeys(kept, "the filler"))
assert sorted(kept) == list(vault.digests()), "something else was kept"
assert list(vault.temps.iterdir()) == [], "a temp was left"
try:
    vault.put_file(Path(sys.argv[2]))
except DiskFull as error:
    print(error)
assert list(vault.temps.iterdir()) == [], "a temp was left"
"""


def test_a_disk_that_really_fills_up_is_told_and_everything_kept_stays_sound(work: Path) -> None:
    (work / "disk").mkdir()
    (work / "big").write_bytes(bytes(9_000_000))
    mount = 'mount -t tmpfs -o size=4m none "$1" && exec "$2" -c "$3" "$1" "$4"'
    arguments = [str(work / "disk"), sys.executable, FILLER, str(work / "big")]
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("error[disk-full]: no room to write") == 2
    assert "300000 bytes are needed" in done.stdout
    assert "9000000 bytes are needed" in done.stdout


def test_a_folder_on_another_disk_is_a_copy(work: Path) -> None:
    disk = Path("/dev/shm")
    assert disk.stat().st_dev != work.stat().st_dev
    folder = disk / f"thaw-test-{os.getpid()}"
    vault = Vault(work / "vault")
    tree = vault.put_tree(work / "sources")
    try:
        vault.materialise(tree, folder)
        vault.materialise(tree, folder, verify=True)
        assert {path.stat().st_nlink for path in folder.rglob("*.fits")} == {1}
    finally:
        discard_folder(folder)


def test_a_user_who_is_not_root_can_make_and_discard_read_only_folders() -> None:
    assert os.getuid() == 0, "this test gives up root's rights: run the tests as root"
    with tempfile.TemporaryDirectory() as home:  # pytest's own folders are closed to other users
        os.chown(home, 64000, 64000)
        child = os.fork()
        if child == 0:
            os.setuid(64000)
            os._exit(make_and_discard(Path(home)))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert [path.name for path in Path(home).rglob("in*")] == []


def make_and_discard(home: Path) -> int:
    try:
        vault, folder = Vault(home / "vault"), home / "runs" / "in"
        (home / "sources" / "b").mkdir(parents=True)
        (home / "sources" / "b" / "run.sh").write_text("#!/bin/sh")
        (home / "sources" / "b" / "run.sh").chmod(0o755)
        tree = vault.put_tree(home / "sources")
        vault.materialise(tree, folder)
        vault.materialise(tree, folder, verify=True)
        discard_folder(folder)
    except (ThawError, OSError):
        traceback.print_exc()
        return 1
    return 0
