"""The command line: exit status, data alone on stdout, words on stderr, and quick to start."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import pytest

from instantiator.cli import run_cli, thaw
from instantiator.commands import common
from instantiator.commands.start import echo_log
from instantiator.curate import lock as curate_lock
from instantiator.engine import Engine
from instantiator.job.backends import docker
from instantiator.recipe.load import load_recipe
from tests.examples import MIDAS_IMAGE, MIDAS_LOCK, answering_lock
from tests.fakes import FakeBackend, FakeProcess
from tests.unit.thread.examples import program

IMAGE = "sha256:" + 64 * "a"
RECIPE = """\
format: 1
name: midas
version: 22SEP
title: ESO-MIDAS
mission: [La Silla]
description: Munich Image Data Analysis System, written at ESO from 1983 on.
homepage: https://www.eso.org/midas
licence: GPL-2.0-or-later
citations: [{doi: 10.1007/978-94-009-3379-6_40}]
maintainers: [{name: Thaw catalogue}]
base: {debian: bookworm, snapshot: 2026-11-20}
packages: [libc6]
threads:
  flatfield:
    title: Divide a frame by a flat
    inputs:
      frame: {type: file, help: raw frame}
    parameters:
      sigma: {type: float, default: 3.0, min: 0, help: what is clipped}
    script:
      language: sh
      text: |
        inmidas {{ inputs.frame }} {{ params.sigma }} > {{ out }}/flat.txt
    outputs:
      result: {path: flat.txt, media_type: text/plain, compare: {rule: text}}
    time_limit: 1 min
"""


class FakeEngine:
    """An engine that holds every image and says what it is."""

    wire = None

    def has_image(self, image: str, name: str, layers: tuple[str, ...] = ()) -> bool:
        return True

    def find_image(self, image: str, name: str, layers: tuple[str, ...] = ()) -> str | None:
        return name

    def versions(self) -> Mapping[str, str]:
        return {"engine": "fake"}


@dataclass(kw_only=True)
class World:
    """What the commands find: recipes on disk, an engine, and what the program does."""

    recipes: Path
    frame: Path
    home: Path
    run: Callable[[FakeProcess], int] = field(
        default_factory=lambda: program({"flat.txt": b"1 2 3\n"}, says="ok\n")
    )

    def backend(self, *_arguments: object, **_options: object) -> FakeBackend:
        """The backend of the next run."""
        return FakeBackend({"/thaw/script": self.run})


@pytest.fixture
def world(tmp_path: Path, own_state_folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A locked recipe, a frame to run on, and fakes in the place of the engine."""
    folder = tmp_path / "recipes/midas/22SEP"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE)
    write_lock(folder)
    frame = tmp_path / "m31.fits"
    frame.write_bytes(b"SIMPLE  =                    T")
    made = World(recipes=tmp_path / "recipes", frame=frame, home=own_state_folder)
    monkeypatch.setenv("THAW_RECIPES", str(made.recipes))
    monkeypatch.setattr(Engine, "connect", lambda *_arguments, **_options: FakeEngine())
    monkeypatch.setattr(docker, "DockerBackend", made.backend)
    return made


