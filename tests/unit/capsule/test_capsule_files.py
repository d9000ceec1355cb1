from __future__ import annotations

import io
import subprocess
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from instantiator.capsule.errors import CapsuleRefused
from instantiator.capsule.pack import RUNNER, refuse_unpackable
from instantiator.capsule.page import About, render_page
from instantiator.capsule.script import render_job, render_outputs
from instantiator.capsule.window import CapsuleWindow, render_window
from instantiator.capsule.writer import CapsuleWriter, make_frame
from instantiator.display.profile import parse_profile
from instantiator.image.oci import ImageName
from instantiator.job.spec import ImageDigest
from provenance.digest import digest_bytes
from provenance.record import Record, RecordedInput, RecordedJob, RecordedOutput, Rule, RunState

DIGEST = digest_bytes(b"")
IMAGE = ImageName(image=ImageDigest(DIGEST), name="thaw/x:1", layers=("sha256:aa",))
NASTY = 'it\'s $(touch /tmp/pwned) `id` "x" \\ <b>&amp;'
TIME = datetime(2026, 11, 20, tzinfo=UTC)
RECORD = Record(
    run="20261120-120000-abcd",
    kind="thread",
    recipe="x/1",
    recipe_digest=DIGEST,
    lock=DIGEST,
    image=DIGEST,
    thread="go",
    parameters={"title": NASTY, "left out": None},
    inputs=(RecordedInput(name="data", dataset="d@1", digest=DIGEST, files=1, size=3, mount="/in/data"),),
    outputs=(
        RecordedOutput(
            name="o",
            path=f"a {NASTY}.txt",
            digest=DIGEST,
            size=0,
            media_type="text/plain",
            rule=Rule(rule="bytes"),
        ),
    ),
    job=RecordedJob(
        command=("prog", NASTY, ""),
        environment={"TITLE": NASTY},
        script=DIGEST,
        working_dir="/work",
        uid=64000,
        limits={"memory_mb": 512, "cpus": 1.5, "processes": 32, "disk_mb": 100, "log_mb": 1, "time_s": 60},
        network=False,
        writable_root=False,
        capabilities=(),
        outputs=(),
        success={},
    ),
    state=RunState.COMPLETED,
    exit_status=0,
    message="",
    submitted=TIME,
    started=TIME,
    ended=TIME,
    log=None,
    resources={"wall_s": 1.0},
    host={},
    software={},
)
ABOUT = About(title=NASTY, description="", licence="", citation="cite", bibtex="@misc")
SHELLS = (("dash",), ("busybox", "sh"))


