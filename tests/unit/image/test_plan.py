"""What the builder is told to do, as whole texts."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.image.lock import Lock
from instantiator.image.plan import build_command, build_environment, finish_script, mounted_inputs
from tests.examples import MIDAS_LOCK, eps_lock


def describe_build(lock: Lock) -> str:
    """The command, its environment and the script, one after the other."""
    environment = "".join(f"{name}={value}\n" for name, value in build_environment(lock).items())
    command = "\n".join(build_command(lock))
    return f"{environment}\n{command}\n\n{finish_script(lock)}"


@pytest.mark.parametrize(("name", "lock"), [("midas", MIDAS_LOCK), ("rosetta-eps", None)])
def test_the_whole_build_is_as_reviewed(
    name: str, lock: Lock | None, check_golden: Callable[[str, str], None]
) -> None:
    check_golden(f"{name}/build.txt", describe_build(lock or eps_lock()))


def test_the_build_is_the_same_whatever_image_the_lock_already_names() -> None:
    assert describe_build(eps_lock()) == describe_build(replace(eps_lock(), image=None))


def test_the_script_is_one_a_shell_can_read(tmp_path: Path) -> None:
    script = tmp_path / "finish.sh"
    script.write_text(finish_script(MIDAS_LOCK), encoding="utf-8")
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


def test_a_step_reaches_the_tree_as_it_was_written() -> None:
    (line,) = [line for line in finish_script(MIDAS_LOCK).split("echo ") if "configure" in line]
    words = shlex.split(line.partition("\n")[2].partition("rm -rf")[0])
    assert words[-2:] == ["-euc", MIDAS_LOCK.steps[1]]


def test_what_is_not_unpacked_is_not_shown_to_the_builder() -> None:
    hidden = {source.sha256 for source in MIDAS_LOCK.sources if source.unpack is None}
    assert hidden
    assert hidden.isdisjoint(mounted_inputs(MIDAS_LOCK))


def test_an_awaited_deposit_is_left_out() -> None:
    awaited = replace(MIDAS_LOCK.deposits[0], sha256=None)
    lock = replace(MIDAS_LOCK, deposits=(awaited,))
    assert "tables" not in finish_script(lock)
    assert len(mounted_inputs(lock)) == len(mounted_inputs(MIDAS_LOCK)) - 1


@pytest.mark.parametrize(
    ("file", "unpacker"),
    [
        ("22SEP.tar.gz", "tar "),
        ("22SEP.TGZ", "tar "),
        ("22SEP.tar.zst", "tar "),
        ("calib.zip", "unzip "),
        ("numpy.whl", "unzip "),
        ("table.fits.gz", "install "),
        ("README", "install "),
    ],
)
def test_a_source_is_unpacked_by_what_its_name_ends_in(file: str, unpacker: str) -> None:
    source = replace(MIDAS_LOCK.sources[0], file=file)
    lines = finish_script(replace(MIDAS_LOCK, sources=(source,))).splitlines()
    assert [line for line in lines if source.sha256 in line and line.startswith(unpacker)]