def write_lock(folder: Path) -> None:
    """A lock that answers the recipe in `folder` and names an image."""
    recipe = load_recipe(folder)
    bare = replace(MIDAS_LOCK, python=(), sources=(), deposits=(), files=())
    curate_lock.write_lock(
        recipe, replace(answering_lock(recipe, bare), image=replace(MIDAS_IMAGE, id=IMAGE))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The data on stdout: all of it is JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> Mapping[str, str]:
        """The error on stderr, as data: its last line."""
        told = json.loads(self.err.splitlines()[-1])
        error = told["error"]
        assert isinstance(error, dict)
        return error


@pytest.fixture
def ask(capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """`ask("runs", "--json")`: run a command in this process."""

    def run(*arguments: str) -> Answer:
        capfd.readouterr()
        status = run_cli(list(arguments))
        captured = capfd.readouterr()
        return Answer(status=status, out=captured.out, err=captured.err)

    return run


Ask = Callable[..., Answer]
FLATFIELD = ("run", "midas", "flatfield")


def test_a_run_gives_its_data_alone_on_stdout(world: World, ask: Ask, tmp_path: Path) -> None:
    answer = ask(*FLATFIELD, "-d", str(world.frame), "-o", str(tmp_path / "out"), "--json")
    assert answer.status == 0
    data = answer.data
    keys = ["bundle", "exit_status", "message", "output_dir", "outputs", "record", "run", "state"]
    assert sorted(data) == keys
    assert (data["state"], data["exit_status"], data["output_dir"]) == ("completed", 0, str(tmp_path / "out"))
    (output,) = data["outputs"]
    assert sorted(output) == ["bytes", "media_type", "name", "path", "sha256"]
    assert (tmp_path / "out/flat.txt").read_bytes() == b"1 2 3\n"


def test_the_steps_and_the_programs_log_go_to_stderr(world: World, ask: Ask) -> None:
    answer = ask(*FLATFIELD, "-d", str(world.frame))
    assert "ok\n" in answer.err
    assert "✓ run midas/22SEP flatfield" in answer.err
    assert "ok\n" not in answer.out
    assert "check it: thaw verify" in answer.out


def test_a_failed_run_gives_its_data_and_exit_1(world: World, ask: Ask) -> None:
    world.run = program(status=7)
    answer = ask(*FLATFIELD, "-d", str(world.frame), "--json")
    assert (answer.status, answer.data["state"], answer.data["exit_status"]) == (1, "failed", 7)
    assert answer.data["message"].startswith("exit status 7, expected 0")


def test_a_cancelled_run_exits_130(world: World, ask: Ask) -> None:
    def interrupt(process: FakeProcess) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        process.wait(1)
        return 0

    world.run = interrupt
    answer = ask(*FLATFIELD, "-d", str(world.frame), "--json")
    assert (answer.status, answer.data["state"]) == (130, "cancelled")


@pytest.fixture
def run(world: World, ask: Ask) -> str:
    """The id of a completed run."""
    return str(ask(*FLATFIELD, "-d", str(world.frame), "--json").data["run"])


def test_a_run_that_repeats_is_identical_and_exit_0(world: World, ask: Ask, run: str) -> None:
    answer = ask("verify", run, "--json")
    assert (answer.status, answer.data["verdict"]) == (0, "identical")
    assert sorted(answer.data) == ["digest", "outputs", "reason", "repeated_by", "run", "verdict"]
    (output,) = answer.data["outputs"]
    assert {"name", "path", "verdict", "rule", "explanation", "differences"} <= output.keys()


@pytest.mark.parametrize(
    ("program_now", "verdict"), [(program({"flat.txt": b"1 2 4\n"}), "different"), (program(), "missing")]
)
def test_a_run_that_does_not_repeat_exits_4(
    world: World, ask: Ask, run: str, program_now: Callable[[FakeProcess], int], verdict: str
) -> None:
    world.run = program_now
    answer = ask("verify", run, "--json")
    assert (answer.status, answer.data["verdict"]) == (4, verdict)


def test_the_recipe_may_be_gone_when_a_run_is_verified(world: World, ask: Ask, run: str) -> None:
    shutil.rmtree(world.recipes)
    assert ask("verify", run, "--json").status == 0


def test_a_cancelled_verification_is_no_verdict_and_exits_130(world: World, ask: Ask, run: str) -> None:
    def interrupt(process: FakeProcess) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        process.wait(1)
        return 0

    world.run = interrupt
    answer = ask("verify", run, "--json")
    assert (answer.status, answer.out, answer.error["code"]) == (130, "", "cancelled")
    assert ask("show", run, "--json").data["verdicts"] == []


def test_files_on_disk_are_judged_without_repeating(world: World, ask: Ask, run: str) -> None:
    folder = world.home / "runs" / run / "out"
    assert ask("verify", run, "--outputs", str(folder), "--json").data["repeated_by"] == ""
    (folder / "flat.txt").write_text("other\n")
    assert ask("verify", run, "--outputs", str(folder), "--json").status == 4


def test_judging_files_and_repeating_on_other_data_exclude_each_other(
    world: World, ask: Ask, run: str
) -> None:
    assert ask("verify", run, "--outputs", "x", "-d", "y", "--json").error["code"] == "usage"


def test_runs_show_and_logs_tell_of_a_run(world: World, ask: Ask, run: str) -> None:
    (row,) = ask("runs", "--json").data["runs"]
    assert (row["run"], row["state"], row["thread"]) == (run, "completed", "flatfield")
    shown = ask("show", run[-4:], "--json").data
    assert (shown["run"], shown["outputs"][0]["path"], shown["verdicts"]) == (run, "flat.txt", [])
    assert shown["image"] == IMAGE
    assert ask("logs", run, "--json").data == {"run": run, "log": "ok\n"}
    assert ask("logs", run).out == "ok\n"


def test_an_output_folder_that_is_taken_stops_a_run_before_it_begins(
    world: World, ask: Ask, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/flat.txt").write_text("mine")
    answer = ask(*FLATFIELD, "-d", str(world.frame), "-o", str(tmp_path / "taken"), "--json")
    assert (answer.status, answer.error["code"]) == (1, "output-folder-taken")
    assert ask("runs", "--json").data == {"runs": []}


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("run", "mides", "flatfield"), "recipe-unknown", "midas"),
        (("run", "midas", "flatfeild"), "thread-unknown", "flatfield"),
        (("run", "midas", "flatfield"), "input-wrong", "--dataset frame="),
        (("run", "midas", "flatfield", "-d", "m33"), "dataset-unknown", ""),
        (("run", "midas", "flatfield", "-d", "/nowhere/m33.fits"), "dataset-unreadable", ""),
        (("show", "20990101"), "run-unknown", ""),
        (("vault", "export", "x.thaw", "--object", "beef"), "digest-mismatch", ""),
        (("dataset", "check", "m33"), "dataset-unknown", ""),
    ],
)
def test_what_the_user_can_put_right_exits_1_with_code_and_next_step(
    world: World, ask: Ask, arguments: tuple[str, ...], code: str, word: str
) -> None:
    answer = ask(*arguments, "--json")
    assert (answer.status, answer.out, answer.error["code"]) == (1, "", code)
    assert word in answer.error["message"] + answer.error["hint"]
    plain = ask(*arguments)
    assert plain.err.splitlines()[0].startswith(f"error[{code}]: ")