def argv_of(record: Record, shell: tuple[str, ...]) -> list[str]:
    """What an engine would be given: `printf` stands for it."""
    job = render_job(record, IMAGE)
    end = "here=/c; again=/c/again-1; image_found=IMG; in_container printf '%s\\0'"
    done = subprocess.run([*shell, "-c", f"{job}\n{end}"], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("shell", SHELLS)
def test_whatever_stands_in_a_record_reaches_the_engine_as_it_is(shell: tuple[str, ...]) -> None:
    argv = argv_of(RECORD, shell)
    assert argv[argv.index("IMG") :] == ["IMG", NASTY, ""]
    assert argv[argv.index("--entrypoint") + 1] == "prog"
    assert argv[argv.index("--env") + 1] == f"TITLE={NASTY}"
    assert "type=bind,src=/c/inputs/data,dst=/in/data,readonly" in argv


def test_the_engine_is_asked_for_what_the_record_says_and_no_more() -> None:
    argv = argv_of(RECORD, ("dash",))
    assert argv[argv.index("--network") + 1] == "none"
    assert "--read-only" in argv
    assert "--cap-add" not in argv
    asking = replace(
        RECORD, job=replace(RECORD.job, network=True, writable_root=True, capabilities=("SYS_NICE",))
    )
    more = argv_of(asking, ("dash",))
    assert more[more.index("--network") + 1] == "bridge"
    assert "--read-only" not in more
    assert more[more.index("--cap-add") + 1] == "SYS_NICE"


def test_shellcheck_has_nothing_to_say(tmp_path: Path) -> None:
    window = CapsuleWindow(
        title="x",
        command=("prog", NASTY),
        environment={"A": NASTY},
        working_dir="/work",
        profile=parse_profile("truecolor"),
        inputs={"data": "/in/data"},
        memory_mb=100,
        cpus=1.5,
        processes=8,
        display=IMAGE,
        novnc=tmp_path,
        websockify=tmp_path,
    )
    (tmp_path / "job.sh").write_text(render_job(RECORD, IMAGE))
    (tmp_path / "window.sh").write_text(render_window(window))
    files = [RUNNER, RUNNER.parent / "gui/gui.sh", tmp_path / "job.sh", tmp_path / "window.sh"]
    done = subprocess.run(
        ["shellcheck", "-s", "sh", *map(str, files)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_an_output_whose_name_no_line_can_hold_is_refused() -> None:
    assert render_outputs(RECORD) == f"bytes\t{DIGEST[7:]}\ta {NASTY}.txt\n"
    (output,) = RECORD.outputs
    with pytest.raises(CapsuleRefused, match="control character"):
        render_outputs(replace(RECORD, outputs=(replace(output, path="a\nb"),)))


def test_the_page_escapes_what_users_wrote_and_asks_for_nothing_from_anywhere() -> None:
    page = render_page(RECORD, ABOUT, has_window=True).decode()
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")
    assert "<script" not in page
    assert "sh run.sh gui" in page
    assert "sh run.sh gui" not in render_page(RECORD, ABOUT, has_window=False).decode()


def test_a_capsule_is_one_folder_with_the_sum_of_every_file(tmp_path: Path) -> None:
    packed = io.BytesIO()
    (tmp_path / "x").write_bytes(b"x")
    writer = CapsuleWriter(packed, "top")
    writer.add_bytes("run.sh", b"#", is_program=True)
    writer.add_file("a/b/x", tmp_path / "x", expected=digest_bytes(b"x"))
    writer.close()
    packed.seek(0)
    with tarfile.open(fileobj=packed) as tar:
        modes = {member.name: member.mode for member in tar}
        sums = tar.extractfile("top/SHA256SUMS")
        assert sums is not None
        assert sums.read().decode().splitlines() == [
            f"{digest_bytes(b'x')[7:]}  a/b/x",
            f"{digest_bytes(b'#')[7:]}  run.sh",
        ]
    assert modes["top/run.sh"] == 0o755
    assert modes["top/a/b/x"] == 0o644
    with pytest.raises(CapsuleRefused, match="expected"):
        CapsuleWriter(io.BytesIO(), "top").add_file("x", tmp_path / "x", expected=DIGEST)


@pytest.mark.parametrize("command", [("tar",), ("busybox", "tar")])
def test_the_folders_of_a_repeat_come_out_open_to_any_user(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "frame.tar").write_bytes(make_frame())
    subprocess.run([*command, "-xpf", "frame.tar", "again-7"], cwd=tmp_path, check=True, umask=0o077)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again-7", "frame.tar"]
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "again-7").iterdir()}
    assert modes == dict.fromkeys(("out", "work", "x11", "display"), 0o777)


def test_what_cannot_be_repeated_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "c.tar"
    refuse_unpackable(RECORD, target, with_window=False)
    with pytest.raises(CapsuleRefused, match="is a session"):
        refuse_unpackable(replace(RECORD, kind="session"), target, with_window=False)
    with pytest.raises(CapsuleRefused, match="is failed"):
        refuse_unpackable(replace(RECORD, state=RunState.FAILED), target, with_window=True)
    target.touch()
    with pytest.raises(CapsuleRefused, match="already"):
        refuse_unpackable(RECORD, target, with_window=False)
