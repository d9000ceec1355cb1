"""How a run ended: by its outputs, its words and its exit status."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.job.spec import JobEnd, JobResult
from instantiator.thread.outcome import Outcome, find_outputs, find_unnameable, judge_outcome
from provenance.record import RecordedJob, RunState
from tests.unit.thread.examples import make_desk

EXITED = JobResult(end=JobEnd.EXITED, exit_status=0, message="", wall_s=0.1)


def declare(name: str, path: str, *, required: bool = True, rule: str = "bytes") -> Mapping[str, object]:
    """An output as a record declares it."""
    return {
        "name": name,
        "path": path,
        "media_type": "text/plain",
        "required": required,
        "rule": rule,
        "options": {"ignore": ["#.*"]},
    }


def job_with(*outputs: Mapping[str, object], **success: object) -> RecordedJob:
    """A recorded job that declares these outputs."""
    return RecordedJob(
        command=("sh", "/thaw/script"),
        environment={},
        script=None,
        working_dir="/work",
        uid=64000,
        limits={},
        network=False,
        writable_root=False,
        capabilities=(),
        outputs=outputs,
        success={"exit_status": [0], "refuse": [], **success},
    )


def write(out: Path, *paths: str) -> Path:
    """A folder of outputs with these files; each holds its own path."""
    for path in paths:
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_text(path)
    return out


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("*.out", ["a.out", "b.out"]),
        ("**/*.out", ["a.out", "b.out", "eps/c.out", "eps/deep/d.out"]),
        ("eps/**", ["eps/c.out", "eps/deep/d.out"]),
        ("eps/**/d.out", ["eps/deep/d.out"]),
        ("**/deep/*", ["eps/deep/d.out"]),
        ("?.out", ["a.out", "b.out"]),
        ("[a-b].out", ["a.out", "b.out"]),
        ("[!a].out", ["b.out"]),
        ("[ab]*", ["a.out", "b.out"]),
        ("eps/*.out", ["eps/c.out"]),
        ("a.out", ["a.out"]),
        ("aXout", []),
        ("c.out", []),
        ("[", []),
    ],
)
def test_a_glob_names_files_as_a_shell_would(tmp_path: Path, glob: str, found: list[str]) -> None:
    out = write(tmp_path, "a.out", "b.out", "eps/c.out", "eps/deep/d.out")
    assert [item.path for item in find_outputs(job_with(declare("tables", glob)), out)] == found


@pytest.mark.parametrize(
    "name", ["m31 (1991).fits", "a+b.out", "x{1,2}$", "dot.", "ä·ö", "^a|b", "a\\b", "a\nb"]
)
def test_a_name_with_special_signs_names_itself(tmp_path: Path, name: str) -> None:
    out = write(tmp_path, name, "other")
    assert [item.path for item in find_outputs(job_with(declare("frame", name)), out)] == [name]


def test_a_file_belongs_to_the_first_output_that_names_it(tmp_path: Path) -> None:
    out = write(tmp_path, "eps/power.out", "eps/modes.out")
    job = job_with(declare("modes", "eps/modes.out", rule="text"), declare("tables", "eps/*.out"))
    assert [(item.path, item.name, item.rule) for item in find_outputs(job, out)] == [
        ("eps/modes.out", "modes", "text"),
        ("eps/power.out", "tables", "bytes"),
    ]


def test_a_link_is_no_output_wherever_it_leads(tmp_path: Path) -> None:
    out = write(tmp_path / "out", "real.out", "sub/x.out")
    secret = write(tmp_path / "host", "secret.out")
    (out / "link.out").symlink_to(secret / "secret.out")
    (out / "dangling.out").symlink_to("nowhere")
    (out / "folder").symlink_to(secret)
    (out / "again").symlink_to(out / "sub")
    os.mkfifo(out / "pipe.out")
    job = job_with(declare("tables", "**/*.out"))
    assert [item.path for item in find_outputs(job, out)] == ["real.out", "sub/x.out"]


def test_an_output_carries_its_rule_and_options(tmp_path: Path) -> None:
    (found,) = find_outputs(
        job_with(declare("modes", "modes.out", rule="text")), write(tmp_path, "modes.out")
    )
    assert (found.rule, found.options, found.media_type, found.file) == (
        "text",
        {"ignore": ["#.*"]},
        "text/plain",
        tmp_path / "modes.out",
    )


def judge(
    job: RecordedJob, out: Path, *, log: str = "", result: JobResult = EXITED, unnamed: Sequence[str] = ()
) -> Outcome:
    """The outcome of a job that left `out` and printed `log`."""
    file = out.parent / "log"
    file.write_bytes(log.encode("utf-8", "surrogateescape"))
    return judge_outcome(job, result, find_outputs(job, out), file, unnamed=unnamed)


def test_a_run_with_its_outputs_and_status_is_completed(tmp_path: Path) -> None:
    out = write(tmp_path / "out", "flat.txt")
    outcome = judge(job_with(declare("result", "flat.txt")), out)
    assert outcome == Outcome(state=RunState.COMPLETED, message="")


@pytest.mark.parametrize(("allowed", "status"), [([0, 4], 4), ([3], 3)])
def test_another_exit_status_may_be_a_success(tmp_path: Path, allowed: list[int], status: int) -> None:
    job = job_with(exit_status=allowed)
    out = write(tmp_path / "out")
    out.mkdir()
    assert judge(job, out, result=replace(EXITED, exit_status=status)).state is RunState.COMPLETED


def test_a_wrong_exit_status_is_told_with_what_was_expected(tmp_path: Path) -> None:
    out = write(tmp_path / "out", "x")
    outcome = judge(job_with(exit_status=[0, 4]), out, result=replace(EXITED, exit_status=139))
    assert outcome == Outcome(state=RunState.FAILED, message="exit status 139, expected 0 or 4")


def test_a_missing_output_is_named_unless_it_may_be_missing(tmp_path: Path) -> None:
    out = write(tmp_path / "out", "flat.txt")
    job = job_with(
        declare("result", "flat.txt"), declare("tables", "*.out"), declare("plots", "*.png", required=False)
    )
    assert judge(job, out).message == "1 of 2 outputs missing: tables (*.out)"


def test_of_many_missing_outputs_two_are_named_and_all_are_counted(tmp_path: Path) -> None:
    job = job_with(*(declare(f"table-{n}", f"{n}.out") for n in range(9)))
    outcome = judge(job, write(tmp_path / "out", "0.out"))
    assert outcome.message == "8 of 9 outputs missing: table-1 (1.out), table-2 (2.out) and 6 more"


def refuse(where: str, pattern: str, message: str = "EPS says") -> Mapping[str, object]:
    """A refusal as a record declares it."""
    return {"where": where, "pattern": pattern, "message": message}


def test_a_program_that_exits_0_and_says_it_failed_has_failed_in_its_own_words(tmp_path: Path) -> None:
    job = job_with(refuse=[refuse("log", r"\[FATAL\].*")])
    out = write(tmp_path / "out", "x")
    outcome = judge(job, out, log="reading\n[FATAL] no such EVF: ev.evf\r\nbye")
    assert outcome == Outcome(state=RunState.FAILED, message="EPS says: [FATAL] no such EVF: ev.evf")


def test_a_pattern_is_of_a_whole_line(tmp_path: Path) -> None:
    job = job_with(refuse=[refuse("log", "FATAL")])
    assert judge(job, write(tmp_path / "out", "x"), log="no FATAL errors\n").state is RunState.COMPLETED


def test_of_many_lines_the_first_three_are_quoted_and_the_others_counted(tmp_path: Path) -> None:
    job = job_with(refuse=[refuse("log", "ERR .*", "")])
    outcome = judge(job, write(tmp_path / "out", "x"), log="".join(f"ERR {n}\n" for n in range(5)))
    assert outcome.message == "the log says: ERR 0 | ERR 1 | ERR 2 (and 2 more lines)"


def test_an_output_may_hold_the_refused_words_too(tmp_path: Path) -> None:
    job = job_with(declare("report", "report.txt"), refuse=[refuse("report", ".*singular.*", "MIDAS says")])
    out = write(tmp_path / "out", "report.txt")
    (out / "report.txt").write_bytes(b"ok\n*** matrix is singular \xff\n")
    assert judge(job, out).message == "MIDAS says: *** matrix is singular �"


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    job = job_with(declare("result", "flat.txt"), refuse=[refuse("log", "ERR.*")])
    out = write(tmp_path / "out", "x")
    outcome = judge(job, out, log="ERR 7\n", result=replace(EXITED, exit_status=1))
    assert outcome.message == (
        "EPS says: ERR 7; exit status 1, expected 0; 1 of 1 outputs missing: result (flat.txt)"
    )


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (JobEnd.CANCELLED, RunState.CANCELLED),
        (JobEnd.TIMED_OUT, RunState.TIMED_OUT),
        (JobEnd.OUT_OF_MEMORY, RunState.OUT_OF_MEMORY),
        (JobEnd.ENGINE_LOST, RunState.INTERRUPTED),
        (JobEnd.DISK_LIMIT, RunState.FAILED),
        (JobEnd.LOG_LIMIT, RunState.FAILED),
        (JobEnd.NOT_STARTED, RunState.FAILED),
    ],
)
def test_a_run_that_was_ended_says_why_and_is_not_judged_by_its_outputs(
    tmp_path: Path, end: JobEnd, state: RunState
) -> None:
    result = JobResult(end=end, exit_status=None, message="it needed more than 5 MiB", wall_s=1)
    outcome = judge(job_with(declare("result", "flat.txt")), write(tmp_path / "out", "x"), result=result)
    assert outcome == Outcome(state=state, message="it needed more than 5 MiB")


def test_every_way_a_job_can_end_is_a_final_state(tmp_path: Path) -> None:
    out = write(tmp_path / "out", "x")
    for end in JobEnd:
        assert judge(job_with(), out, result=replace(EXITED, end=end)).state.is_final()


def test_a_file_name_no_record_can_hold_is_no_output_and_is_told(tmp_path: Path) -> None:
    out = write(tmp_path / "out", "good.out")
    Path(os.fsdecode(os.fsencode(out) + b"/n\xfacleo.out")).write_text("Latin-1")
    Path(os.fsdecode(os.fsencode(out) + b"/\xfa.tmp")).write_text("nobody asks for it")
    job = job_with(declare("tables", "*.out"))
    assert [item.path for item in find_outputs(job, out)] == ["good.out"]
    assert find_unnameable(job, out) == (repr(b"n\xfacleo.out"),)
    outcome = judge(job, out, unnamed=find_unnameable(job, out))
    assert outcome.message == r"the name of output file b'n\xfacleo.out' is not UTF-8"


def test_a_run_that_leaves_such_a_name_is_recorded_as_failed(tmp_path: Path) -> None:
    desk = make_desk(tmp_path, lambda process: _write_latin_name(process.job.mounts[2].source))
    finished = desk.run()
    assert finished.record.state is RunState.FAILED
    assert "is not UTF-8" in finished.record.message


def _write_latin_name(out: Path) -> int:
    (out / "flat.txt").write_text("1")
    (out / "logs").mkdir()
    Path(os.fsdecode(os.fsencode(out) + b"/logs/\xfa.log")).write_text("x")
    return 0