def test_a_wrong_parameter_is_told_before_an_image_is_needed(
    world: World, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "connect", _refuse)
    answer = ask(*FLATFIELD, "-d", str(world.frame), "-p", "sigma=many", "--json")
    assert answer.status == 1
    assert "sigma" in answer.error["message"]


def _refuse(*_arguments: object, **_options: object) -> object:
    raise AssertionError("the engine was asked")


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "--nope"),
        ("runs", "-n", "0"),
        ("runs", "--state", "asleep"),
        ("run", "midas"),
        ("run", "midas", "flatfield", "-p", "sigma"),
        ("run", "midas", "flatfield", "-p", "sigma=1", "-p", "sigma=2"),
        ("nope",),
        ("recipe", "nope"),
        ("completion", "csh"),
    ],
)
def test_wrong_usage_exits_2_and_says_how(world: World, ask: Ask, arguments: tuple[str, ...]) -> None:
    assert ask(*arguments).status == 2
    answer = ask(*arguments, "--json")
    assert (answer.status, answer.out, answer.error["code"]) == (2, "", "usage")
    assert answer.error["hint"].endswith("--help")


@pytest.mark.parametrize(
    ("typed", "meant"), [("rnu", "run"), ("verfy", "verify"), ("datasets", "dataset"), ("docter", "doctor")]
)
def test_an_unknown_command_is_told_the_nearest(ask: Ask, typed: str, meant: str) -> None:
    answer = ask(typed)
    assert (answer.status, f"Did you mean {meant!r}?" in answer.err) == (2, True)


def break_down(_path: Path) -> object:
    """Stands for a defect of Thaw."""
    raise ZeroDivisionError("midas")


@pytest.fixture
def defective(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A Thaw with a defect; gives the folder where reports are written."""
    monkeypatch.setattr(common, "Vault", break_down)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_defect_exits_3_and_writes_a_report_that_can_be_sent(ask: Ask, defective: Path) -> None:
    answer = ask("vault", "status")
    (report,) = defective.glob("thaw-report-*.txt")
    text = report.read_text()
    assert (answer.status, str(report) in answer.err) == (3, True)
    assert "error[defect]" in answer.err
    assert "arguments: ['vault', 'status']" in text
    assert "ZeroDivisionError: midas" in text
    assert "THAW_HOME" not in text


def test_a_defect_is_data_where_data_was_asked_for(ask: Ask, defective: Path) -> None:
    answer = ask("vault", "status", "--json")
    assert (answer.status, answer.out, len(answer.err.splitlines())) == (3, "", 1)
    assert answer.error["code"] == "defect"
    assert Path(answer.error["where"]).is_file()


def test_ctrl_c_outside_a_run_exits_130(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_path: Path) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(common, "Vault", interrupt)
    assert ask("vault", "status").status == 130
    assert ask("vault", "status", "--json").error["code"] == "interrupted"


@pytest.mark.parametrize(
    ("number", "code"),
    [(13, "permission-denied"), (2, "file-not-found"), (28, "disk-full"), (5, "system-error")],
)
def test_what_the_system_refuses_is_told_with_its_path(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    def refuse(_path: Path) -> object:
        raise OSError(number, "refused", "/srv/thaw")

    monkeypatch.setattr(common, "Vault", refuse)
    answer = ask("vault", "status", "--json")
    assert (answer.status, answer.error["code"], answer.error["where"]) == (1, code, "/srv/thaw")


def walk(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that name it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from walk(found, (*path, name))


COMMANDS = dict(walk(thaw))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_json_and_says_what_it_does(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    options = {option for parameter in command.params for option in parameter.opts}
    assert "--json" in options
    assert command.help
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_tells_its_usage(ask: Ask, path: tuple[str, ...]) -> None:
    answer = ask(*path, "--help")
    assert (answer.status, answer.out.startswith(f"Usage: thaw {' '.join(path)}")) == (0, True)


def test_the_table_of_commands_says_the_same_as_the_commands(ask: Ask) -> None:
    listed = ask("--help").out
    context = click.Context(thaw)
    for name in thaw.list_commands(context):
        command = thaw.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert f"  {name} " in listed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_completion_script(ask: Ask, shell: str) -> None:
    answer = ask("completion", shell, "--json")
    assert (answer.status, answer.data["shell"]) == (0, shell)
    assert "_THAW_COMPLETE" in answer.data["script"]
    assert ask("completion", shell).out.strip() == answer.data["script"].strip()


def test_the_schema_is_json_in_any_case(ask: Ask) -> None:
    assert ask("recipe", "schema").data == ask("recipe", "schema", "--json").data


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (("list",), ["recipes"]),
        (("runs",), ["runs"]),
        (("dataset", "list"), ["datasets"]),
        (("recipe", "list"), ["recipes"]),
        (("recipe", "lint"), ["findings"]),
        (("recipe", "lock", "midas", "--check"), ["locked", "recipe"]),
        (("recipe", "build", "midas"), ["built", "bytes", "image", "name", "pinned", "recipe"]),
        (("image", "list"), ["images"]),
        (("builder", "show"), ["image", "lock", "packages", "present"]),
        (("store", "rebuild"), ["datasets", "problems", "runs", "verdicts"]),
        (("vault", "audit"), None),
        (("vault", "status"), None),
        (("recipe", "show", "midas"), None),
    ],
)
def test_a_command_gives_the_documented_keys_and_nothing_else_on_stdout(
    world: World, ask: Ask, arguments: tuple[str, ...], keys: list[str] | None
) -> None:
    answer = ask(*arguments, "--json")
    assert answer.status in (0, 1)
    assert isinstance(answer.data, dict)
    assert keys is None or sorted(answer.data) == keys


def test_a_lock_that_does_not_answer_its_recipe_fails_the_check(world: World, ask: Ask) -> None:
    file = world.recipes / "midas/22SEP/recipe.yaml"
    file.write_text(RECIPE.replace("[libc6]", "[libc6, xterm]"))
    answer = ask("recipe", "lock", "midas", "--check", "--json")
    assert (answer.status, answer.data["locked"]) == (1, False)
    assert ask(*FLATFIELD, "-d", str(world.frame), "--json").error["code"] == "lock-stale"


def test_a_dataset_is_added_listed_and_checked(world: World, ask: Ask) -> None:
    added = ask("dataset", "add", str(world.frame), "--name", "m31", "--json")
    assert (added.status, added.data["reference"], added.data["kept"]) == (0, "m31@1", True)
    assert ask("dataset", "list", "--json").data["datasets"][0]["name"] == "m31"
    assert ask("dataset", "check", "m31", "--json").data["unchanged"] is True
    world.frame.write_bytes(b"SIMPLE, and longer")
    changed = ask("dataset", "check", "m31", "--json")
    assert (changed.status, changed.data["unchanged"]) == (1, False)


def test_an_object_travels_from_vault_to_vault_in_a_file(world: World, ask: Ask, tmp_path: Path) -> None:
    ask("dataset", "add", str(world.frame))
    archive = tmp_path / "objects.thaw"
    exported = ask("vault", "export", str(archive), "--json").data
    assert exported["objects"] >= 2
    imported = ask("vault", "import", str(archive), "--json")
    assert (imported.status, imported.data["present"]) == (0, exported["objects"])


HEAVY = (
    "aiohttp",
    "astropy",
    "cyclonedx",
    "docker",
    "fastapi",
    "jinja2",
    "jsonschema",
    "numpy",
    "requests",
    "rich",
)


@pytest.mark.parametrize("arguments", [("--help",), ("list",), ("runs",), ("completion", "zsh")])
def test_quick_commands_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys, json; from instantiator.cli import run_cli; "
        f"status = run_cli({list(arguments)!r}); "
        "print(json.dumps([status, sorted({name.partition('.')[0] for name in sys.modules})]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert (status, sorted(set(modules) & set(HEAVY))) == (0, [])


def test_help_does_not_even_read_yaml() -> None:
    code = (
        "import sys; from instantiator.cli import run_cli; run_cli(['--help']); print('yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_reader_that_goes_away_is_no_defect() -> None:
    thaw_program = Path(sys.executable).with_name("thaw")
    done = subprocess.run(
        f"{thaw_program} recipe schema | head -c 1", shell=True, capture_output=True, text=True, check=True
    )
    assert (done.stdout, "defect" in done.stderr) == ("{", False)


def test_the_log_of_a_program_goes_nowhere_once_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        written = 0

        def write(self, _content: bytes) -> int:
            self.written += 1
            raise BrokenPipeError

    class Stderr:
        buffer = Gone()

    monkeypatch.setattr(sys, "stderr", Stderr())
    echo = echo_log(is_quiet=False)
    echo(b"reading m31.fits\n")
    echo(b"done\n")
    assert Stderr.buffer.written == 1
